"""Hedges at random: whatever fails, wins or is cancelled at whatever moment, nothing of a call is left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from resilience import Pipeline, bulkhead, hedge, retry_on_category, timeout
from tests import loops

TICKS = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]
ERRORS: list[type[Exception]] = [ConnectionResetError, TimeoutError, KeyError]


class Program:
    """A call of random policies, whose copies take random times, end in random ways, and need a while to be cancelled.

    Times are multiples of a tick, so that many things happen at the same moment.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.in_flight = 0
        self.ended: list[str] = []
        self.slots = bulkhead("races", 3)
        self.stack = self._stack()
        self.cancel_at = self.chance.choice([None, *TICKS[1:]])

    def _stack(self) -> Any:
        pick = self.chance.choice
        policies: list[Any] = [hedge(pick(TICKS), copies=pick([1, 2]), budget=1)]
        if pick([True, False]):
            policies.insert(0, retry_on_category(attempts=2, base_delay=0))
        if pick([True, False]):
            policies.insert(0, timeout(pick(TICKS[2:])))
        if pick([True, False]):
            policies.append(self.slots)
        if pick([True, False]):
            policies.append(timeout(pick(TICKS[2:])))
        if pick([True, False]) and pick([True, False]):
            policies.append(hedge(pick(TICKS), budget=1))
        return Pipeline(*policies)

    async def function(self) -> str:
        self.in_flight += 1
        try:
            await anyio.sleep(self.chance.choice(TICKS))
            if self.chance.random() < 0.4:
                raise self.chance.choice(ERRORS)
            return "answer"
        finally:
            try:
                if self.chance.random() < 0.3:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(self.chance.choice(TICKS))
            finally:  # asyncio may cancel it once more
                self.in_flight -= 1

    async def call(self) -> None:
        try:
            answer = await self.stack.acall(self.function)
        except Exception as error:
            self.ended.append(type(error).__name__)
        else:
            self.ended.append(answer)
        finally:
            assert self.in_flight == 0
            assert self.slots.snapshot()["in_flight"] == 0

    async def main(self) -> None:
        with anyio.move_on_after(10.0 if self.cancel_at is None else self.cancel_at) as scope:
            await self.call()
        assert len(self.ended) == (not scope.cancelled_caught)

    async def main_natively(self) -> None:
        """The same, cancelled by asyncio itself."""
        task = asyncio.create_task(self.call())
        if self.cancel_at is not None:
            asyncio.get_running_loop().call_later(self.cancel_at, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            assert self.cancel_at is not None
            assert self.ended == []
        else:
            assert len(self.ended) == 1
        assert len(asyncio.all_tasks()) == 1


def natively(program: Program) -> None:
    loops.run(program.main_natively())


def by_anyio(program: Program) -> None:
    loops.run(program.main())


def on_trio(program: Program) -> None:
    loops.run_trio(program.main)


@pytest.mark.parametrize("run", [natively, by_anyio, on_trio])
def test_nothing_of_a_call_is_left_behind(run: Callable[[Program], None]):
    for seed in range(300):
        try:
            run(Program(seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
