"""Time that jumps: libraries run as they are, on asyncio, and nobody waits."""

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


class _Jumping(selectors.DefaultSelector):
    """Where the loop would wait, its time jumps. Nobody sends anything here: the sockets are not asked."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for another: the simulation would never end")
        self.now += max(0.0, timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class _Clock(SystemClock):
    """What the toolkit asks for the time here, and for chance."""

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
    # tenacity, and stamina on top of it, ask `time.monotonic` how long they have been at it.
    with (
        _chance(seed),
        mock.patch("time.monotonic", loop.time),
        using_clock(_Clock(loop)),
        asyncio.Runner(loop_factory=lambda: loop) as runner,  # within: it keeps the context it is made in
    ):
        runner.run(main)


@contextmanager
def _chance(seed: int) -> Generator[None]:
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
