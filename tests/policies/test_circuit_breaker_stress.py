"""64 threads and 10 000 tasks through one circuit that opens and closes meanwhile; `STRESS_SECONDS=10` for more.

The tasks run on asyncio and on trio, beside the threads.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter

import anyio
import pytest

from resilience import CircuitOpenError, circuit_breaker
from resilience.clock import using_clock
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitState, HalfOpen
from resilience.testing import VirtualClock

THREADS, TASKS, PER_THREAD = 64, 10_000, 50
VIRTUAL_SECONDS = 60.0
PROBES = 3
C, O, H = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN  # noqa: E741  # as in a drawing of the states


class Ledger:
    """The outcomes of all calls, as the callers recorded them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ends: Counter[str] = Counter()
        self.reached = 0
        self.outages = 0
        self.probes: Counter[int] = Counter()  # in flight, for each outage: from one closed state to the next
        self.max_probes = 0
        self.moves: list[tuple[object, object]] = []


@pytest.fixture
def eager_switching():
    """Switch threads as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow  # seconds of threads
@pytest.mark.parametrize(
    "rules",
    [{}, {"failure_rate": 0.5, "window": 20}, {"failure_rate": 0.5, "window_seconds": 2}],
    ids=["in a row", "rate by count", "rate by time"],
)
def test_many_threads_and_tasks_lose_nothing_and_never_probe_too_much(
    eager_switching: None, monkeypatch: pytest.MonkeyPatch, backend: str, rules: dict[str, object]
):
    ledger = Ledger()
    probing = threading.local()
    move, lease = CircuitBreakerPolicy._transition, HalfOpen.admit

    def moved(self, state, clock, seen=None, mode=None):  # under the circuit's lock
        transition = move(self, state, clock, seen, mode)
        ledger.moves.append(transition)
        ledger.outages += transition[0].kind is C
        return transition

    def leased(self, now, clock, config):
        permit = lease(self, now, clock, config)
        probing.by = ledger.outages if permit is not None else None
        return permit

    monkeypatch.setattr(CircuitBreakerPolicy, "_transition", moved)
    monkeypatch.setattr(HalfOpen, "admit", leased)
    until = time.monotonic() + float(os.environ.get("STRESS_SECONDS", "0"))
    seed = 0
    while True:
        one_minute(ledger, probing, rules, seed, backend)
        seed += 1
        if time.monotonic() >= until:
            break


def one_minute(ledger: Ledger, probing: threading.local, rules: dict[str, object], seed: int, backend: str) -> None:
    """Spend 60 s of virtual time, in two thirds of which the dependency is up."""
    clock = VirtualClock()
    ledger.__init__()
    tick = VIRTUAL_SECONDS / (TASKS + THREADS * PER_THREAD)
    with using_clock(clock):
        breaker = circuit_breaker(
            "stressed",
            failure_threshold=5,
            reset_timeout=0.5,
            probes=PROBES,
            success_threshold=2,
            probe_timeout=1000,  # none is taken over, so that none may be too many
            **rules,
        )

    def begin() -> int | None:
        """Enter the dependency; return in which outage, if as a probe."""
        by = getattr(probing, "by", None)
        with ledger.lock:
            ledger.reached += 1
            if by is not None:
                ledger.probes[by] += 1
                ledger.max_probes = max(ledger.max_probes, ledger.probes[by])
        return by

    def end(by: int | None, chance: random.Random) -> str:
        if by is not None:
            with ledger.lock:
                ledger.probes[by] -= 1
        if 20 <= clock.now() < 40 or chance.random() < 0.02:
            raise ConnectionResetError
        return "ok"

    @breaker
    def dependency(chance: random.Random) -> str:
        by = begin()
        for _ in range(chance.randrange(20)):
            pass
        return end(by, chance)

    @breaker
    async def async_dependency(chance: random.Random) -> str:
        by = begin()
        for _ in range(chance.randrange(3)):
            await anyio.lowlevel.checkpoint()
        return end(by, chance)

    def note(how: str) -> None:
        with ledger.lock:
            ledger.ends[how] += 1
        clock.advance(tick)

    def thread(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        with using_clock(clock):
            for _ in range(PER_THREAD):
                probing.by = None
                try:
                    note(dependency(chance))
                except ConnectionResetError:
                    note("failed")
                except CircuitOpenError:
                    note("rejected")

    async def task(number: int) -> None:
        chance = random.Random(-number)
        probing.by = None
        try:
            note(await async_dependency(chance))
        except ConnectionResetError:
            note("failed")
        except CircuitOpenError:
            note("rejected")

    async def tasks() -> None:
        async with anyio.create_task_group() as group:
            for number in range(TASKS):
                group.start_soon(task, number)
                if number % 100 == 0:  # not all of them at once, or there would be nothing to close for
                    await anyio.lowlevel.checkpoint()

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(THREADS)]
    for each in threads:
        each.start()
    with using_clock(clock):
        anyio.run(tasks, backend=backend)
    for each in threads:
        each.join()

    assert sum(ledger.ends.values()) == TASKS + THREADS * PER_THREAD
    assert ledger.ends["ok"] + ledger.ends["failed"] == ledger.reached
    assert not any(ledger.probes.values())
    assert 1 <= ledger.max_probes <= PROBES
    # Each transition starts where the one before it ended, and goes where it may.
    states = [ledger.moves[0][0], *(new for _, new in ledger.moves)]
    assert [old for old, _ in ledger.moves] == states[:-1]
    assert {(old.kind, new.kind) for old, new in ledger.moves} <= {(C, O), (O, H), (H, O), (H, C)}
    assert (C, O) in {(old.kind, new.kind) for old, new in ledger.moves}
    assert breaker.probes_in_flight == 0
    settle(breaker, clock)


def settle(breaker, clock: VirtualClock) -> None:
    """What is left behind works: it closes when the dependency is well, and opens when it is not."""

    @breaker
    def well() -> str:
        return "ok"

    @breaker
    def down() -> None:
        raise ConnectionResetError

    with using_clock(clock):
        clock.advance(1000)
        for _ in range(2):
            assert well() == "ok"
        assert breaker.circuit_state is C
        breaker.reset()
        for _ in range(5):
            with pytest.raises(ConnectionResetError):
                down()
        with pytest.raises(CircuitOpenError):
            down()
