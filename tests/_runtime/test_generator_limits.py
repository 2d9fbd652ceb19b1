"""Generators under a limit: until the first item is there, and for each further one."""

from __future__ import annotations

import contextlib
import contextvars
import signal
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

import resilience
from resilience import (
    CallTimeoutError,
    DeadlineExceededError,
    ErrorCategory,
    Pipeline,
    circuit_breaker,
    classify,
    deadline,
    describe,
    fallback,
    remaining,
    retry_on_category,
    settings,
    timeout,
)
from resilience.clock import current_clock
from resilience.errors import TooManyAbandonedError
from resilience.settings import ABANDONED_THREADS
from resilience.testing import virtual_time
from tests.runners import Runner, Takes
from tests.streaming import Stream

down = ConnectionResetError("down")
retrying = retry_on_category(attempts=3, base_delay=1, jitter="none")


def is_timeout(error: object, limit: float) -> bool:
    return type(error) is CallTimeoutError and error.limit == limit and classify(error) is ErrorCategory.TIMEOUT


# -- the first item ------------------------------------------------------------------------------------------------


def test_a_stream_whose_first_item_is_in_time_passes_with_all_items(runner: Runner):
    stream = Stream(runner, timeout(first_item=2), [Takes(1, "a"), Takes(50, "b"), "c"])
    assert stream.read() == ["a", "b", "c"]
    assert stream.clock.now() == 51


def test_a_first_item_that_does_not_come_in_time_fails_the_call(runner: Runner):
    stream = Stream(runner, timeout(first_item=2), [Takes(3, "a"), "b"])
    (error,) = stream.read()
    assert is_timeout(error, 2)
    assert stream.closed == 1
    assert stream.names == ["call.timed_out"]
    assert stream.events[0].limit == 2


def test_each_attempt_of_an_outer_retry_has_its_own_limit(runner: Runner):
    stream = Stream(runner, lambda f: retrying(timeout(first_item=2)(f)), [Takes(3, "a")], [down], [Takes(1, "b"), "c"])
    assert stream.read() == ["b", "c"]
    assert (stream.begun, stream.closed) == (3, 3)


def test_an_outer_limit_covers_all_attempts(runner: Runner):
    stream = Stream(runner, lambda f: timeout(first_item=4)(retrying(f)), [down], [down], [Takes(2, "a")])
    (error,) = stream.read()
    assert is_timeout(error, 4)


def test_an_attempt_that_takes_too_long_counts_against_the_circuit(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=9)
    stream = Stream(
        runner, lambda f: retrying(breaker(timeout(first_item=2)(f))), [Takes(3, "a")], [Takes(3, "a")], [1, 2]
    )
    seen = []
    assert stream.read(each=lambda: seen.append(breaker.fail_counter)) == [1, 2]
    assert seen == [2, 2]
    assert breaker.fail_counter == 0


def test_a_probe_inside_a_limit_is_held_to_the_end_of_the_stream(runner: Runner):
    """The inner call runs in another thread than the consumer."""
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=1)
    slow = retry_on_category("rejected|network", base_delay=2, jitter="none")
    stream = Stream(runner, lambda f: slow(timeout(first_item=5)(breaker(timeout(idle=5)(f)))), [down], [1, 2])
    seen = []
    assert stream.read(each=lambda: seen.append(len(breaker.state.permits))) == [1, 2]
    assert seen == [1, 1]
    assert breaker.state.name == "closed"


# -- further items -------------------------------------------------------------------------------------------------


def test_each_further_item_has_its_own_time_and_the_first_has_more(runner: Runner):
    stream = Stream(runner, timeout(first_item=9, idle=2), [Takes(8, 1), Takes(1, 2), Takes(1, 3), Takes(1, 4)])
    assert stream.read() == [1, 2, 3, 4]
    assert stream.clock.now() == 11


def test_without_a_limit_the_first_item_may_take_any_time(runner: Runner):
    stream = Stream(runner, timeout(idle=2), [Takes(8, 1), Takes(1, 2)])
    assert stream.read() == [1, 2]


def test_an_item_that_does_not_come_in_time_ends_the_stream(runner: Runner):
    stream = Stream(runner, lambda f: retrying(timeout(first_item=9, idle=2)(f)), [1, Takes(1, 2), Takes(3, 3), 4], [1])
    one, two, error = stream.read()
    assert (one, two) == (1, 2)
    assert is_timeout(error, 2)
    assert error.resilience.reason.value == "committed"
    assert (stream.begun, stream.closed) == (1, 1)
    assert [event.limit for event in stream.events if event.name == "call.timed_out"] == [2]


def test_the_consumers_own_time_does_not_count(runner: Runner):
    stream = Stream(runner, timeout(first_item=2, idle=1), [1, 2, 3])
    assert stream.read(each=lambda: stream.clock.advance(60)) == [1, 2, 3]


def test_the_error_names_the_shortest_of_several_limits(runner: Runner):
    for outer, inner in ((5, 2), (2, 5)):
        stream = Stream(runner, lambda f: timeout(idle=outer)(timeout(idle=inner)(f)), [1, Takes(3, 2)])  # noqa: B023
        one, error = stream.read()
        assert one == 1
        assert is_timeout(error, 2)
        assert stream.names == ["call.timed_out"]


def test_circuits_on_both_sides_of_the_limit_count_an_item_that_is_late(runner: Runner):
    outer, inner = circuit_breaker("outer", failure_threshold=9), circuit_breaker("inner", failure_threshold=9)
    stream = Stream(runner, lambda f: outer(timeout(idle=2)(inner(f))), [1, Takes(3, 2)])
    assert is_timeout(stream.read()[-1], 2)
    assert (outer.fail_counter, inner.fail_counter) == (1, 1)


def test_a_probe_inside_the_limit_opens_the_circuit_again(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=1)
    slow = retry_on_category("network", base_delay=2, jitter="none")
    stream = Stream(runner, lambda f: timeout(idle=2)(slow(breaker(f))), [down], [1, Takes(3, 2)])
    assert is_timeout(stream.read()[-1], 2)
    assert breaker.state.name == "open"
    assert len(breaker.state.permits) == 0


def test_an_error_of_the_generator_itself_reaches_the_consumer(runner: Runner):
    own = TimeoutError("the database's")
    for run in ([own], [1, own]):
        assert Stream(runner, timeout(first_item=2, idle=2), run).read()[-1] is own


def test_an_empty_stream_and_an_early_break_are_in_time(runner: Runner):
    stream = Stream(runner, timeout(first_item=2, idle=2), [], [1, 2])
    assert stream.read() == []
    assert stream.read(stop_after=1) == [1]
    assert stream.closed == 2


def test_sent_values_thrown_errors_and_the_return_value_pass(runner: Runner):
    @timeout(first_item=5, idle=5)
    def talk() -> Iterator[object]:
        heard = yield "hello"
        try:
            yield f"heard {heard}"
        except KeyError:
            yield "caught"
        return "bye"

    @timeout(first_item=5, idle=5)
    async def async_talk() -> AsyncIterator[object]:
        heard = yield "hello"
        try:
            yield f"heard {heard}"
        except KeyError:
            yield "caught"

    def sync() -> None:
        talking = talk()
        assert (next(talking), talking.send("you"), talking.throw(KeyError())) == ("hello", "heard you", "caught")
        with pytest.raises(StopIteration) as ended:
            next(talking)
        assert ended.value.value == "bye"

    async def asynchronous() -> None:
        talking = async_talk()
        assert await anext(talking) == "hello"
        assert await talking.asend("you") == "heard you"
        assert await talking.athrow(KeyError()) == "caught"
        with pytest.raises(StopAsyncIteration):
            await anext(talking)

    runner.run(sync, asynchronous)


# -- deadlines around it -------------------------------------------------------------------------------------------


def test_a_deadline_around_the_consumer_limits_items_and_is_named(runner: Runner):
    stream = Stream(runner, timeout(first_item=9, idle=9), [1, Takes(3, 2), Takes(3, 3)])
    got = []

    def sync() -> None:
        with deadline(5):
            for item in stream.guarded():
                got.append(item)

    async def asynchronous() -> None:
        async with deadline(5):
            async for item in stream.guarded():
                got.append(item)

    with virtual_time(), pytest.raises(DeadlineExceededError):
        runner.run(sync, asynchronous)
    assert got == [1, 2]
    assert stream.closed == 1


def test_a_deadline_that_passed_between_items_fetches_no_more(runner: Runner):
    stream = Stream(runner, timeout(idle=9), [1, 2])

    def sync() -> None:
        items = stream.guarded()
        next(items)
        with deadline(5):
            clock.advance(6)
            with pytest.raises(DeadlineExceededError):
                next(items)
            assert stream.closed == 1

    async def asynchronous() -> None:
        with anyio.CancelScope():
            items = stream.guarded()
            await anext(items)
            with deadline(5):  # a sync block cancels no task
                clock.advance(6)
                with pytest.raises(DeadlineExceededError):
                    await anext(items)
                assert stream.closed == 1

    with virtual_time() as clock:
        runner.run(sync, asynchronous)


def test_remaining_is_known_inside_the_generator_and_not_between_items(runner: Runner):
    seen = []

    def look() -> float | None:
        left = remaining()
        return None if left is None else round(left, 3)

    def sync() -> None:
        @timeout(first_item=5, idle=2)
        def items() -> Iterator[float | None]:
            try:
                yield look()
                yield look()
            finally:
                seen.append(look())

        for item in items():
            seen.extend([item, look()])

    async def asynchronous() -> None:
        @timeout(first_item=5, idle=2)
        async def items() -> AsyncIterator[float | None]:
            try:
                yield look()
                yield look()
            finally:
                seen.append(look())

        async for item in items():
            seen.extend([item, look()])

    with virtual_time():
        runner.run(sync, asynchronous)
    assert seen == [5, None, 2, None, 2]


# -- what is cancelled, and what goes on in a thread ---------------------------------------------------------------


@pytest.mark.parametrize("items", [0, 1], ids=["before the first item", "after it"])
def test_an_async_generator_is_cancelled_where_it_waits_and_cleans_up(backend: str, items: int):
    happened = []

    @timeout(first_item=1, idle=1)
    async def hang() -> AsyncIterator[int]:
        try:
            for number in range(items):
                yield number
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            happened.append("cancelled")
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            happened.append("closed")

    async def main() -> None:
        with virtual_time(patience=0.2):
            reading = hang()
            got = []
            with pytest.raises(CallTimeoutError):
                async for item in reading:
                    got.append(item)
            assert got == list(range(items))
            with pytest.raises(StopAsyncIteration):
                await anext(reading)
            await anyio.sleep(0)  # the consumer itself is not cancelled

    anyio.run(main, backend=backend)
    assert happened == ["cancelled", "closed"]


@pytest.mark.parametrize("items", [0, 1], ids=["before the first item", "after it"])
def test_a_consumer_that_is_cancelled_while_it_waits_cancels_the_generator(backend: str, items: int):
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=5)
    closed = []

    @breaker
    @timeout(first_item=60, idle=60)
    async def hang() -> AsyncIterator[int]:
        try:
            for number in range(items):
                yield number
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    async def main() -> None:
        with virtual_time() as clock:
            breaker.open()
            clock.advance(6)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def read() -> None:
                        async with contextlib.aclosing(hang()) as reading:
                            async for _ in reading:
                                pass

                    group.start_soon(read)
                    for _ in range(5):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            assert closed == [True]
            assert len(breaker.state.permits) == 0

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("items", [0, 1], ids=["before the first item", "after it"])
def test_a_hung_sync_generator_is_abandoned_and_closes_itself_when_it_returns(items: int):
    go, closed = threading.Event(), threading.Event()
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=5)

    @timeout(first_item=1, idle=1)
    @breaker
    def hang() -> Iterator[int]:
        try:
            yield from range(items)
            go.wait(10)
            yield 99
            raise AssertionError("no further item is asked for")
        finally:
            closed.set()

    with virtual_time(patience=0.2) as clock:
        breaker.open()
        clock.advance(6)
        reading, got = hang(), []
        with pytest.raises(CallTimeoutError):
            for item in reading:
                got.append(item)
        assert got == list(range(items))
        assert list(reading) == []
        reading.close()
        assert not closed.is_set()
        go.set()
        assert closed.wait(5)
        give_up = time.monotonic() + 5
        while breaker.state.permits and time.monotonic() < give_up:
            time.sleep(0.001)
        assert len(breaker.state.permits) == 0
        assert breaker.state.name == "open"  # what came too late decides nothing


def test_context_variables_of_a_sync_generator_are_its_own_copy_for_as_long_as_it_lives():
    mark = contextvars.ContextVar("mark", default="none")

    def make(decorate: timeout) -> Iterator[tuple[str, bool]]:
        @decorate
        def items() -> Iterator[tuple[str, bool]]:
            try:
                was = mark.get()
                token = mark.set("the generator's")
                yield was, threading.current_thread() is threading.main_thread()
                yield mark.get(), threading.current_thread() is threading.main_thread()
            finally:
                mark.reset(token)

        return items()

    for decorate, threads in ((timeout(first_item=5), (False, True)), (timeout(idle=5), (True, False))):
        mark.set("the consumer's")
        reading = make(decorate)
        assert next(reading) == ("the consumer's", threads[0])
        mark.set("changed meanwhile")
        assert next(reading) == ("the generator's", threads[1])
        assert mark.get() == "changed meanwhile"
        reading.close()
        reading = make(decorate)
        next(reading)
        assert len(list(reading)) == 1


def test_a_late_generator_is_closed_in_its_own_context():
    mark = contextvars.ContextVar("mark", default="none")
    closed = []

    def items(*waits: float) -> Iterator[int]:
        token = mark.set("the generator's")
        try:
            for number, wait in enumerate(waits):
                current_clock().sleep(wait)
                yield number
        finally:
            closed.append(mark.get())
            mark.reset(token)

    with virtual_time() as clock:
        with pytest.raises(CallTimeoutError):
            list(timeout(first_item=2)(items)(3))
        with pytest.raises(CallTimeoutError):
            list(timeout(idle=2)(items)(0, 3))
        reading = timeout(idle=2)(items)(0, 0)
        next(reading)
        with pytest.raises(DeadlineExceededError), deadline(5):
            clock.advance(6)
            next(reading)
    assert closed == ["the generator's"] * 3


def test_the_traceback_has_one_frame_of_the_toolkit(runner: Runner):
    for limit in (timeout(first_item=2), timeout(idle=2)):
        for run in ([KeyError()], [1, KeyError()], [1, 2, KeyError()]):
            *_, error = Stream(runner, limit, run).read()
            inside = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            assert inside[-2:] == ["wrapper", "asynchronous" if runner.is_async else "sync"]
            assert not any("resilience/" in frame.filename for frame in traceback.extract_tb(error.__traceback__))


def test_with_too_many_abandoned_threads_the_next_item_is_not_fetched(monkeypatch: pytest.MonkeyPatch):
    stream = Stream(Runner("sync"), timeout(idle=2), [1, 2])
    with pytest.raises(TooManyAbandonedError):
        for _ in stream.guarded():
            monkeypatch.setattr(ABANDONED_THREADS, "limit", 0)
    assert stream.closed == 1


def test_limits_hold_by_the_systems_clock_too(runner: Runner):
    def sync() -> None:
        @timeout(first_item=5, idle=0.02)
        def items() -> Iterator[int]:
            yield 1
            release.wait(10)

        with pytest.raises(CallTimeoutError):
            list(items())

    async def asynchronous() -> None:
        @timeout(first_item=5, idle=0.02)
        async def items() -> AsyncIterator[int]:
            yield 1
            await anyio.sleep_forever()

        with pytest.raises(CallTimeoutError):
            async for _ in items():
                pass

    release = threading.Event()
    try:
        runner.run(sync, asynchronous)
    finally:
        release.set()


def test_with_policies_switched_off_a_stream_is_like_the_undecorated_one(runner: Runner):
    stream = Stream(runner, timeout(first_item=1, idle=1), [Takes(5, 1), Takes(5, 2)])
    mark = contextvars.ContextVar("mark", default="none")

    @timeout(first_item=1, idle=1)
    def items() -> Iterator[str]:
        mark.set("the generator's")
        yield threading.current_thread().name
        yield mark.get()

    with settings.disabled():
        assert stream.read() == [1, 2]
        reading = items()
        assert next(reading) == threading.current_thread().name
        assert mark.get() == "the generator's"
        mark.set("the consumer's")
        assert next(reading) == "the consumer's"


def guarded_twice() -> tuple[object, ...]:
    breaker = circuit_breaker("stream")

    @retrying
    @breaker
    def at_once() -> Iterator[int]:
        while True:
            pass
        yield 1

    @retrying
    @breaker
    def later() -> Iterator[int]:
        yield 1
        while True:
            pass

    return at_once, later


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no signals to interrupt by")
@pytest.mark.parametrize("generator", guarded_twice(), ids=["before the first item", "after it"])
def test_a_signal_interrupts_a_guarded_generator_where_it_runs(generator: object):
    @timeout(0.05, mode="signal")
    def read() -> list[int]:
        return list(generator())

    with pytest.raises(CallTimeoutError):
        read()


# -- what is refused -----------------------------------------------------------------------------------------------


def pages() -> Iterator[int]:
    yield 1


async def async_pages() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [pages, async_pages])
def test_a_limit_on_a_whole_stream_is_refused(function: object):
    with pytest.raises(TypeError, match=r"pages by timeout\(2\): .* give timeout\(first_item=\.\.\., idle=\.\.\.\)"):
        timeout(2.0)(function)
    with pytest.raises(TypeError, match=r"pages by deadline\(2\): .* a `with` block of it around the loop"):
        deadline(2.0)(function)
    with pytest.raises(TypeError, match=r"pages by fallback\(.* those handed out cannot be taken back"):
        fallback(default=())(function)


def test_item_limits_on_a_function_without_items_are_refused():
    limit = timeout(first_item=2)

    def plain() -> int:
        return 1

    async def coroutine() -> int:
        return 1

    class Client:
        def fetch(self) -> int:
            return 1

    for target in (plain, coroutine, Client, retrying(plain), staticmethod(plain)):
        with pytest.raises(TypeError, match=r"by timeout\(first_item=2\): it is no generator function"):
            limit(target)
    for call in (limit.call, Pipeline(retrying, limit).call):
        with pytest.raises(TypeError, match="it is no generator function"):
            call(plain)
    with pytest.raises(TypeError, match="a block has no items"), limit:
        pass
    assert describe(Client.fetch).policies == ()


def test_item_limits_on_an_async_block_are_refused(backend: str):
    async def main() -> None:
        with pytest.raises(TypeError, match="a block has no items"):
            async with timeout(idle=2):
                pass

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({}, TypeError, r"timeout\(\): give seconds; for a generator function first_item= and idle=, either or both"),
        ({"first_item": None}, TypeError, r"timeout\(\): give seconds"),
        ({"seconds": None}, TypeError, "seconds=None: give seconds"),
        ({"seconds": 2, "idle": 1}, TypeError, r"timeout\(2, idle=1\): give seconds for a call, or "),
        ({"seconds": None, "idle": 1}, TypeError, r"timeout\(None, idle=1\): give seconds for a call, or "),
        ({"first_item": 0}, ValueError, "first_item=0: give seconds .* of more than 0"),
        ({"idle": "1"}, TypeError, "idle='1': give seconds"),
        ({"idle": 1, "mode": "signal"}, ValueError, "mode='signal': give none with idle=1"),
        ({"idle": 1, "mode": "sginal"}, ValueError, "did you mean 'signal'"),
    ],
)
def test_invalid_options_are_refused_where_they_are_written(
    parameters: dict[str, object], error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        timeout(**parameters)


def test_the_description_shows_the_limits():
    assert repr(timeout(first_item=2, idle=0.5)) == "timeout(first_item=2, idle=0.5)"
    assert repr(timeout(idle=0.5)) == "timeout(idle=0.5)"
    assert str(resilience.describe(timeout(first_item=2)(pages)).worst).endswith("what the calls take")
