"""Calls at their appointed times, whatever became of the ones before, and the phases they meet."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience._listeners import subscribe
from resilience.classification import classify
from resilience.cli.demo.clients import STALE, Call, called
from resilience.cli.demo.phases import PHASES
from resilience.cli.demo.server_process import Child
from resilience.cli.demo.stats import Board, Ending, Side
from resilience.cli.output import ExitCode, UserError
from resilience.clock import current_clock

if TYPE_CHECKING:
    import anyio

__all__ = ["run_load"]

_PATIENCE = 5.0
"""How much longer than planned the last phase may take until the circuit is closed: the machine may be busy."""
_MOST_BEHIND = 0.5
"""Calls that are later than this are not made up for."""


async def run_load(board: Board, child: Child, entered: Callable[[], object]) -> None:
    """Start the server, hurt it phase by phase under the load of both sides, and wait for the last calls.

    *entered* is called at the beginning of every phase and at the end.
    """
    import anyio

    await child.start()
    await child.listen()
    async with called(board, child.port) as calls:
        over = anyio.Event()
        with subscribe(board.heard):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_pace, board, calls, over)
                await _hurt(board, child, entered)
                over.set()
    board.end()
    entered()


async def _hurt(board: Board, child: Child, entered: Callable[[], object]) -> None:
    import anyio

    for index, phase in enumerate(PHASES):
        back = index > 0 and PHASES[index - 1].mode == "down"
        if phase.mode == "down":
            await child.gone()
        elif back:
            await child.start()
        else:
            await child.become(phase.mode)
        board.enter(index)
        entered()
        if back:  # only now, so that the dead server's phase has no request that was answered
            await child.listen()
            await _healthy(child.port)
            board.back_at = board.now()
        lasts = phase.share * board.settings.seconds
        await anyio.sleep(lasts * phase.hurt)
        if phase.hurt < 1:
            await child.become("healthy")
            await anyio.sleep(lasts * (1 - phase.hurt))
    with anyio.move_on_after(_PATIENCE):
        # Looked at, not waited for: two facts that two others note, and 10 ms are soon enough.
        while board.circuit != "closed" or board.protected.recovered_at is None:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def _healthy(port: int) -> None:
    """Return when the server has answered."""
    import anyio
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(100):
            try:
                if (await client.get(f"http://127.0.0.1:{port}/health")).is_success:
                    return
            except httpx.TransportError:
                await anyio.sleep(0.02)
    raise UserError("the demo's server was started again and gives no answer", ExitCode.FAILED)


async def _pace(board: Board, calls: tuple[Call, Call], over: anyio.Event) -> None:
    """Make both calls at each moment of one schedule, so that the two sides differ in nothing but the decorators."""
    import anyio

    clock = current_clock()
    chance = random.Random(board.settings.seed)  # a generator of its own: the same seed, the same schedule
    interval = 1 / board.settings.rate
    due = clock.now()
    async with anyio.create_task_group() as tasks:
        while not over.is_set():
            due = max(due + interval * chance.uniform(0.5, 1.5), clock.now() - _MOST_BEHIND)
            # After a pause of the machine's the calls that are late follow each other closely, but not as one crowd.
            await anyio.sleep(max(due - clock.now(), interval / 8))
            for side, call in zip(board.sides, calls, strict=True):
                tasks.start_soon(_one, board, side, call)


async def _one(board: Board, side: Side, call: Call) -> None:
    phase, began = board.phase, board.now()
    try:
        page = await call()
    except Exception as error:
        if side is board.bare:  # what fails on the protected side is told by its policies, attempt by attempt
            side.failed_attempts[classify(error).label] += 1
        ending = Ending.FAILED
    else:
        ending = Ending.DEGRADED if page is STALE else Ending.SUCCEEDED
    board.over(side, phase, ending, board.now() - began)
