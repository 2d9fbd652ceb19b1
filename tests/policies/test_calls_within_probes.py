"""A call inside a probe belongs to that probe: it is admitted, and decides nothing of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pybreaker
import pytest

from resilience import CircuitBreaker, CircuitOpenError, circuit_breaker, retry_on_category, subscribe, timeout
from resilience.events import Event
from resilience.testing import VirtualClock, virtual_time
from tests.independent_caller import IndependentCaller
from tests.runners import Runner

down = ConnectionResetError("down")


def probing(breaker: CircuitBreaker, clock: VirtualClock) -> None:
    """Have the next call be a probe."""
    breaker.open()
    clock.advance(breaker.reset_timeout)


def play(runner: Runner, breaker: CircuitBreaker, sync: Callable[[], object], asynchronous: object) -> list[str]:
    """Run what makes a probe; return the names of the events since."""
    events: list[Event] = []
    with virtual_time(patience=5) as clock:
        probing(breaker, clock)
        with subscribe(events.append):
            runner.run(sync, asynchronous)
    return [event.name for event in events]


HALF_OPENED_AND_CLOSED = ["circuit.half_opened", "circuit.closed"]
HALF_OPENED_AND_OPENED = ["circuit.half_opened", "circuit.opened"]


def test_a_method_of_a_guarded_class_that_calls_another_one_closes_the_circuit(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    class Client:
        def fetch(self, number: int) -> int:
            return number

        def fetch_all(self) -> list[int]:
            return [self.fetch(number) for number in range(3)]

        async def fetch_async(self, number: int) -> int:
            await anyio.lowlevel.checkpoint()
            return number

        async def fetch_all_async(self) -> list[int]:
            return [await self.fetch_async(number) for number in range(3)]

    async def main() -> None:
        assert await Client().fetch_all_async() == [0, 1, 2]

    def main_sync() -> None:
        assert Client().fetch_all() == [0, 1, 2]

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_a_function_may_call_another_one_with_the_same_circuit(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def inner() -> str:
        return "answer"

    @breaker
    def outer() -> str:
        return inner()

    @breaker
    async def inner_async() -> str:
        await anyio.lowlevel.checkpoint()
        return "answer"

    @retry_on_category(attempts=2, base_delay=1)
    @breaker
    @timeout(5)
    async def outer_async() -> str:
        return await inner_async()

    def main_sync() -> None:
        assert outer() == "answer"

    async def main() -> None:
        assert await outer_async() == "answer"

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_a_function_may_call_itself(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def walk(depth: int) -> int:
        return depth and 1 + walk(depth - 1)

    @breaker
    async def walk_async(depth: int) -> int:
        return depth and 1 + await walk_async(depth - 1)

    def main_sync() -> None:
        assert walk(5) == 5

    async def main() -> None:
        assert await walk_async(5) == 5

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_a_block_may_call_what_its_circuit_guards(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch() -> str:
        return "answer"

    @breaker
    async def fetch_async() -> str:
        return "answer"

    def main_sync() -> None:
        with breaker, breaker:
            assert fetch() == "answer"

    async def main() -> None:
        async with breaker, breaker:
            assert await fetch_async() == "answer"

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_a_paging_generator_may_call_what_its_circuit_guards(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch(page: int) -> int:
        return page

    @breaker
    def pages() -> Iterator[int]:
        for page in range(3):
            yield fetch(page)

    @breaker
    async def fetch_async(page: int) -> int:
        return page

    @breaker
    async def pages_async() -> AsyncIterator[int]:
        for page in range(3):
            yield await fetch_async(page)

    def main_sync() -> None:
        assert list(pages()) == [0, 1, 2]

    async def main() -> None:
        assert [page async for page in pages_async()] == [0, 1, 2]

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_the_consumer_of_a_guarded_generator_is_outside_of_its_probe(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch(page: int) -> int:
        return page

    @breaker
    def pages() -> Iterator[int]:
        for page in range(3):
            yield fetch(page)

    @breaker
    async def fetch_async(page: int) -> int:
        return page

    @breaker
    async def pages_async() -> AsyncIterator[int]:
        for page in range(3):
            yield await fetch_async(page)

    def main_sync() -> None:
        for page in pages():
            with pytest.raises(CircuitOpenError):
                fetch(page)

    async def main() -> None:
        async for page in pages_async():
            with pytest.raises(CircuitOpenError):
                await fetch_async(page)

    names = play(runner, breaker, main_sync, main)
    assert names == ["circuit.half_opened", *["call.rejected"] * 3, "circuit.closed"]


def test_the_consumer_of_a_stream_with_limits_is_outside_of_its_probe_too(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch(page: int) -> int:
        return page

    @breaker
    @timeout(first_item=5, idle=5)
    def pages() -> Iterator[int]:
        for page in range(3):
            yield fetch(page)

    @breaker
    async def fetch_async(page: int) -> int:
        return page

    @breaker
    @timeout(first_item=5, idle=5)
    async def pages_async() -> AsyncIterator[int]:
        for page in range(3):
            yield await fetch_async(page)

    def main_sync() -> None:
        for page in pages():
            with pytest.raises(CircuitOpenError):
                fetch(page)

    async def main() -> None:
        async for page in pages_async():
            with pytest.raises(CircuitOpenError):
                await fetch_async(page)

    play(runner, breaker, main_sync, main)
    assert breaker.state.name == "closed"


def test_values_and_errors_sent_into_a_probing_generator_arrive_and_its_end_decides(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch(page: object) -> object:
        return page

    @breaker
    def talk() -> Iterator[object]:
        said = yield "first"
        try:
            yield fetch(said)
        except KeyError:
            yield fetch("caught")

    @breaker
    async def fetch_async(page: object) -> object:
        return page

    @breaker
    async def talk_async() -> AsyncIterator[object]:
        said = yield "first"
        try:
            yield await fetch_async(said)
        except KeyError:
            yield await fetch_async("caught")

    def main_sync() -> None:
        talking = talk()
        assert [next(talking), talking.send("hello"), talking.throw(KeyError())] == ["first", "hello", "caught"]
        talking.close()

    async def main() -> None:
        talking = talk_async()
        assert [await anext(talking), await talking.asend("hello"), await talking.athrow(KeyError())] == [
            "first",
            "hello",
            "caught",
        ]
        await talking.aclose()

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_tasks_that_a_probe_starts_belong_to_it(backend: str):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)
    answers: list[int] = []

    @breaker
    async def fetch(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        answers.append(number)

    @breaker
    async def fetch_all() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(fetch, number)

    with virtual_time(patience=5) as clock:
        probing(breaker, clock)
        anyio.run(fetch_all, backend=backend)
    assert sorted(answers) == [0, 1, 2, 3]
    assert breaker.state.name == "closed"


def test_threads_that_copy_the_context_of_a_probe_belong_to_it(backend: str):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch(number: int) -> int:
        return number

    @breaker
    async def fetch_all() -> list[int]:
        return [await anyio.to_thread.run_sync(fetch, number) for number in range(2)]

    async def main() -> list[int]:
        return await fetch_all()

    breaker.half_open()
    assert anyio.run(main, backend=backend) == [0, 1]
    assert breaker.state.name == "closed"


def test_a_task_that_outlives_its_probe_is_a_caller_like_any_other():
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    async def fetch() -> None: ...

    async def main() -> list[str]:
        go = asyncio.Event()

        async def later() -> str:
            await go.wait()
            try:
                await fetch()
            except CircuitOpenError:
                return "rejected"
            return "passed"

        @breaker
        async def start() -> asyncio.Task[str]:
            raise_in.append(asyncio.create_task(later()))
            raise NameError  # decides nothing: it stays half-open

        raise_in: list[asyncio.Task[str]] = []
        with pytest.raises(NameError):
            await start()
        assert breaker.state.name == "half-open"
        other_ended = asyncio.Event()

        @breaker
        async def other_probe() -> None:
            await other_ended.wait()

        other = asyncio.create_task(other_probe(), context=contextvars.Context())
        await asyncio.sleep(0)
        go.set()
        answer = await raise_in[0]
        other_ended.set()
        await other
        return [answer, breaker.state.name]

    breaker.half_open()
    assert asyncio.run(main()) == ["rejected", "closed"]


def test_other_calls_are_rejected_while_a_probe_and_its_inner_calls_are_in_flight(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)
    rejected: list[bool] = []

    @breaker
    def inner() -> None:
        with pytest.raises(CircuitOpenError):
            others.call(breaker.call, int)
        rejected.append(True)

    @breaker
    def outer() -> None:
        inner()

    @breaker
    async def inner_async() -> None:
        inner.__wrapped__()

    @breaker
    async def outer_async() -> None:
        await inner_async()

    def main_sync() -> None:
        nonlocal others
        others = IndependentCaller()
        outer()

    async def main() -> None:
        nonlocal others
        others = IndependentCaller()
        await outer_async()

    others = IndependentCaller()
    play(runner, breaker, main_sync, main)
    assert rejected == [True]
    assert breaker.state.name == "closed"


def test_a_failure_within_a_probe_that_the_probe_handles_decides_nothing(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch() -> None:
        raise down

    @breaker
    def fetch_all() -> str:
        with pytest.raises(ConnectionResetError):
            fetch()
        return "partial"

    @breaker
    async def fetch_async() -> None:
        raise down

    @breaker
    async def fetch_all_async() -> str:
        with pytest.raises(ConnectionResetError):
            await fetch_async()
        return "partial"

    def main_sync() -> None:
        assert fetch_all() == "partial"

    async def main() -> None:
        assert await fetch_all_async() == "partial"

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_a_failure_within_a_probe_that_ends_the_probe_opens_the_circuit_once_and_counts_once(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch() -> None:
        raise down

    @breaker
    def fetch_all() -> None:
        fetch()

    @breaker
    async def fetch_async() -> None:
        raise down

    @breaker
    async def fetch_all_async() -> None:
        await fetch_async()

    def main_sync() -> None:
        with pytest.raises(ConnectionResetError):
            fetch_all()

    async def main() -> None:
        with pytest.raises(ConnectionResetError):
            await fetch_all_async()

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_OPENED
    assert breaker.fail_counter == 1  # opened by hand, without any


def test_a_cancelled_probe_leaves_nothing_behind_for_its_task(backend: str):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    async def hang() -> None:
        await anyio.sleep_forever()

    @breaker
    async def fetch() -> str:
        return "answer"

    async def main() -> None:
        with anyio.move_on_after(0):
            await hang()
        assert breaker.state.name == "half-open"
        others = IndependentCaller()
        async with breaker:  # another probe of the same task
            with pytest.raises(CircuitOpenError):
                others.call(breaker.call, int)
        assert breaker.state.name == "closed"

    breaker.half_open()
    anyio.run(main, backend=backend)


def test_a_call_within_a_probe_whose_lease_is_over_is_a_probe_of_its_own(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30, probe_timeout=5)
    clocks: list[VirtualClock] = []

    @breaker
    def fetch() -> None: ...

    @breaker
    def slow() -> None:
        clocks[0].advance(5)
        fetch()
        assert breaker.state.name == "closed"
        raise down  # late: it decides nothing

    @breaker
    async def fetch_async() -> None: ...

    @breaker
    async def slow_async() -> None:
        clocks[0].advance(5)
        await fetch_async()
        assert breaker.state.name == "closed"
        raise down

    def main_sync() -> None:
        with pytest.raises(ConnectionResetError):
            slow()

    async def main() -> None:
        with pytest.raises(ConnectionResetError):
            await slow_async()

    with virtual_time(patience=5) as clock:
        clocks.append(clock)
        probing(breaker, clock)
        runner.run(main_sync, main)
    assert (breaker.state.name, breaker.fail_counter) == ("closed", 0)


def test_a_call_within_a_probe_is_rejected_after_the_circuit_has_opened_again(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def fetch() -> None: ...

    @breaker
    def opening() -> None:
        breaker.open()
        fetch()

    @breaker
    async def fetch_async() -> None: ...

    @breaker
    async def opening_async() -> None:
        breaker.open()
        await fetch_async()

    def main_sync() -> None:
        with pytest.raises(CircuitOpenError):
            opening()

    async def main() -> None:
        with pytest.raises(CircuitOpenError):
            await opening_async()

    play(runner, breaker, main_sync, main)
    assert breaker.state.name == "open"


def test_a_probe_of_one_circuit_is_no_probe_of_another(runner: Runner):
    one = circuit_breaker("one", failure_threshold=1, reset_timeout=30)
    two = circuit_breaker("two", failure_threshold=1, reset_timeout=30)

    @two
    def inner() -> None: ...

    @one
    def outer() -> None:
        inner()

    @two
    async def inner_async() -> None: ...

    @one
    async def outer_async() -> None:
        await inner_async()

    def main_sync() -> None:
        with pytest.raises(CircuitOpenError, match="circuit 'two' is open"):
            outer()

    async def main() -> None:
        with pytest.raises(CircuitOpenError, match="circuit 'two' is open"):
            await outer_async()

    two.open()
    play(runner, one, main_sync, main)
    assert one.state.name == "half-open"  # a rejection decides nothing


@pytest.mark.parametrize("other", [False, True], ids=["the same key", "another key"])
def test_with_a_circuit_for_each_key_the_calls_of_the_same_key_belong_together(runner: Runner, other: bool):
    hosts = circuit_breaker("hosts", failure_threshold=1, reset_timeout=30, key=lambda host, inside=None: host)

    @hosts
    def call(host: str, inside: str | None = None) -> str:
        return host if inside is None else call(inside)

    @hosts
    async def call_async(host: str, inside: str | None = None) -> str:
        return host if inside is None else await call_async(inside)

    inside = "b" if other else "a"
    answers: list[object] = []

    def main_sync() -> None:
        try:
            answers.append(call("a", inside))
        except CircuitOpenError:
            answers.append("rejected")

    async def main() -> None:
        try:
            answers.append(await call_async("a", inside))
        except CircuitOpenError:
            answers.append("rejected")

    with virtual_time(patience=5) as clock:
        hosts.of("a").open()
        clock.advance(30)
        hosts.of("b").open()
        runner.run(main_sync, main)
    assert answers == ["rejected" if other else "a"]
    assert hosts.of("a").state.name == ("half-open" if other else "closed")


def test_the_inner_calls_of_a_call_that_a_ramp_up_admits_are_admitted_too(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=1, reset_timeout=30, ramp_up=100)

    @breaker
    def fetch() -> None: ...

    @breaker
    def fetch_all() -> None:
        for _ in range(200):
            fetch()

    @breaker
    async def fetch_async() -> None: ...

    @breaker
    async def fetch_all_async() -> None:
        for _ in range(200):
            await fetch_async()

    passed: list[bool] = []

    def main_sync(clock: VirtualClock) -> None:
        fetch()  # the probe
        clock.advance(1)
        for _ in range(10_000):  # until one is in the share of one in a hundred
            with contextlib.suppress(CircuitOpenError):
                fetch_all()
                passed.append(True)
                return

    async def main(clock: VirtualClock) -> None:
        await fetch_async()
        clock.advance(1)
        for _ in range(10_000):
            with contextlib.suppress(CircuitOpenError):
                await fetch_all_async()
                passed.append(True)
                return

    with virtual_time(patience=5) as clock:
        probing(breaker, clock)
        runner.run(functools.partial(main_sync, clock), functools.partial(main, clock))
    assert passed == [True]


def test_listeners_are_notified_of_the_probe_and_not_of_its_inner_calls(runner: Runner):
    notifications: list[str] = []

    class Listener(pybreaker.CircuitBreakerListener):
        def before_call(self, cb, func, *args, **kwargs):
            notifications.append("before_call")

        def success(self, cb):
            notifications.append("success")

        def failure(self, cb, exc):
            notifications.append("failure")

        def state_change(self, cb, old_state, new_state):
            notifications.append(new_state.name)

    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30, listeners=[Listener()])

    @breaker
    def fetch() -> None: ...

    @breaker
    def fetch_all() -> None:
        fetch()

    @breaker
    async def fetch_async() -> None: ...

    @breaker
    async def fetch_all_async() -> None:
        await fetch_async()

    play(runner, breaker, fetch_all, fetch_all_async)
    assert notifications == ["open", "half-open", "before_call", "success", "closed"]


def test_a_stream_that_is_collected_half_way_gives_its_permit_back(runner: Runner):
    breaker = circuit_breaker("api", failure_threshold=2, reset_timeout=30)

    @breaker
    def pages() -> Iterator[int]:
        yield from range(3)

    @breaker
    async def pages_async() -> AsyncIterator[int]:
        for page in range(3):
            yield page

    def main_sync() -> None:
        stream = pages()
        next(stream)
        del stream
        gc.collect()

    async def main() -> None:
        stream = pages_async()
        await anext(stream)
        await stream.aclose()

    assert play(runner, breaker, main_sync, main) == HALF_OPENED_AND_CLOSED


def test_a_probe_that_is_closed_while_the_interpreter_ends_uses_no_global_name(monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("shop", failure_threshold=1)
    breaker.half_open()

    @breaker
    def items() -> Iterator[str]:
        yield "lamp"

    reading = items()
    next(reading)
    monkeypatch.setattr("resilience.policies._circuit_state_machine.ProbePermit", None)  # as the interpreter does it
    reading.close()
    assert not breaker.circuit.state.permits
