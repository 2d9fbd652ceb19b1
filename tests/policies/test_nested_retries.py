"""Retries within retries: what one of them has given up on, another does not try again, unless told to."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import pickle
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import pytest

from resilience import RetriesExhaustedError, StopReason, describe, retry_on_category, subscribe, timeout
from resilience._runtime.exhaustion import exhaustion_counter
from resilience.testing import virtual_time
from tests.roads import Road

inner = retry_on_category(attempts=3, base_delay=0)
outer = retry_on_category(attempts=4, base_delay=0)


class Dependency:
    """Always down; a new error each time, or the same one."""

    def __init__(self, same: Exception | None = None) -> None:
        self.calls = 0
        self.same = same

    def fail(self) -> None:
        self.calls += 1
        raise self.same or ConnectionResetError(f"call {self.calls}")

    async def fail_async(self) -> None:
        self.fail()


def attempt(road: Road, make: Callable[[Callable], Callable], make_async: Callable[[Callable], Callable]) -> int:
    """Return how often a dependency that is down is called through what *make* makes of it."""
    dependency = Dependency()

    def sync() -> None:
        with virtual_time(patience=60), pytest.raises(Exception, match="."):
            make(dependency.fail)()

    async def asynchronous() -> None:
        with virtual_time(patience=60), pytest.raises(Exception, match="."):
            await make_async(dependency.fail_async)()

    road.run(sync, asynchronous)
    return dependency.calls


def awaited(body: Callable[[Callable], Awaitable[object]]) -> Callable[[Callable], Callable]:
    """Return what puts *body* of the inner, retried call into a function that is retried."""

    def make(fail: Callable) -> Callable:
        @outer
        async def call() -> object:
            return await body(inner(fail))

        return call

    return make


def called(body: Callable[[Callable], object]) -> Callable[[Callable], Callable]:
    def make(fail: Callable) -> Callable:
        @outer
        def call() -> object:
            return body(inner(fail))

        return call

    return make


# -- not multiplied -------------------------------------------------------------------------------------------------


def test_in_one_stack(road: Road):
    assert attempt(road, lambda fn: outer(inner(fn)), lambda fn: outer(inner(fn))) == 3


def test_three_deep(road: Road):
    assert attempt(road, lambda fn: outer(outer(inner(fn))), lambda fn: outer(outer(inner(fn)))) == 3


def test_in_nested_functions(road: Road):
    assert attempt(road, called(lambda fn: fn()), awaited(lambda fn: fn())) == 3


def test_through_an_error_raised_from_it(road: Road):
    def translate(fn: Callable) -> None:
        try:
            fn()
        except ConnectionError as error:
            raise TimeoutError("in our words") from error

    async def translate_async(fn: Callable) -> None:
        try:
            await fn()
        except ConnectionError as error:
            raise TimeoutError("in our words") from error

    assert attempt(road, called(translate), awaited(translate_async)) == 3


def test_through_several_of_them(road: Road):
    def translate(fn: Callable) -> None:
        try:
            try:
                fn()
            except ConnectionError as error:
                raise TimeoutError("once") from error
        except TimeoutError as error:
            raise ConnectionAbortedError("twice") from error

    async def translate_async(fn: Callable) -> None:
        try:
            try:
                await fn()
            except ConnectionError as error:
                raise TimeoutError("once") from error
        except TimeoutError as error:
            raise ConnectionAbortedError("twice") from error

    assert attempt(road, called(translate), awaited(translate_async)) == 3


def test_through_the_group_of_a_task_group(backend: str):
    async def one_of_two(fn: Callable) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fn)
            tasks.start_soon(anyio.lowlevel.checkpoint)

    assert attempt(Road(backend), None, awaited(one_of_two)) == 3


def test_through_a_member_taken_out_of_its_group(backend: str):
    async def unwrapped(fn: Callable) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fn)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    assert attempt(Road(backend), None, awaited(unwrapped)) == 3


def test_through_the_groups_of_asyncio():
    async def grouped(fn: Callable) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fn())

    async def gathered(fn: Callable) -> None:
        await asyncio.gather(fn(), asyncio.sleep(0))

    for body in (grouped, gathered):
        assert attempt(Road("asyncio"), None, awaited(body)) == 3


def test_a_group_that_was_given_up_on_as_a_whole(road: Road):
    reached = []

    def fail() -> None:
        reached.append(1)
        raise ExceptionGroup("both", [ConnectionResetError(), TimeoutError()])

    async def fail_async() -> None:
        fail()

    with virtual_time(), pytest.raises(ExceptionGroup):
        road.run(outer(inner(fail)), outer(inner(fail_async)))
    assert len(reached) == 3


def test_through_worker_threads(road: Road):
    def in_a_pool(fn: Callable) -> None:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(fn).result()

    async def in_a_thread(fn: Callable) -> None:
        await anyio.to_thread.run_sync(anyio.run, fn)

    assert attempt(road, called(in_a_pool), awaited(in_a_thread)) == 3


def test_through_a_time_limit_in_between(road: Road):
    def stack(fn: Callable) -> Callable:
        return outer(timeout(60)(inner(fn)))

    assert attempt(road, stack, stack) == 3


def test_the_wrapped_error_of_a_retry_further_in():
    wrapping = retry_on_category("transient", "exhausted", attempts=3, base_delay=0, on_exhausted="wrap")
    dependency = Dependency()
    with pytest.raises(RetriesExhaustedError) as caught:
        wrapping(wrapping(dependency.fail))()
    assert dependency.calls == 3
    assert isinstance(caught.value.__cause__, (ConnectionError, RetriesExhaustedError))


def test_an_outer_retry_that_wraps_wraps_what_one_further_in_gave_up_on(road: Road):
    error = ConnectionResetError()
    wrapping = retry_on_category(attempts=4, base_delay=0, on_exhausted="wrap")
    story = road.play(lambda fn: wrapping(inner(fn)), error, error, error, "never")
    assert isinstance(story.answer, RetriesExhaustedError)
    assert story.answer.__cause__ is error
    assert story.answer.reason == "nested"
    assert story.answer.resilience.inner.reason is StopReason.ATTEMPTS
    assert error.resilience.reason is StopReason.ATTEMPTS  # it keeps the report of who gave up on it


def test_one_report_and_one_event_tell_of_it(road: Road):
    error = ConnectionResetError()
    story = road.play(lambda fn: outer(inner(fn)), error, error, error, "never")
    assert story.names.count("retry.exhausted") == 1
    assert story.reached == 3
    assert len(error.__notes__) == 1
    assert error.resilience.reason is StopReason.ATTEMPTS


def failing(fail: Callable[[], None], asynchronous: bool, name: str = "fetch") -> Callable:
    """Return a function called *name* that calls *fail*."""
    if asynchronous:

        async def call_async() -> None:
            result = fail()
            if result is not None:
                await result

        call: Callable = call_async
    else:

        def call_sync() -> None:
            fail()

        call = call_sync
    call.__module__, call.__qualname__ = "shop", name
    return call


def notes_of(road: Road, guarded: Callable) -> list[str]:
    with virtual_time(), pytest.raises(ConnectionResetError) as caught:
        road.run(guarded, guarded)
    return caught.value.__notes__


DECLINED = "did not retry: a nested retry of shop.fetch is exhausted; retry_exhausted=True retries it all the same"


def test_an_outer_retry_that_declines_says_so_and_why(road: Road):
    fetch = inner(failing(Dependency().fail, road.is_async))
    job = outer(failing(fetch, road.is_async, "job"))
    for _ in range(2):  # a note takes the place of that of the call before
        failed, declined = notes_of(road, job)
        assert failed.startswith("resilience: shop.fetch failed 3 times")
        assert declined == f"resilience: shop.job {DECLINED}"


def test_the_same_error_raised_by_two_calls_has_the_notes_of_the_last(road: Road):
    fetch = inner(failing(Dependency(ConnectionResetError("same")).fail, road.is_async))
    job = outer(failing(fetch, road.is_async, "job"))
    for _ in range(2):
        assert len(notes_of(road, job)) == 2


def test_one_around_the_same_function_says_so_in_the_note_that_is_there(road: Road):
    for levels in (outer, lambda fn: outer(outer(fn))):
        (note,) = notes_of(road, levels(inner(failing(Dependency().fail, road.is_async))))
        assert note.splitlines()[2:] == [f"  an enclosing retry {DECLINED}"]


def test_an_error_raised_from_an_exhausted_one_says_so_too(road: Road):
    fetch = inner(failing(Dependency().fail, road.is_async))

    async def asynchronous() -> None:
        try:
            await fetch()
        except ConnectionError as error:
            raise ConnectionResetError("in our words") from error

    def sync() -> None:
        try:
            fetch()
        except ConnectionError as error:
            raise ConnectionResetError("in our words") from error

    job = asynchronous if road.is_async else sync
    job.__module__, job.__qualname__ = "shop", "job"
    assert notes_of(road, outer(job)) == [f"resilience: shop.job {DECLINED}"]


picky = retry_on_category(attempts=3, base_delay=0, idempotent=False)


@pytest.mark.parametrize(
    ("make", "script"),
    [
        (lambda fn: outer(retry_on_category(attempts=1)(fn)), ["network"] * 99),
        (
            lambda fn: outer(retry_on_category(attempts=3, base_delay=0, idempotent=False)(fn)),
            [*["refused"] * 2, "network"] * 99,
        ),
        (lambda fn: outer(retry_on_category(base_delay=0, max_attempts={"timeout": 1})(fn)), ["timeout"] * 99),
        (lambda fn: outer(inner(fn)), ["network"] * 99),
        (lambda fn: outer(retry_on_category("network", base_delay=0)(fn)), [*["network"] * 2, "timeout"] * 99),
    ],
    ids=["one attempt", "not idempotent", "one attempt of a category", "the same categories", "more categories"],
)
def test_describe_counts_no_fewer_calls_than_are_made(road: Road, make: Callable, script: list[str]):
    kinds = {"network": ConnectionResetError, "refused": ConnectionRefusedError, "timeout": TimeoutError}
    story = road.play(make, *[kinds[each]() for each in script])
    assert 3 <= story.reached <= describe(make(lambda: None)).worst.calls


def test_describe_counts_what_is_certain_exactly():
    def calls(*policies: Callable) -> float:
        guarded: Callable = Dependency().fail
        for policy in reversed(policies):
            guarded = policy(guarded)
        return describe(guarded).worst.calls

    assert calls(outer, inner) == 3
    assert calls(outer, retry_on_category(attempts=1)) == 4
    assert calls(outer, retry_on_category(base_delay=0, idempotent=False)) == 12
    assert calls(outer, timeout(1), inner) == 12  # the limit may cut off each attempt before the inner one is exhausted
    assert calls(retry_on_category("network", attempts=4), timeout(1), inner) == 3


def test_for_as_long_as_the_inner_one_has_attempts_left_the_outer_one_does_its_own(road: Road):
    picky = retry_on_category("timeout", attempts=3, base_delay=0)
    story = road.play(lambda fn: outer(picky(fn)), ConnectionResetError(), TimeoutError(), "ok")
    assert story.answer == "ok"


def test_an_inner_retry_that_is_set_to_one_attempt_leaves_the_outer_one_its_own(road: Road):
    never = retry_on_category(attempts=1)
    assert attempt(road, lambda fn: outer(never(fn)), lambda fn: outer(never(fn))) == 4


# -- multiplied on demand -------------------------------------------------------------------------------------------


def test_retry_exhausted_multiplies(road: Road):
    told = retry_on_category(attempts=4, base_delay=0, retry_exhausted=True)
    assert attempt(road, lambda fn: told(inner(fn)), lambda fn: told(inner(fn))) == 12


def test_only_the_one_that_is_told_does(road: Road):
    told = retry_on_category(attempts=2, base_delay=0, retry_exhausted=True)
    assert attempt(road, lambda fn: outer(told(inner(fn))), lambda fn: outer(told(inner(fn)))) == 6


# -- errors of before -----------------------------------------------------------------------------------------------


def test_the_same_error_raised_by_a_later_call_is_tried_again(road: Road):
    always = ConnectionResetError("the same object, always")
    story = road.play(inner, *[always] * 9, pauses=(0, 0))
    assert story.reached == 9
    story = road.play(lambda fn: outer(inner(fn)), *[always] * 9, pauses=(0, 0))
    assert story.reached == 9  # three each: not one, and not twelve


def test_an_error_raised_from_one_of_before_is_tried_again(road: Road):
    old = ConnectionResetError("given up on before")
    road.play(inner, old, old, old)
    errors = [TimeoutError() for _ in range(2)]
    for error in errors:
        error.__cause__ = old
    assert road.play(outer, *errors, "ok").answer == "ok"


def test_an_error_that_somebody_else_gives_up_on_while_a_retry_waits_is_tried_again(road: Road):
    always = ConnectionResetError("shared")

    def meanwhile(event: object) -> None:
        if event.name == "retry.scheduled" and not before:
            before.append(exhaustion_counter.count)
            with pytest.raises(ConnectionResetError):
                retry_on_category(attempts=2, base_delay=0)(Dependency(always).fail)()

    before: list[int] = []
    with subscribe(meanwhile):
        story = road.play(retry_on_category(attempts=3, base_delay=1), *[always] * 9)
    assert before
    assert story.reached == 3


def test_an_error_of_before_is_tried_again_while_others_give_up_on_theirs(road: Road):
    old, reached = ConnectionResetError("given up on before"), []
    road.play(inner, old, old, old)  # the last of all to be given up on until now

    def fail() -> None:
        reached.append(1)
        with pytest.raises(ConnectionResetError):
            retry_on_category(attempts=2, base_delay=0)(Dependency().fail)()
        raise old

    async def fail_async() -> None:
        fail()

    with virtual_time(), pytest.raises(ConnectionResetError):
        road.run(inner(fail), inner(fail_async))
    assert len(reached) == 3


def test_a_copy_of_an_error_of_before_is_tried_again(road: Road):
    old = ConnectionResetError("kept somewhere")
    road.play(inner, old, old, old)
    for again in (copy.copy, copy.deepcopy):
        reached = []

        def fail() -> None:
            reached.append(1)
            raise again(old)

        with virtual_time(), pytest.raises(ConnectionResetError):
            inner(fail)()
        assert len(reached) == 3


def test_an_error_from_another_process_was_given_up_on_when_it_came(road: Road):
    there = ConnectionResetError("there")
    road.play(inner, there, there, there)
    sent = pickle.dumps(there)
    reached = []

    def fetch() -> None:
        reached.append(1)
        raise pickle.loads(sent)

    async def fetch_async() -> None:
        fetch()

    with virtual_time(), pytest.raises(ConnectionResetError) as caught:
        road.run(outer(fetch), outer(fetch_async))
    assert len(reached) == 1
    assert caught.value.resilience.made == 3


@pytest.mark.parametrize("told", [False, True], ids=["unheard", "heard"])
def test_what_was_given_up_on_during_an_earlier_attempt_is_fresh_in_the_next_where_it_is_raised_again(told: bool):
    given_up: list[Exception] = []
    calls = 0

    @inner
    def broken() -> None:
        raise ConnectionResetError("inside")

    @outer
    def call() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            try:
                broken()
            except ConnectionResetError as error:
                given_up.append(error)
            raise ConnectionResetError("another")
        if calls == 2:
            raise given_up[0]  # no retry further in has been at work during this attempt
        return "ok"

    if told:
        with subscribe(lambda event: None):
            assert call() == "ok"
    else:
        assert call() == "ok"
    assert calls == 3
