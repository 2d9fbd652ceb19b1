from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial

import anyio
import pytest

from resilience import DeadlineExceededError, ResilienceError, deadline, fallback, remaining, timeout
from resilience.gather import CallResult, GatheredResults, gather_results, gather_results_async
from resilience.testing import virtual_time
from tests.runners import Runner

LIMITS = [1, 3]


class Stop(BaseException):
    """Neither an Exception nor a cancellation."""


def gather(runner: Runner, calls: object, **options: object) -> GatheredResults:
    """Gather by a runner: an async one makes the functions async."""
    if not runner.is_async:
        return gather_results(calls, **options)

    def asynchronous(function: Callable[[], object]) -> Callable[[], object]:
        async def call() -> object:
            await anyio.lowlevel.checkpoint()
            return function()

        return call

    if isinstance(calls, dict):
        made: object = {name: asynchronous(function) for name, function in calls.items()}
    elif isinstance(calls, list):
        made = [asynchronous(function) for function in calls]
    else:
        made = (asynchronous(function) for function in calls)
    return anyio.run(partial(gather_results_async, made, **options), backend=runner.name)


def fail(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize("limit", LIMITS)
def test_one_failure_stops_nothing_and_the_order_is_kept(runner: Runner, limit: int):
    error = KeyError("two")
    gathered = gather(runner, [lambda: 1, lambda: fail(error), lambda: 3, lambda: 4], limit=limit)
    assert gathered.successes == [1, 3, 4]
    assert [(each.task_id, each.error) for each in gathered.failures] == [(1, error)]
    assert [each.ok for each in gathered] == [True, False, True, True]
    assert len(gathered) == 4
    assert gathered.results[2].value == 3
    with pytest.raises(KeyError, match="two"):
        _ = gathered.results[1].value


def test_names_become_task_ids(runner: Runner):
    gathered = gather(runner, {"a": lambda: 1, "b": lambda: fail(ValueError("no"))})
    assert [each.to_dict() for each in gathered] == [
        {"task_id": "a", "error": None, "error_code": None},
        {"task_id": "b", "error": "no", "error_code": "UNKNOWN_ERROR"},
    ]


def test_an_error_with_a_code_shows_it(runner: Runner):
    class OutOfStock(ResilienceError, code="SHOP-E001"):
        pass

    (failure,) = gather(runner, {"lamp": lambda: fail(OutOfStock("no lamp"))}).failures
    assert failure.to_dict() == {"task_id": "lamp", "error": "no lamp", "error_code": "SHOP-E001"}


def test_nothing_to_call_is_nothing_gathered(runner: Runner):
    assert gather(runner, []).raise_if_failed().successes == []


@pytest.mark.parametrize("limit", [2, 5])
def test_threads_and_tasks_are_as_many_as_the_limit_and_no_more(runner: Runner, limit: int):
    running, most, all_there = 0, 0, threading.Barrier(limit) if not runner.is_async else None
    lock = threading.Lock()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_there.wait(5)  # no call goes on before all of them run
        with lock:
            running -= 1

    async def call_async() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        running -= 1

    if runner.is_async:
        anyio.run(partial(gather_results_async, [call_async] * 20, limit=limit), backend=runner.name)
    else:
        gather_results([call] * 20, limit=limit).raise_if_failed()
    assert most == limit


@pytest.mark.parametrize("limit", LIMITS)
def test_a_lazy_iterable_is_advanced_only_when_a_call_can_start(runner: Runner, limit: int):
    taken, done, ahead = 0, 0, 0

    def calls() -> Iterator[Callable[[], None]]:
        nonlocal taken, ahead
        for _ in range(200):
            taken += 1
            ahead = max(ahead, taken - done)
            yield call

    def call() -> None:
        nonlocal done
        with lock:
            done += 1

    lock = threading.Lock()
    assert len(gather(runner, calls(), limit=limit)) == 200
    assert ahead <= limit


def test_one_after_the_other_runs_here_and_now():
    threads: list[int] = []
    gather_results([lambda: threads.append(threading.get_ident())] * 2)
    assert threads == [threading.get_ident()] * 2


def test_each_concurrent_call_has_a_copy_of_the_callers_context_variables(runner: Runner):
    who: ContextVar[str] = ContextVar("who", default="no user")
    who.set("ann")

    def call() -> str:
        before = who.get()
        who.set("another user")
        return before

    assert gather(runner, [call] * 5, limit=2).successes == ["ann"] * 5
    assert who.get() == "ann"


def test_sync_functions_may_be_gathered_with_async_ones(backend: str):
    async def fetch() -> int:
        return 1

    assert anyio.run(gather_results_async, [fetch, lambda: 2], backend=backend).successes == [1, 2]


@pytest.mark.parametrize("limit", LIMITS)
def test_what_a_deadline_leaves_no_time_for_is_not_begun(runner: Runner, limit: int):
    begun: list[int] = []
    lock = threading.Lock()

    with virtual_time() as clock:

        def call(number: int) -> int:
            with lock:
                begun.append(number)
                clock.advance(2)
            return number

        def named_call() -> None: ...

        calls = {**{f"call {number}": partial(call, number) for number in range(20)}, 20: named_call}
        with deadline(5):
            gathered = gather(runner, calls, limit=limit)
    assert 3 <= len(begun) <= 2 + limit
    assert gathered.successes == begun if limit == 1 else sorted(begun)
    assert all(type(each.error) is DeadlineExceededError for each in gathered.failures)
    assert str(gathered.failures[-2].error) == "the deadline has passed before call 19 was over"
    assert len(gathered) == 21


def test_a_deadline_reaches_into_the_calls(runner: Runner):
    with virtual_time(), deadline(5):
        assert gather(runner, [remaining] * 3, limit=2).successes == [5.0] * 3


def test_a_deadline_that_cancels_does_so_with_all_of_them(backend: str):
    cancelled: list[str] = []

    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append("hang")

    async def main() -> None:
        with virtual_time(patience=0.01):
            async with deadline(5):
                await gather_results_async([hang] * 4, limit=2)

    with pytest.raises(DeadlineExceededError):
        anyio.run(main, backend=backend)
    assert cancelled == ["hang"] * 2


@pytest.mark.parametrize("limit", LIMITS)
def test_cancellation_from_outside_cancels_all_and_begins_nothing_more(backend: str, limit: int):
    begun: list[str] = []
    ended: list[str] = []

    async def hang() -> None:
        begun.append("hang")
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("hang")

    async def main() -> bool:
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                while len(begun) < limit:
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel)
                await gather_results_async([hang] * 10, limit=limit)
        return scope.cancelled_caught

    assert anyio.run(main, backend=backend)
    assert len(begun) == len(ended) == limit


def test_a_call_whose_future_is_cancelled_is_not_lost():
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future

        async def cancel() -> None:
            future.cancel()

        await gather_results_async([wait, cancel], limit=2)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_no_exception_reaches_the_caller_as_it_is_and_ends_it(runner: Runner, limit: int):
    stop, reached = Stop(), itertools.count()

    def call() -> None:
        if next(reached) >= 4:
            raise stop

    with pytest.raises(Stop) as caught:
        gather(runner, (call for _ in itertools.count()), limit=limit)
    assert caught.value is stop


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("error", [RuntimeError("the iterable's own"), Stop()], ids=repr)
def test_an_error_of_the_iterable_itself_reaches_the_caller(runner: Runner, limit: int, error: BaseException):
    def calls() -> Iterator[Callable[[], int]]:
        yield lambda: 1
        raise error

    with pytest.raises(type(error)) as caught:
        gather(runner, calls(), limit=limit)
    assert caught.value is error


def test_all_errors_are_raised_as_a_group_that_names_some():
    errors = [ValueError(str(number)) for number in range(5)]
    gathered = gather_results([*[partial(fail, error) for error in errors], lambda: 1])
    with pytest.raises(ExceptionGroup, match="5 of 6 calls failed: 0, 1, 2, ...") as caught:
        gathered.raise_if_failed()
    assert list(caught.value.exceptions) == errors


def test_guarded_functions_are_gathered_like_others(runner: Runner):
    def decorate(function: Callable[[], object]) -> Callable[[], object]:
        return (
            fallback(default="other")(timeout(5)(function)) if runner.is_async else fallback(default="other")(function)
        )

    assert gather(runner, [decorate(lambda: "value")]).successes == ["value"]
    assert gather_results([fallback(default="other")(partial(fail, ConnectionResetError()))]).successes == ["other"]


def test_an_error_does_not_lead_back_to_what_holds_it():
    (failure,) = gather_results([partial(fail, ValueError())])
    frames = []
    trace = failure.error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames == ["fail"]


def test_neither_values_nor_messages_are_shown():
    gathered = gather_results([lambda: "secret", partial(fail, ValueError("secret"))])
    assert repr(gathered) == "<GatheredResults: 2 calls, 1 failed>"
    assert list(map(repr, gathered)) == ["<CallResult 0: ok>", "<CallResult 1: ValueError>"]


def test_an_error_that_cannot_be_shown_is_named():
    class Unshowable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert CallResult(0, error=Unshowable()).to_dict()["error"] == "<Unshowable whose message cannot be read>"
    assert CallResult(0, error=ValueError()).to_dict()["error"] == "ValueError"


async def fetch() -> None: ...


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        (3, "calls=3: give functions without arguments: a list, a mapping by name"),
        ([len, 3], r"calls\[1\]=3: give a function without arguments"),
        ({"a": None}, r"calls\['a'\]=None: give a function without arguments"),
        ("abc", r"calls\[0\]='a': give a function without arguments"),
        ([fetch], r"it is async; await gather_results_async"),
    ],
)
def test_what_cannot_be_called_is_refused_before_anything_is(calls: object, says: str):
    with pytest.raises(TypeError, match=says):
        gather_results(calls)


@pytest.mark.parametrize("limit", [0, -1, None, 2.5, True])
def test_a_limit_that_cannot_be_meant_is_refused(runner: Runner, limit: object):
    with pytest.raises((TypeError, ValueError), match=r"limit=.*: give a whole number of 1 or more"):
        gather(runner, [], limit=limit)


def test_a_coroutine_in_place_of_a_function_is_refused_and_closed():
    with pytest.raises(TypeError, match=r"calls\[0\] is a coroutine: give what makes it"):
        anyio.run(gather_results_async, [fetch()])


def test_a_function_that_returns_a_coroutine_fails_in_a_sync_gathering():
    (failure,) = gather_results([lambda: fetch()])
    assert "is async: use gather_results_async" in str(failure.error)
