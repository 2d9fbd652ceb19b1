"""A shutdown ends the pauses of all retries at once, in threads, asyncio and trio, and they make no further attempt."""

from __future__ import annotations

import functools
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator

import anyio
import pytest

from resilience import ErrorCategory, RetryBudget, retry_on_category, retrying, settings, subscribe, timeout
from resilience._shutdown import _pauses, is_shutting_down
from resilience.testing import no_waits, virtual_time

down = ConnectionRefusedError("down")
BACKENDS = ("asyncio", "trio")
for_ever = functools.partial(retry_on_category, attempts=10, base_delay=3600, max_delay=3600, jitter="none")


@pytest.fixture
def in_pause() -> Iterator[threading.Event]:
    """An event that is set when a retry is about to wait."""
    waits = threading.Event()
    with subscribe(lambda event: waits.set() if event.name == "retry.scheduled" else None):
        yield waits


def begin_when_all_wait(retries: int = 1) -> threading.Thread:
    """Begin a shutdown from another thread as soon as so many retries wait."""

    def begin() -> None:
        while len(_pauses) < retries:
            threading.Event().wait(0.001)
        shutdowns.append(settings.begin_shutdown())

    thread = threading.Thread(target=begin)
    thread.start()
    return thread


shutdowns: list[settings.Shutdown] = []


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    while shutdowns:
        shutdowns.pop()()
    assert not is_shutting_down()
    assert not _pauses


def failing(calls: list[int], error: Exception = down) -> Callable[[], None]:
    def call() -> None:
        calls.append(1)
        raise error

    return call


def awaited(call: Callable[[], None]) -> Callable[[], object]:
    async def function() -> None:
        call()

    return function


def loop_over(calls: list[int]) -> None:
    for attempt in retrying(attempts=10, base_delay=3600, max_delay=3600, jitter="none"):
        with attempt:
            failing(calls)()


SYNC: dict[str, Callable[[list[int]], Callable[[], object]]] = {
    "function": lambda calls: for_ever()(failing(calls)),
    "under a limit, in a thread": lambda calls: timeout(10_000)(for_ever()(failing(calls))),
    "under a limit, by a signal": lambda calls: timeout(10_000, mode="signal")(for_ever()(failing(calls))),
    "loop": lambda calls: functools.partial(loop_over, calls),
}


@pytest.mark.parametrize("shape", SYNC)
def test_a_sync_pause_ends_at_once_with_the_last_error(shape: str):
    calls: list[int] = []
    thread = begin_when_all_wait()
    with pytest.raises(ConnectionRefusedError) as caught:
        SYNC[shape](calls)()
    thread.join()
    assert caught.value is down
    assert caught.value.resilience.reason.value == "shutdown"
    assert len(calls) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_async_pauses_end_at_once(backend: str):
    calls: list[int] = []
    ended: list[str] = []

    async def one() -> None:
        with pytest.raises(OSError) as caught:
            await for_ever()(awaited(failing(calls, ConnectionRefusedError())))()
        ended.append(caught.value.resilience.reason.value)

    async def loop() -> None:
        with pytest.raises(ConnectionRefusedError):
            async for attempt in retrying(attempts=10, base_delay=3600, max_delay=3600):
                with attempt:
                    calls.append(1)
                    raise ConnectionRefusedError
        ended.append("shutdown")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one)
            tasks.start_soon(loop)

    thread = begin_when_all_wait(4)
    anyio.run(main, backend=backend)
    thread.join()
    assert ended == ["shutdown"] * 4
    assert len(calls) == 4


@pytest.mark.skipif(os.name == "nt", reason="a real signal")
@pytest.mark.parametrize("backend", ["sync", *BACKENDS])
def test_a_signal_handler_may_begin_it(backend: str):
    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: shutdowns.append(settings.begin_shutdown()))

    def send() -> None:
        while not _pauses:
            threading.Event().wait(0.001)
        threading.Event().wait(0.02)  # a signal that comes before the lock is waited for would wake nothing
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(ConnectionRefusedError):
            if backend == "sync":
                for_ever()(failing(calls))()
            else:
                anyio.run(for_ever()(awaited(failing(calls))), backend=backend)
    finally:
        thread.join()
        signal.signal(signal.SIGTERM, before)
    assert len(calls) == 1


def test_a_retry_that_begins_later_makes_one_attempt_and_says_why():
    calls: list[int] = []
    events: list[object] = []
    with settings.begin_shutdown(), subscribe(events.append), pytest.raises(ConnectionRefusedError) as caught:
        for_ever()(failing(calls))()
    assert len(calls) == 1
    assert caught.value.resilience.reason.text == "the program is shutting down"
    assert [(event.name, getattr(event, "reason", None)) for event in events] == [
        ("attempt.failed", None),
        ("retry.exhausted", "shutdown"),
    ]


def test_a_failure_that_is_not_retryable_keeps_its_reason():
    with settings.begin_shutdown(), pytest.raises(ValueError) as caught:
        for_ever()(failing([], ValueError()))()
    assert caught.value.resilience.reason.value == "not_retryable"


def test_revisions_end_too():
    calls: list[int] = []
    invalid = RuntimeError("invalid")
    invalid.category = ErrorCategory.VALIDATION
    revised = retry_on_category("validation", base_delay=0, revise=lambda arguments, report: arguments)
    with pytest.raises(RuntimeError):
        revised(failing(calls, invalid))()
    assert len(calls) == 3
    with settings.begin_shutdown(), pytest.raises(RuntimeError):
        revised(failing(calls, invalid))()
    assert len(calls) == 3 + 1


def test_it_is_taken_back_by_a_call_or_a_block_and_one_of_several_stays():
    first, second = settings.begin_shutdown(), settings.begin_shutdown()
    first()
    first()
    assert is_shutting_down()
    second()
    assert not is_shutting_down()
    calls: list[int] = []
    with no_waits(), pytest.raises(ConnectionRefusedError):
        for_ever()(failing(calls))()
    assert len(calls) == 10


def test_the_token_of_a_retry_that_is_not_made_goes_back_to_the_budget():
    budget = RetryBudget()
    before = budget.left()
    left: list[float] = []

    def begin(event: object) -> None:
        left.append(budget.left())
        shutdowns.append(settings.begin_shutdown())

    with virtual_time(), pytest.raises(ConnectionRefusedError):
        for_ever(budget=budget, on_retry=begin)(failing([]))()
    assert left[0] < before
    assert budget.left() == before


def test_under_a_tests_clock_no_attempt_follows_the_pause():
    calls: list[int] = []

    def begin(event: object) -> None:
        shutdowns.append(settings.begin_shutdown())

    with virtual_time(), pytest.raises(ConnectionRefusedError):
        for_ever(on_retry=begin)(failing(calls))()
    assert len(calls) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pause_that_is_cancelled_leaves_nothing_to_the_garbage_collector(backend: str):
    class Down(ConnectionRefusedError):
        pass

    @for_ever()
    async def retried() -> None:
        raise Down

    async def main() -> None:
        with anyio.move_on_after(0.01):
            await retried()

    gc.collect()
    gc.disable()
    try:
        anyio.run(main, backend=backend)
        assert not [each for each in gc.get_objects() if type(each) is Down]
    finally:
        gc.enable()
