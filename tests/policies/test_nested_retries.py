"""Nested retries: an outer one does not retry what an inner one has exhausted, unless ``retry_exhausted`` says so."""

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
from tests.runners import Runner

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


def attempt(runner: Runner, make: Callable[[Callable], Callable], make_async: Callable[[Callable], Callable]) -> int:
    """Return how often a dependency that is down is called through what *make* makes of it."""
    dependency = Dependency()

    def sync() -> None:
        with virtual_time(patience=60), pytest.raises(Exception, match="."):
            make(dependency.fail)()

    async def asynchronous() -> None:
        with virtual_time(patience=60), pytest.raises(Exception, match="."):
            await make_async(dependency.fail_async)()

    runner.run(sync, asynchronous)
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


def test_nested_decorators_do_not_multiply_attempts(runner: Runner):
    assert attempt(runner, lambda fn: outer(inner(fn)), lambda fn: outer(inner(fn))) == 3


def test_three_nested_retries_do_not_multiply_attempts(runner: Runner):
    assert attempt(runner, lambda fn: outer(outer(inner(fn))), lambda fn: outer(outer(inner(fn)))) == 3


def test_retries_of_nested_functions_do_not_multiply_attempts(runner: Runner):
    assert attempt(runner, called(lambda fn: fn()), awaited(lambda fn: fn())) == 3


def test_an_exhausted_cause_is_not_retried(runner: Runner):
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

    assert attempt(runner, called(translate), awaited(translate_async)) == 3


def test_an_exhausted_cause_of_a_cause_is_not_retried(runner: Runner):
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

    assert attempt(runner, called(translate), awaited(translate_async)) == 3


def test_an_exhausted_member_of_a_task_groups_error_is_not_retried(backend: str):
    async def one_of_two(fn: Callable) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fn)
            tasks.start_soon(anyio.lowlevel.checkpoint)

    assert attempt(Runner(backend), None, awaited(one_of_two)) == 3


def test_an_exhausted_error_taken_out_of_its_group_is_not_retried(backend: str):
    async def unwrapped(fn: Callable) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fn)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    assert attempt(Runner(backend), None, awaited(unwrapped)) == 3


def test_an_exhausted_member_of_an_asyncio_group_is_not_retried():
    async def grouped(fn: Callable) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fn())

    async def gathered(fn: Callable) -> None:
        await asyncio.gather(fn(), asyncio.sleep(0))

    for body in (grouped, gathered):
        assert attempt(Runner("asyncio"), None, awaited(body)) == 3


def test_an_exhausted_exception_group_is_not_retried(runner: Runner):
    reached = []

    def fail() -> None:
        reached.append(1)
        raise ExceptionGroup("both", [ConnectionResetError(), TimeoutError()])

    async def fail_async() -> None:
        fail()

    with virtual_time(), pytest.raises(ExceptionGroup):
        runner.run(outer(inner(fail)), outer(inner(fail_async)))
    assert len(reached) == 3


def test_exhaustion_in_a_worker_thread_is_not_retried(runner: Runner):
    def in_a_pool(fn: Callable) -> None:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(fn).result()

    async def in_a_thread(fn: Callable) -> None:
        await anyio.to_thread.run_sync(anyio.run, fn)

    assert attempt(runner, called(in_a_pool), awaited(in_a_thread)) == 3


def test_exhaustion_under_a_time_limit_is_not_retried(runner: Runner):
    def stack(fn: Callable) -> Callable:
        return outer(timeout(60)(inner(fn)))

    assert attempt(runner, stack, stack) == 3


def test_the_wrapped_error_of_a_nested_retry_is_not_retried():
    wrapping = retry_on_category("transient", "exhausted", attempts=3, base_delay=0, on_exhausted="wrap")
    dependency = Dependency()
    with pytest.raises(RetriesExhaustedError) as caught:
        wrapping(wrapping(dependency.fail))()
    assert dependency.calls == 3
    assert isinstance(caught.value.__cause__, (ConnectionError, RetriesExhaustedError))


def test_an_outer_retry_that_wraps_also_wraps_the_error_of_an_exhausted_nested_one(runner: Runner):
    error = ConnectionResetError()
    wrapping = retry_on_category(attempts=4, base_delay=0, on_exhausted="wrap")
    story = runner.play(lambda fn: wrapping(inner(fn)), error, error, error, "never")
    assert isinstance(story.answer, RetriesExhaustedError)
    assert story.answer.__cause__ is error
    assert story.answer.reason == "nested"
    assert story.answer.resilience.inner.reason is StopReason.ATTEMPTS
    assert error.resilience.reason is StopReason.ATTEMPTS  # it keeps the report of who gave up on it


def test_an_exhaustion_has_one_report_and_one_event(runner: Runner):
    error = ConnectionResetError()
    story = runner.play(lambda fn: outer(inner(fn)), error, error, error, "never")
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


def notes_of(runner: Runner, guarded: Callable) -> list[str]:
    with virtual_time(), pytest.raises(ConnectionResetError) as caught:
        runner.run(guarded, guarded)
    return caught.value.__notes__


DECLINED = "did not retry: a nested retry of shop.fetch is exhausted; retry_exhausted=True retries it all the same"


def test_an_outer_retry_that_declines_says_so_and_why(runner: Runner):
    fetch = inner(failing(Dependency().fail, runner.is_async))
    job = outer(failing(fetch, runner.is_async, "job"))
    for _ in range(2):  # a note takes the place of that of the call before
        failed, declined = notes_of(runner, job)
        assert failed.startswith("resilience: shop.fetch failed 3 times")
        assert declined == f"resilience: shop.job {DECLINED}"


def test_the_same_error_raised_by_two_calls_has_the_notes_of_the_last(runner: Runner):
    fetch = inner(failing(Dependency(ConnectionResetError("same")).fail, runner.is_async))
    job = outer(failing(fetch, runner.is_async, "job"))
    for _ in range(2):
        assert len(notes_of(runner, job)) == 2


def test_one_around_the_same_function_says_so_in_the_note_that_is_there(runner: Runner):
    for levels in (outer, lambda fn: outer(outer(fn))):
        (note,) = notes_of(runner, levels(inner(failing(Dependency().fail, runner.is_async))))
        assert note.splitlines()[2:] == [f"  an enclosing retry {DECLINED}"]


def test_an_error_raised_from_an_exhausted_one_says_so_too(runner: Runner):
    fetch = inner(failing(Dependency().fail, runner.is_async))

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

    job = asynchronous if runner.is_async else sync
    job.__module__, job.__qualname__ = "shop", "job"
    assert notes_of(runner, outer(job)) == [f"resilience: shop.job {DECLINED}"]


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
def test_describe_counts_no_fewer_calls_than_are_made(runner: Runner, make: Callable, script: list[str]):
    kinds = {"network": ConnectionResetError, "refused": ConnectionRefusedError, "timeout": TimeoutError}
    story = runner.play(make, *[kinds[each]() for each in script])
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


def test_the_outer_retry_makes_its_own_attempts_while_the_inner_one_is_not_exhausted(runner: Runner):
    picky = retry_on_category("timeout", attempts=3, base_delay=0)
    story = runner.play(lambda fn: outer(picky(fn)), ConnectionResetError(), TimeoutError(), "ok")
    assert story.answer == "ok"


def test_an_inner_retry_of_one_attempt_does_not_stop_the_outer_one(runner: Runner):
    never = retry_on_category(attempts=1)
    assert attempt(runner, lambda fn: outer(never(fn)), lambda fn: outer(never(fn))) == 4


# -- multiplied on demand -------------------------------------------------------------------------------------------


def test_retry_exhausted_multiplies_attempts(runner: Runner):
    multiplying = retry_on_category(attempts=4, base_delay=0, retry_exhausted=True)
    assert attempt(runner, lambda fn: multiplying(inner(fn)), lambda fn: multiplying(inner(fn))) == 12


def test_only_the_retry_with_retry_exhausted_multiplies(runner: Runner):
    multiplying = retry_on_category(attempts=2, base_delay=0, retry_exhausted=True)
    assert attempt(runner, lambda fn: outer(multiplying(inner(fn))), lambda fn: outer(multiplying(inner(fn)))) == 6


# -- errors of before -----------------------------------------------------------------------------------------------


def test_the_same_error_raised_by_a_later_call_is_tried_again(runner: Runner):
    always = ConnectionResetError("the same object, always")
    story = runner.play(inner, *[always] * 9, pauses=(0, 0))
    assert story.reached == 9
    story = runner.play(lambda fn: outer(inner(fn)), *[always] * 9, pauses=(0, 0))
    assert story.reached == 9  # three each: not one, and not twelve


def test_an_error_raised_from_an_earlier_calls_error_is_tried_again(runner: Runner):
    old = ConnectionResetError("given up on before")
    runner.play(inner, old, old, old)
    errors = [TimeoutError() for _ in range(2)]
    for error in errors:
        error.__cause__ = old
    assert runner.play(outer, *errors, "ok").answer == "ok"


def test_an_error_that_another_call_exhausts_while_a_retry_waits_is_tried_again(runner: Runner):
    always = ConnectionResetError("shared")

    def meanwhile(event: object) -> None:
        if event.name == "retry.scheduled" and not before:
            before.append(exhaustion_counter.count)
            with pytest.raises(ConnectionResetError):
                retry_on_category(attempts=2, base_delay=0)(Dependency(always).fail)()

    before: list[int] = []
    with subscribe(meanwhile):
        story = runner.play(retry_on_category(attempts=3, base_delay=1), *[always] * 9)
    assert before
    assert story.reached == 3


def test_an_earlier_calls_error_is_tried_again_while_other_calls_exhaust_theirs(runner: Runner):
    old, reached = ConnectionResetError("given up on before"), []
    runner.play(inner, old, old, old)  # the last of all to be given up on until now

    def fail() -> None:
        reached.append(1)
        with pytest.raises(ConnectionResetError):
            retry_on_category(attempts=2, base_delay=0)(Dependency().fail)()
        raise old

    async def fail_async() -> None:
        fail()

    with virtual_time(), pytest.raises(ConnectionResetError):
        runner.run(inner(fail), inner(fail_async))
    assert len(reached) == 3


def test_a_copy_of_an_earlier_calls_error_is_tried_again(runner: Runner):
    old = ConnectionResetError("kept somewhere")
    runner.play(inner, old, old, old)
    for again in (copy.copy, copy.deepcopy):
        reached = []

        def fail() -> None:
            reached.append(1)
            raise again(old)

        with virtual_time(), pytest.raises(ConnectionResetError):
            inner(fail)()
        assert len(reached) == 3


def test_an_exhausted_error_from_another_process_counts_as_exhausted_on_arrival(runner: Runner):
    there = ConnectionResetError("there")
    runner.play(inner, there, there, there)
    sent = pickle.dumps(there)
    reached = []

    def fetch() -> None:
        reached.append(1)
        raise pickle.loads(sent)

    async def fetch_async() -> None:
        fetch()

    with virtual_time(), pytest.raises(ConnectionResetError) as caught:
        runner.run(outer(fetch), outer(fetch_async))
    assert len(reached) == 1
    assert caught.value.resilience.made == 3


@pytest.mark.parametrize("listening", [False, True], ids=["unheard", "heard"])
def test_an_error_exhausted_in_an_earlier_attempt_is_retried_when_a_later_one_raises_it_again(listening: bool):
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
            raise given_up[0]  # no nested retry was exhausted during this attempt
        return "ok"

    if listening:
        with subscribe(lambda event: None):
            assert call() == "ok"
    else:
        assert call() == "ok"
    assert calls == 3
