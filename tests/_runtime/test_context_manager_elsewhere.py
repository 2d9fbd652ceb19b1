"""Blocks that are left in another context, task or thread than they were entered in, and blocks that overlap."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.to_thread
import fastapi
import httpx
import pytest

from resilience import CircuitBreaker, CircuitOpenError, circuit_breaker, deadline, fallback, remaining
from resilience.metrics import track_errors
from resilience.metrics._call_stats import CALL_STATS
from resilience.testing import virtual_time
from tests.independent_caller import IndependentCaller

down = ConnectionResetError("down")
elsewhere = contextvars.copy_context().run


def dependency(block: object, error: Exception | None = None) -> Iterator[None]:
    with block:
        yield
        if error is not None:
            raise error


def step_elsewhere(steps: Iterator[None]) -> None:
    contextvars.copy_context().run(next, steps)


@pytest.mark.parametrize("made", [lambda breaker: breaker, CircuitBreaker.calling], ids=["with breaker", "calling()"])
def test_each_step_of_a_generator_with_a_block_may_run_in_a_context_of_its_own(
    made: Callable[[CircuitBreaker], object],
):
    breaker = circuit_breaker("db", failure_threshold=2)
    for _ in range(2):
        steps = dependency(made(breaker), down)
        step_elsewhere(steps)
        with pytest.raises(ConnectionResetError):
            step_elsewhere(steps)
    assert breaker.current_state == "open"
    with pytest.raises(CircuitOpenError):
        step_elsewhere(dependency(made(breaker)))


@pytest.mark.parametrize("made", [lambda breaker: breaker, CircuitBreaker.calling], ids=["with breaker", "calling()"])
def test_a_probe_that_is_left_in_another_context_closes_the_circuit(made: Callable[[CircuitBreaker], object]):
    breaker = circuit_breaker("db", failure_threshold=1)
    breaker.half_open()
    steps = dependency(made(breaker))
    step_elsewhere(steps)
    assert breaker.probes_in_flight == 1
    with pytest.raises(StopIteration):
        step_elsewhere(steps)
    assert breaker.current_state == "closed"


@pytest.mark.parametrize("made", [lambda breaker: breaker, CircuitBreaker.calling], ids=["with breaker", "calling()"])
def test_a_block_may_be_left_in_another_thread(made: Callable[[CircuitBreaker], object]):
    breaker = circuit_breaker("db", failure_threshold=1)
    steps = dependency(made(breaker), down)
    next(steps)

    def leave() -> None:
        with pytest.raises(ConnectionResetError):
            next(steps)

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert breaker.current_state == "open"


def test_blocks_that_overlap_each_keep_their_own_outcome():
    breaker = circuit_breaker("db", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        old = dependency(breaker, down)
        step_elsewhere(old)  # admitted while it is closed
        breaker.open()
        clock.advance(30)
        probe = dependency(breaker)
        step_elsewhere(probe)
        with pytest.raises(ConnectionResetError):
            step_elsewhere(old)  # late: it decides nothing
        assert breaker.current_state == "half-open"
        with pytest.raises(StopIteration):
            step_elsewhere(probe)
        assert breaker.current_state == "closed"


def test_blocks_that_overlap_in_one_context_each_keep_their_own_outcome():
    breaker = circuit_breaker("db", failure_threshold=5)
    first, second, third = dependency(breaker, down), dependency(breaker), dependency(breaker, down)
    for steps in (first, second, third):
        next(steps)
    with pytest.raises(ConnectionResetError):
        next(first)
    assert breaker.fail_counter == 1
    with pytest.raises(StopIteration):
        next(second)
    assert breaker.fail_counter == 0
    with pytest.raises(ConnectionResetError):
        next(third)
    assert breaker.fail_counter == 1


def test_blocks_of_one_function_nest(monkeypatch: pytest.MonkeyPatch):
    """An inner one ends first, though both stand in the same frame."""
    tracked = track_errors(component="nesting")
    with virtual_time() as clock, tracked:
        clock.advance(1)
        with tracked:
            clock.advance(2)
    name = f"{__name__}.{test_blocks_of_one_function_nest.__qualname__}"
    totals = CALL_STATS.for_target(name, "nesting").totals()
    assert (totals.success.calls, totals.success.seconds) == (2, 5.0)


async def async_dependency(block: object, error: Exception | None = None) -> AsyncIterator[None]:
    async with block:
        yield
        if error is not None:
            raise error


@pytest.mark.parametrize("made", [lambda breaker: breaker, CircuitBreaker.calling], ids=["with breaker", "calling()"])
def test_an_async_block_may_be_entered_and_left_in_different_tasks(
    made: Callable[[CircuitBreaker], object], backend: str
):
    breaker = circuit_breaker("db", failure_threshold=1)

    async def main() -> None:
        steps = async_dependency(made(breaker), down)

        async def enter() -> None:
            await anext(steps)

        async def leave() -> None:
            with pytest.raises(ConnectionResetError):
                await anext(steps)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)

    anyio.run(main, backend=backend)
    assert breaker.current_state == "open"


def test_async_blocks_that_overlap_each_keep_their_own_outcome(backend: str):
    breaker = circuit_breaker("db", failure_threshold=5)

    async def main() -> list[int]:
        first, second = async_dependency(breaker, down), async_dependency(breaker)
        await anext(first)
        await anext(second)
        counts = []
        with pytest.raises(ConnectionResetError):
            await anext(first)
        counts.append(breaker.fail_counter)
        with pytest.raises(StopAsyncIteration):
            await anext(second)
        return [*counts, breaker.fail_counter]

    assert anyio.run(main, backend=backend) == [1, 0]


def test_exit_stacks_of_different_tasks_end_their_own_blocks():
    tracked = track_errors(component="stacks")

    async def work(number: int, began: list[asyncio.Event]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(tracked)
            began[number].set()
            await began[1 - number].wait()
            if number == 0:
                await asyncio.sleep(0)
                raise down

    async def main() -> list[object]:
        began = [asyncio.Event(), asyncio.Event()]
        return await asyncio.gather(work(0, began), work(1, began), return_exceptions=True)

    answers = asyncio.run(main())
    assert answers == [down, None]
    totals = CALL_STATS.for_target("contextlib.AsyncExitStack.enter_async_context", "stacks").totals()
    assert (totals.success.calls, dict(totals.errors)) == (1, {("ConnectionResetError", "network"): 1})


def test_an_exit_stack_ends_its_block_and_not_that_of_a_generator_entered_since():
    breaker = circuit_breaker("db", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        with contextlib.ExitStack() as stack:
            stack.enter_context(breaker)  # admitted while it is closed
            breaker.open()
            clock.advance(30)
            probe = dependency(breaker, down)
            step_elsewhere(probe)
        assert breaker.current_state == "half-open"
        with pytest.raises(ConnectionResetError):
            step_elsewhere(probe)
        assert breaker.current_state == "open"


def test_one_block_of_calling_can_be_ended_by_hand_anywhere(backend: str):
    breaker = circuit_breaker("db", failure_threshold=1)
    breaker.half_open()
    block = breaker.calling()
    IndependentCaller().enter(block)
    with pytest.raises(CircuitOpenError):
        IndependentCaller().enter(breaker.calling())

    async def main() -> None:
        await anyio.to_thread.run_sync(block.__exit__, None, None, None)

    anyio.run(main, backend=backend)
    assert breaker.current_state == "closed"


@pytest.mark.parametrize("left", [False, True])
def test_a_block_of_calling_is_for_one_use(left: bool):
    breaker = circuit_breaker("db")
    block = breaker.calling()
    with pytest.raises(RuntimeError, match="is left, but was not entered, or left already"):
        block.__exit__(None, None, None)
    block.__enter__()
    if left:
        block.__exit__(None, None, None)
        with pytest.raises(RuntimeError, match="is left, but was not entered, or left already"):
            block.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match=r"entered already; call calling\(\) for each block"):
        block.__enter__()


def test_a_block_that_is_cancelled_in_another_context_gives_its_permit_back():
    breaker = circuit_breaker("db", failure_threshold=1)
    breaker.half_open()
    steps = dependency(breaker)
    step_elsewhere(steps)
    contextvars.copy_context().run(steps.close)
    assert (breaker.current_state, breaker.probes_in_flight) == ("half-open", 0)
    with breaker:
        pass
    assert breaker.current_state == "closed"


def test_a_deadline_that_is_left_in_another_context_leaves_nothing_behind():
    steps = dependency(deadline(5))
    step_elsewhere(steps)
    with pytest.raises(StopIteration):
        step_elsewhere(steps)
    assert remaining() is None


def test_a_fallback_s_block_covers_its_error_in_another_context():
    covered = fallback(default="stale")

    def steps() -> Iterator[object]:
        with covered as result:
            yield "entered"
            raise down
        yield result.value

    step = steps()
    assert contextvars.copy_context().run(next, step) == "entered"
    assert contextvars.copy_context().run(next, step) == "stale"


def test_many_threads_enter_and_leave_one_object():
    breaker = circuit_breaker("db", failure_threshold=10**6)
    failures = 0
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal failures
        for turn in range(200):
            steps = dependency(breaker, down if (number + turn) % 2 else None)
            next(steps)
            try:
                next(steps)
            except ConnectionResetError:
                with lock:
                    failures += 1
            except StopIteration:
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == 8 * 100

    from resilience._runtime import context_manager as blocks

    assert not [block for each in blocks._open.values() for block in each if block.owner is breaker]


@pytest.mark.parametrize("style", ["sync", "async", "calling"])
def test_a_dependency_of_fastapi_that_yields_within_a_block_opens_the_circuit(style: str):
    breaker = circuit_breaker("db", failure_threshold=2)
    app = fastapi.FastAPI()

    def connection() -> Iterator[str]:
        with breaker:
            yield "connection"

    async def async_connection() -> AsyncIterator[str]:
        async with breaker:
            yield "connection"

    def calling_connection() -> Iterator[str]:
        with breaker.calling():
            yield "connection"

    depends = {"sync": connection, "async": async_connection, "calling": calling_connection}[style]

    @app.get("/")
    def read(fails: bool, conn: str = fastapi.Depends(depends)) -> str:  # noqa: FAST002  # a local name, and annotations are text
        if fails:
            raise down
        return conn

    async def main() -> list[object]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        answers: list[object] = []
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for fails in (False, True, True, False):
                try:
                    answers.append((await client.get("/", params={"fails": fails})).json())
                except Exception as error:
                    answers.append(type(error))
            breaker.half_open()
            answers.append((await client.get("/", params={"fails": False})).json())
        return answers

    answers = asyncio.run(main())
    assert answers == ["connection", ConnectionResetError, ConnectionResetError, CircuitOpenError, "connection"]
    assert breaker.current_state == "closed"
