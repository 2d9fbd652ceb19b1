"""Generators under a retry: tried again until the first item is there, and never after it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import traceback
import weakref
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

import resilience
from resilience import (
    CircuitOpenError,
    ErrorCategory,
    RetriesExhaustedError,
    RetryBudget,
    StopReason,
    circuit_breaker,
    describe,
    last_call,
    retry_on_category,
    settings,
)
from resilience.testing import virtual_time
from tests.runners import Runner, Takes
from tests.streaming import Stream

down = ConnectionResetError("down")
retrying = retry_on_category(attempts=3, base_delay=1, jitter="none")


# -- until the first item ------------------------------------------------------------------------------------------


def test_a_failure_before_the_first_item_is_retried_anew(runner: Runner):
    stream = Stream(runner, retrying, [down], [down], [1, 2, 3])
    assert stream.read() == [1, 2, 3]
    assert (stream.begun, stream.closed, stream.waits) == (3, 3, [1.0, 2.0])


def test_retries_are_used_up_before_the_first_item(runner: Runner):
    stream = Stream(runner, retrying, [down], [down], [down], [1])
    assert stream.read() == [down]
    assert (stream.begun, stream.closed) == (3, 3)
    assert stream.names[-1] == "retry.exhausted"
    assert down.resilience.made == 3


def test_a_failure_that_is_not_retryable_passes_unchanged(runner: Runner):
    error = KeyError("no")
    stream = Stream(runner, retrying, [error], [1])
    assert stream.read() == [error]
    assert stream.begun == 1


def test_an_empty_stream_is_a_success(runner: Runner):
    reported = []
    stream = Stream(runner, retry_on_category(attempts=3, on_success=reported.append), [], [1])
    assert stream.read() == []
    assert stream.begun == 1
    assert [report.made for report in reported] == [1]


def test_a_failure_after_an_item_reaches_the_consumer_unchanged_and_is_not_retried(runner: Runner):
    error = ConnectionResetError("gone")
    stream = Stream(runner, retrying, [1, 2, error], [1, 2, 3])
    got = stream.read()
    assert got == [1, 2, error]
    assert got[2] is error
    assert (stream.begun, stream.closed, stream.waits) == (1, 1, [])
    assert error.resilience.reason.value == "committed"
    assert not getattr(error, "__notes__", [])  # one attempt, and no retry: nothing to report
    assert "retry.exhausted" not in stream.names


def test_a_failure_after_the_first_item_has_the_report_of_the_retries_before_it(runner: Runner):
    error = ConnectionResetError("gone")
    stream = Stream(runner, retrying, [down], [1, error])
    assert stream.read() == [1, error]
    assert error.resilience.made == 2
    assert "the caller has received a part of the result" in error.__notes__[0]


def test_an_error_after_the_first_item_is_not_wrapped(runner: Runner):
    wrapping = retry_on_category(attempts=2, base_delay=0, on_exhausted="wrap")
    error = ConnectionResetError("gone")
    assert Stream(runner, wrapping, [1, error]).read() == [1, error]
    (wrapped,) = Stream(runner, wrapping, [down], [down]).read()
    assert isinstance(wrapped, RetriesExhaustedError)


def test_on_success_is_called_when_the_stream_has_ended_also_by_an_early_break(runner: Runner):
    reported = []
    stream = Stream(runner, retry_on_category(base_delay=0, on_success=reported.append), [down], [1, 2], [1, 2])
    assert stream.read(each=lambda: reported.append("item")) == [1, 2]
    assert stream.read(stop_after=1) == [1]
    assert [each if each == "item" else each.made for each in reported] == ["item", "item", 2, 1]
    assert last_call() is None or last_call().made == 2  # async: in the context of another task


def test_the_budget_pays_for_retries_and_is_paid_back_at_the_end(runner: Runner):
    budget = RetryBudget("stream", reserve=0)
    stream = Stream(runner, retry_on_category(base_delay=0, budget=budget), [down], [1, 2])
    during = []
    assert stream.read(each=lambda: during.append(budget.left())) == [1, 2]
    assert during[0] == during[1] < 500
    assert budget.left() == 500


def test_no_attempt_begins_that_a_deadline_leaves_no_time_for(runner: Runner):
    stream = Stream(runner, retrying, [down], [down], [1])

    def sync() -> list[object]:
        with resilience.deadline(2.5):
            return list(stream.guarded())

    async def asynchronous() -> list[object]:
        async with resilience.deadline(2.5):
            return [item async for item in stream.guarded()]

    with virtual_time() as clock, pytest.raises(ConnectionResetError):
        runner.run(sync, asynchronous)
    assert stream.begun == 2
    assert clock.now() == 1


def test_arguments_can_be_revised_until_the_first_item(runner: Runner):
    revising = retry_on_category(revise=lambda call, report: {"page": call["page"] + 1}, base_delay=0)

    def sync(page: int) -> Iterator[int]:
        if page < 3:
            raise SyntaxError(f"page {page}")
        yield page

    async def asynchronous(page: int) -> AsyncIterator[int]:
        if page < 3:
            raise SyntaxError(f"page {page}")
        yield page

    async def read() -> list[int]:
        return [item async for item in revising(asynchronous)(1)]

    assert runner.run(lambda: list(revising(sync)(1)), read) == [3]


def test_results_cannot_be_judged():
    def pages() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="retry_if_result has no result to judge"):
        retry_on_category(retry_if_result=lambda result: not result)(pages)


def test_a_guarded_generator_function_is_described_like_any_function():
    @retrying
    def pages() -> Iterator[int]:
        yield 1

    assert describe(pages).worst.calls == 3


# -- with circuits -------------------------------------------------------------------------------------------------


def test_each_attempt_asks_the_circuit_and_the_last_one_is_held_to_the_end(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=3, reset_timeout=5)
    stream = Stream(runner, lambda function: retrying(breaker(function)), [down], [down], [1, 2])
    seen = []
    assert stream.read(each=lambda: seen.append(breaker.fail_counter)) == [1, 2]
    assert seen == [2, 2]
    assert breaker.fail_counter == 0


def test_a_probe_is_in_flight_until_the_stream_has_ended(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=5)
    patient = retry_on_category("network|rejected", attempts=2, base_delay=6, jitter="none")
    stream = Stream(runner, lambda function: patient(breaker(function)), [down], [1, 2])
    seen = []
    assert stream.read(each=lambda: seen.append((breaker.state.name, len(breaker.state.permits)))) == [1, 2]
    assert seen == [("half-open", 1)] * 2
    assert breaker.state.name == "closed"


def test_a_stream_that_breaks_off_counts_once(runner: Runner):
    for order in (lambda policy, circuit: (policy, circuit), lambda policy, circuit: (circuit, policy)):
        breaker = circuit_breaker("stream", failure_threshold=5)
        outer, inner = order(retrying, breaker)
        stream = Stream(runner, lambda function: outer(inner(function)), [1, ConnectionResetError("gone")])  # noqa: B023
        stream.read()
        assert breaker.fail_counter == 1


def test_a_circuit_that_opens_ends_the_retries(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=1)
    stream = Stream(runner, lambda function: retrying(breaker(function)), [down], [1])
    (failed,) = stream.read()
    assert failed is down
    assert failed.resilience.reason is StopReason.CIRCUIT_OPEN
    assert isinstance(stream.read()[0], CircuitOpenError)
    assert stream.begun == 1


def test_the_key_of_a_circuit_is_the_calls(runner: Runner):
    hosts = circuit_breaker("host", failure_threshold=1, key=lambda host: host)
    stream = Stream(runner, lambda function: retrying(hosts(function)), [1, down], [1], [2])
    assert stream.read("a")[-1] is down
    assert isinstance(stream.read("a")[0], CircuitOpenError)
    assert stream.read("b") == [1]


# -- as a reader of the undecorated generator would expect ---------------------------------------------------------


def test_sent_values_thrown_errors_and_the_return_value_pass():
    seen = []

    @retry_on_category(base_delay=0)
    def talk() -> Iterator[object]:
        seen.append("begun")
        if len(seen) == 1:
            raise down
        heard = yield "hello"
        try:
            heard = yield f"heard {heard}"
        except KeyError:
            heard = yield "caught"
        return f"bye {heard}"

    talking = talk()
    assert next(talking) == "hello"
    assert talking.send("you") == "heard you"
    assert talking.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as ended:
        talking.send("end")
    assert ended.value.value == "bye end"
    assert list(talking) == []
    talking = talk()
    assert next(talking) == "hello"
    assert next(talking) == "heard None"
    assert talking.throw(KeyError()) == "caught"


def test_an_error_thrown_in_at_the_first_item_reaches_the_generator(runner: Runner):
    seen = []

    @retrying
    def items() -> Iterator[str]:
        try:
            yield "first"
        except KeyError as error:
            seen.append(error)
            yield "second"
            raise

    @retrying
    async def async_items() -> AsyncIterator[str]:
        try:
            yield "first"
        except KeyError as error:
            seen.append(error)
            yield "second"
            raise

    error = KeyError("thrown")

    def sync() -> None:
        it = items()
        assert next(it) == "first"
        assert it.throw(error) == "second"
        with pytest.raises(KeyError) as caught:
            next(it)
        assert caught.value is error

    async def asynchronous() -> None:
        it = async_items()
        assert await anext(it) == "first"
        assert await it.athrow(error) == "second"
        with pytest.raises(KeyError) as caught:
            await anext(it)
        assert caught.value is error

    runner.run(sync, asynchronous)
    assert seen == [error]


def test_a_break_at_the_first_item_closes_the_generator(runner: Runner):
    stream = Stream(runner, retrying, [1, 2], [1])
    assert stream.read(stop_after=1) == [1]
    assert (stream.begun, stream.closed) == (1, 1)


def test_an_error_in_closing_reaches_the_caller_of_close(runner: Runner):
    @retrying
    def items() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise down

    @retrying
    async def async_items() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise down

    def sync() -> None:
        it = items()
        next(it)
        with pytest.raises(ConnectionResetError):
            it.close()

    async def asynchronous() -> None:
        it = async_items()
        await anext(it)
        with pytest.raises(ConnectionResetError):
            await it.aclose()

    runner.run(sync, asynchronous)


def test_a_stop_iteration_that_the_generator_raises_is_a_runtime_error_as_ever(runner: Runner):
    stream = Stream(runner, retrying, [1, StopAsyncIteration() if runner.is_async else StopIteration()])
    one, error = stream.read()
    assert one == 1
    assert isinstance(error, RuntimeError)


def test_the_traceback_has_one_frame_of_the_toolkit(runner: Runner):
    for run in ([KeyError()], [1, KeyError()]):
        *_, error = Stream(runner, retrying, run).read()
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "resilience" in frame.filename]
        assert [frame.filename.split()[0] for frame in ours if "/tests/" not in frame.filename] == ["<resilience"]


def test_context_variables_are_the_consumers_own(runner: Runner):
    """As long as no limit moves the generator to a thread."""
    mark = contextvars.ContextVar("mark", default="none")

    def sync() -> list[str]:
        @retrying
        def items() -> Iterator[str]:
            token = mark.set("the generator's")
            yield mark.get()
            mark.reset(token)
            yield mark.get()

        it = items()
        return [next(it), mark.get(), next(it), mark.get()]

    async def asynchronous() -> list[str]:
        @retrying
        async def items() -> AsyncIterator[str]:
            token = mark.set("the generator's")
            yield mark.get()
            mark.reset(token)
            yield mark.get()

        it = items()
        seen = [await anext(it), mark.get(), await anext(it), mark.get()]
        await it.aclose()
        return seen

    assert runner.run(sync, asynchronous) == ["the generator's", "the generator's", "none", "none"]


def test_with_policies_switched_off_a_stream_is_like_the_undecorated_one(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=1)
    breaker.open()
    stream = Stream(runner, lambda function: retrying(breaker(function)), [1, 2], [down], [1, 2, down])
    with settings.disabled():
        assert stream.read() == [1, 2]
        assert stream.read() == [down]
        assert stream.read() == [1, 2, down]
    assert (stream.begun, stream.closed) == (3, 3)
    assert stream.names == []


def test_a_stream_that_has_begun_when_policies_are_switched_off_stays_guarded(runner: Runner):
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=5)
    off = settings.disabled(everywhere=True)
    stream = Stream(runner, breaker, [1, down])
    stream.read(each=off.__enter__)
    off.__exit__()
    assert breaker.state.name == "open"


# -- cancellation, Ctrl-C, the garbage collector --------------------------------------------------------------------


def permits_of(breaker: object) -> int:
    return len(breaker.state.permits)


@pytest.mark.parametrize("at", range(12))
def test_a_cancellation_at_any_await_closes_the_generator_and_frees_the_permit(backend: str, at: int):
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=0.0001)
    begun, closed = [], []

    @retry_on_category("network|rejected", attempts=4, base_delay=0)
    @breaker
    async def items() -> AsyncIterator[int]:
        begun.append(True)
        try:
            await anyio.sleep(0)
            if len(begun) == 1:
                raise ConnectionResetError
            for number in range(2):
                yield number
                await anyio.sleep(0)
        finally:
            closed.append(True)
            await anyio.lowlevel.checkpoint()

    async def main() -> None:
        with virtual_time() as clock:
            breaker.open()
            clock.advance(1)
            with anyio.CancelScope() as scope:
                async with contextlib.aclosing(items()) as guarded:
                    reading = guarded.__aiter__()
                    steps = 0

                    async def count() -> None:
                        nonlocal steps
                        while steps < at:
                            steps += 1
                            await anyio.lowlevel.checkpoint()
                        scope.cancel()

                    async with anyio.create_task_group() as group:
                        group.start_soon(count)
                        async for _ in reading:
                            await anyio.lowlevel.checkpoint()
            assert len(begun) == len(closed)
            assert breaker.state.name != "half-open" or permits_of(breaker) == 0

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("items", [[], [1]], ids=["before the first item", "after it"])
def test_ctrl_c_and_system_exit_give_the_permit_back(stop: type[BaseException], items: list[object]):
    breaker = circuit_breaker("stream", failure_threshold=1, reset_timeout=5)
    stream = Stream(Runner("sync"), lambda function: retrying(breaker(function)), [*items, stop()])
    with virtual_time() as clock:
        breaker.open()
        clock.advance(6)
        with pytest.raises(stop):
            list(stream.guarded())
        assert breaker.state.name == "half-open"
        assert permits_of(breaker) == 0
    assert stream.closed == 1


def test_an_unread_stream_ends_with_its_last_reference():
    stream = Stream(Runner("sync"), retrying, [1, 2])
    items = stream.guarded()
    assert next(items) == 1
    del items
    assert stream.closed == 1


@pytest.mark.parametrize("how", ["dropped", "left to the end of the loop"])
def test_an_unread_async_stream_is_closed_once_without_a_warning(how: str):
    closed, complaints, kept = [], [], []

    @retrying
    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await anyio.sleep(0)
            closed.append(True)
            over.set()

    over = asyncio.Event()

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        reading = items()
        assert await anext(reading) == 1
        if how == "dropped":
            del reading
            await asyncio.wait_for(over.wait(), 30)
        else:
            kept.append(reading)

    anyio.run(main, backend="asyncio")
    assert (closed, complaints) == ([True], [])


def test_an_async_stream_dropped_after_its_loop_has_ended_gives_no_warning():
    async def main() -> object:
        @retrying
        async def items() -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                await anyio.sleep(0)

        reading = items()
        await anext(reading)
        return reading

    import asyncio

    loop = asyncio.new_event_loop()
    try:
        reading = loop.run_until_complete(main())
    finally:
        loop.close()
    del reading
    gc.collect()


class Mark:
    """Something to have a weak reference to."""


def test_nothing_is_left_to_the_garbage_collector(runner: Runner):
    marks = []

    def guarded(fails: list[int]) -> object:
        @retry_on_category(attempts=2, base_delay=0)
        @circuit_breaker("stream", failure_threshold=100)
        def items() -> Iterator[Mark]:
            for fail in fails:
                if fail:
                    raise ConnectionResetError
                mark = Mark()
                marks.append(weakref.ref(mark))
                yield mark

        @retry_on_category(attempts=2, base_delay=0)
        @circuit_breaker("stream", failure_threshold=100)
        async def async_items() -> AsyncIterator[Mark]:
            for fail in fails:
                if fail:
                    raise ConnectionResetError
                mark = Mark()
                marks.append(weakref.ref(mark))
                yield mark

        return async_items if runner.is_async else items

    # Nothing that reads them keeps a frame: the loop of the test itself would.
    def sync(function: object) -> None:
        try:
            for item in function():
                del item
        except ConnectionResetError:
            pass

    async def asynchronous(function: object) -> None:
        try:
            async for item in function():
                del item
        except ConnectionResetError:
            pass

    def left(function: object) -> int:
        if runner.is_async:

            async def counted() -> int:
                await asynchronous(function)
                gc.collect()
                for _ in range(5):
                    await asynchronous(function)
                return gc.collect()

            return anyio.run(counted, backend=runner.name)
        sync(function)
        gc.collect()
        for _ in range(5):
            sync(function)
        return gc.collect()

    gc.disable()
    try:
        for fails in ([0, 0], [0, 1], [1]):
            assert left(guarded(fails)) == 0
            assert not any(mark() for mark in marks)
    finally:
        gc.enable()


def test_an_item_is_not_kept_while_the_next_one_is_fetched(runner: Runner):
    marks = []

    def made() -> Mark:
        mark = Mark()
        marks.append(weakref.ref(mark))
        return mark

    def sync() -> None:
        @retrying
        def items() -> Iterator[Mark]:
            for _ in range(3):
                assert not any(mark() for mark in marks)
                yield made()

        for item in items():
            del item

    async def asynchronous() -> None:
        @retrying
        async def items() -> AsyncIterator[Mark]:
            for _ in range(3):
                assert not any(mark() for mark in marks)
                yield made()

        async for item in items():
            del item

    runner.run(sync, asynchronous)
    assert len(marks) == 3


def test_time_between_items_is_the_consumers(runner: Runner):
    stream = Stream(runner, retrying, [Takes(2, 1), Takes(2, 2)])
    assert stream.read(each=lambda: stream.clock.advance(100)) == [1, 2]
    assert stream.clock.now() == 204


def test_a_stream_is_revised_before_its_first_item_and_not_after():
    class Wrong(Exception):
        category = ErrorCategory.RUNTIME

    asked: list[object] = []

    def rewrite(call: object, report: object) -> dict[str, object]:
        asked.append(call)
        return {"code": "right"}

    @retry_on_category(revise=rewrite)
    def run(code: str):
        if code == "wrong":
            raise Wrong
        yield 1
        raise Wrong

    items = run("wrong")
    assert next(items) == 1
    with pytest.raises(Wrong) as caught:
        next(items)
    assert len(asked) == 1
    assert caught.value.resilience.reason is StopReason.COMMITTED
