"""Open-loop load for the demo: calls start on a schedule, and the server goes through its phases meanwhile.

A slow call delays no other one, as with real clients. Both clients call at the same moments, so that they differ in
nothing but the decorators.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from resilience._listeners import subscribe
from resilience.classification import classify
from resilience.cli.demo.clients import STALE, Call, open_clients
from resilience.cli.demo.phases import PHASES
from resilience.cli.demo.server_process import ServerProcess
from resilience.cli.demo.stats import ClientStats, DemoStats, Outcome
from resilience.cli.output import ExitCode, UserError
from resilience.clock import current_clock

if TYPE_CHECKING:
    import anyio

__all__ = ["run_load"]

_MAX_OVERTIME = 5.0
"""Seconds by which the last phase may take longer than planned until the circuit is closed: the machine may be busy."""
_MAX_LAG = 0.5
"""Seconds. After a longer pause of the machine the missed calls are not made up for."""


async def run_load(
    stats: DemoStats, server: ServerProcess, on_phase: Callable[[], object], rounds: Iterable[object] = (None,)
) -> None:
    """Start the server, take it through its phases under the load of both clients, and wait for the last calls.

    *on_phase* is called at the beginning of every phase and at the end. The phases follow each other once in each of
    the *rounds*.
    """
    import anyio

    await server.start()
    await server.listen()
    async with open_clients(stats, server.port) as calls:
        over = anyio.Event()
        with subscribe(stats.on_event):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_schedule_calls, stats, calls, over)
                for _ in rounds:
                    await _run_phases(stats, server, on_phase)
                over.set()
    stats.end()
    on_phase()


async def _run_phases(stats: DemoStats, server: ServerProcess, on_phase: Callable[[], object]) -> None:
    import anyio

    for index, phase in enumerate(PHASES):
        is_restart = index > 0 and PHASES[index - 1].mode == "down"
        if phase.mode == "down":
            await server.kill()
        elif is_restart:
            await server.start()
        else:
            await server.set_mode(phase.mode)
        stats.begin_phase(index)
        on_phase()
        if is_restart:  # only now, so that the dead server's phase has no request that was answered
            await server.listen()
            await _await_health(server.port)
            stats.server_back_at = stats.now()
        lasts = phase.share * stats.settings.seconds
        await anyio.sleep(lasts * phase.fault_share)
        if phase.fault_share < 1:
            await server.set_mode("healthy")
            await anyio.sleep(lasts * (1 - phase.fault_share))
    with anyio.move_on_after(_MAX_OVERTIME):
        # Polled: the circuit and the first direct answer are noted in different places, and 10 ms are soon enough.
        while stats.circuit != "closed" or stats.protected.recovered_at is None:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def _await_health(port: int) -> None:
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
    raise UserError("the demo's server was started again but does not answer", ExitCode.FAILED)


async def _schedule_calls(stats: DemoStats, calls: tuple[Call, Call], over: anyio.Event) -> None:
    """Start both calls at each moment of one schedule."""
    import anyio

    clock = current_clock()
    rng = random.Random(stats.settings.seed)  # a generator of its own: the same seed, the same schedule
    interval = 1 / stats.settings.rate
    due = clock.now()
    async with anyio.create_task_group() as tasks:
        while not over.is_set():
            due = max(due + interval * rng.uniform(0.5, 1.5), clock.now() - _MAX_LAG)
            # After a pause of the machine's the calls that are late follow each other closely, but not as one crowd.
            await anyio.sleep(max(due - clock.now(), interval / 8))
            for client, call in zip(stats.clients, calls, strict=True):
                tasks.start_soon(_make_call, stats, client, call)


async def _make_call(stats: DemoStats, client: ClientStats, call: Call) -> None:
    phase, began = stats.phase, stats.now()
    try:
        page = await call()
    except Exception as error:
        if client is stats.bare:  # the protected client's failures arrive as events, attempt by attempt
            client.failed_attempts[classify(error).label] += 1
        outcome = Outcome.FAILED
    else:
        outcome = Outcome.SUCCEEDED
        if page is STALE:
            outcome = Outcome.DEGRADED
    stats.record_call(client, phase, outcome, stats.now() - began)
