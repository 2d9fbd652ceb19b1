"""Generators, sync and async: guarded by a circuit until they are exhausted or closed. Alike with other policies."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

from resilience import CircuitBreaker, CircuitOpenError, circuit_breaker, deadline, fallback, timeout
from resilience.testing import virtual_time

down = ConnectionResetError("down")


def breaker_with(**parameters: object) -> CircuitBreaker:
    return circuit_breaker("stream", failure_threshold=2, reset_timeout=30, **parameters)


class Both:
    """The same stream as a generator and as an async one, read by a function that is written once."""

    def __init__(self, kind: str, breaker: CircuitBreaker) -> None:
        self.kind = kind

        @breaker
        def items(*given: object) -> Iterator[object]:
            for item in given:
                if isinstance(item, BaseException):
                    raise item
                yield item

        @breaker
        async def async_items(*given: object) -> AsyncIterator[object]:
            for item in given:
                await anyio.sleep(0)
                if isinstance(item, BaseException):
                    raise item
                yield item

        self.items, self.async_items = items, async_items

    def read(self, *given: object, stop_after: int = 99) -> list[object]:
        got: list[object] = []
        if self.kind == "sync":
            with contextlib.closing(self.items(*given)) as items:
                for item in items:
                    got.append(item)
                    if len(got) == stop_after:
                        break
            return got

        async def main() -> None:
            async with contextlib.aclosing(self.async_items(*given)) as items:
                async for item in items:
                    got.append(item)
                    if len(got) == stop_after:
                        break

        anyio.run(main, backend=self.kind)
        return got


@pytest.fixture(params=["sync", "asyncio", "trio"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_all_items_come_and_the_end_is_a_success(kind: str):
    breaker = breaker_with()
    stream = Both(kind, breaker)
    with pytest.raises(ConnectionResetError):
        stream.read(down)
    assert breaker.fail_counter == 1
    assert stream.read(1, 2, 3) == [1, 2, 3]
    assert breaker.fail_counter == 0


def test_a_failure_after_some_items_counts(kind: str):
    breaker = breaker_with()
    stream = Both(kind, breaker)
    for _ in range(2):
        with pytest.raises(ConnectionResetError) as caught:
            stream.read(1, 2, down)
        assert caught.value is down
    assert breaker.state.name == "open"


def test_an_open_circuit_rejects_at_the_first_item_and_begins_nothing(kind: str):
    breaker = breaker_with()
    breaker.open()
    with pytest.raises(CircuitOpenError):
        Both(kind, breaker).read(1)


def test_an_early_break_is_no_failure(kind: str):
    breaker = breaker_with()
    stream = Both(kind, breaker)
    assert stream.read(1, down, stop_after=1) == [1]
    assert breaker.fail_counter == 0


def test_a_probe_is_in_flight_until_its_stream_has_ended(kind: str):
    breaker = breaker_with()
    stream = Both(kind, breaker)
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        items = stream.items(1, 2)
        assert next(items) == 1
        with pytest.raises(CircuitOpenError, match="its probe is in flight"):
            stream.read(1)
        assert list(items) == [2]
        assert breaker.state.name == "closed"


def test_a_stream_closed_before_its_first_item_counts_for_nothing():
    breaker = breaker_with()
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        Both("sync", breaker).items(1).close()
        assert breaker.state.name == "open"


def test_sent_values_and_thrown_errors_reach_the_generator():
    @breaker_with()
    def talk() -> Iterator[object]:
        heard = yield "hello"
        try:
            yield f"heard {heard}"
        except KeyError:
            yield "caught"
        return "bye"

    talking = talk()
    assert next(talking) == "hello"
    assert talking.send("you") == "heard you"
    assert talking.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as ended:
        next(talking)
    assert ended.value.value == "bye"


def test_sent_values_and_thrown_errors_reach_the_async_generator(backend: str):
    closed = []

    @breaker_with()
    async def talk() -> AsyncIterator[object]:
        try:
            heard = yield "hello"
            try:
                yield f"heard {heard}"
            except KeyError:
                yield "caught"
        finally:
            await anyio.sleep(0)
            closed.append(True)

    async def main() -> None:
        talking = talk()
        assert await anext(talking) == "hello"
        assert await talking.asend("you") == "heard you"
        assert await talking.athrow(KeyError()) == "caught"
        await talking.aclose()

    anyio.run(main, backend=backend)
    assert closed == [True]


def test_a_stream_that_is_cancelled_counts_for_nothing_and_frees_its_permit(backend: str):
    breaker = breaker_with()

    @breaker
    async def hang() -> AsyncIterator[int]:
        yield 1
        await anyio.sleep_forever()

    async def main() -> None:
        with virtual_time() as clock:
            breaker.open()
            clock.advance(30)
            with anyio.CancelScope() as scope:
                async with contextlib.aclosing(hang()) as items:
                    async for _ in items:
                        scope.cancel()
            assert scope.cancelled_caught
            assert breaker.state.name == "half-open"
            assert breaker.state.permits == set()

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_and_system_exit_pass_and_count_for_nothing(stop: type[BaseException]):
    breaker = breaker_with()
    with pytest.raises(stop):
        Both("sync", breaker).read(1, stop())
    assert breaker.fail_counter == 0


def test_a_guarded_generator_function_is_a_generator_function():
    stream = Both("sync", breaker_with())
    assert inspect.isgeneratorfunction(stream.items)
    assert inspect.isasyncgenfunction(stream.async_items)

    class Shop:
        @breaker_with()
        def pages(self, size: int = 2, *, start: int = 0) -> Iterator[range]:
            yield range(start, start + size)

    assert list(Shop().pages(start=1)) == [range(1, 3)]
    with pytest.raises(TypeError, match="unexpected keyword argument 'begin'"):
        list(Shop().pages(begin=1))


@pytest.mark.generated_wrapper
def test_wrong_arguments_fail_at_the_call_and_not_at_the_first_item():
    @breaker_with()
    def pages(size: int) -> Iterator[range]:
        yield range(size)

    with pytest.raises(TypeError, match="unexpected keyword argument 'begin'"):
        pages(begin=1)


@pytest.mark.parametrize(
    "policy", [deadline(1), timeout(1), fallback(default=1)], ids=["deadline", "limit", "fallback"]
)
def test_a_policy_that_cannot_guard_a_stream_is_refused_with_the_reason(policy: Callable[..., object]):
    def pages() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match=r"cannot guard the generator function .*pages by "):
        policy(pages)


def test_circuits_stack_and_a_key_chooses_one(kind: str):
    outer, inner = circuit_breaker("outer", failure_threshold=1), circuit_breaker("host", key=lambda *given: given[-1])
    stream = Both(kind, lambda function: outer(inner(function)))
    inner.of("b").open()
    with pytest.raises(CircuitOpenError, match="circuit 'host' is open"):
        stream.read(1, "b")
    assert stream.read(1, "a") == [1, "a"]
    assert outer.state.name == "closed"  # a rejection counts for no circuit
