"""An asyncio event loop in virtual time: its time jumps to the next timer, so that no simulation waits."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from resilience.clock import SystemClock, using_clock

__all__ = ["run"]


class _JumpingSelector(selectors.DefaultSelector):
    """Advances the time instead of waiting. It selects no sockets: the simulations have none."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for another: the simulation would never end")
        self.now += max(0.0, timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._selector = _JumpingSelector()
        super().__init__(self._selector)

    def time(self) -> float:
        return self._selector.now


class _Clock(SystemClock):
    """The toolkit's clock: the time of the loop, and seeded random numbers."""

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def random(self) -> float:
        return random.random()


def run(main: Coroutine[Any, Any, None], seed: int) -> None:
    """Run *main* in virtual time from 0 on; the same *seed*, the same run."""
    loop = _Loop()
    # tenacity, and stamina with it, measure their elapsed time by `time.monotonic`.
    with (
        _seeded(seed),
        mock.patch("time.monotonic", loop.time),
        using_clock(_Clock(loop)),
        asyncio.Runner(loop_factory=lambda: loop) as runner,  # inside: it copies the context when it is made
    ):
        runner.run(main)


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
