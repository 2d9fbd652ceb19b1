"""Event loops whose time jumps to whatever is due next, and the ways to put a limit on what runs there."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from resilience import circuit_breaker, retry_on_category, timeout

Body = Callable[[], Awaitable[Any]]
Limited = Callable[[float, Body], Awaitable[Any]]


class _Jumping(selectors.DefaultSelector):
    """A selector that does not wait: the time of its loop jumps."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "no task would ever wake"
        self.now += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = _Jumping()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)


def run_trio(main: Callable[[], Awaitable[Any]]) -> Any:
    import trio.testing

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def pass_time(seconds: float) -> None:
    """Do what code does that blocks the event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio

        trio.lowlevel.current_clock().jump(seconds)
    else:
        loop.selector.now += seconds


async def forever() -> None:
    await asyncio.Event().wait()


# -- ways to limit a body --------------------------------------------------------------------------------------------


async def by_asyncio(seconds: float, body: Body) -> Any:
    """The model."""
    async with asyncio.timeout(seconds):
        return await body()


async def by_block(seconds: float, body: Body) -> Any:
    async with timeout(seconds):
        return await body()


async def by_function(seconds: float, body: Body) -> Any:
    return await timeout(seconds)(awaiting(body))()


async def by_stack(seconds: float, body: Body) -> Any:
    return await retry_on_category(attempts=1)(circuit_breaker("c")(timeout(seconds)(awaiting(body))))()


def awaiting(body: Body) -> Callable[[], Coroutine[Any, Any, Any]]:
    """Return a coroutine function; a body may be a lambda."""

    async def function() -> Any:
        return await body()

    return function
