"""A process that is stopped for longer than its limits and goes on: by SIGSTOP, or with its whole machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from resilience import (
    CircuitOpenError,
    RetryBudget,
    circuit_breaker,
    deadline,
    fallback,
    remaining,
    retry_on_category,
    timeout,
)
from resilience.testing import VirtualClock, virtual_time

GAP = 0.5
"""Seconds for which the child is stopped: more than each time in it."""

CHILD = """
import json, sys
from resilience import CallTimeoutError, DeadlineExceededError, RetryBudget
from resilience import circuit_breaker, deadline, remaining, timeout

def stop():
    print("ready", flush=True)
    return sys.stdin.readline()  # the answer comes while this process is stopped

opened = circuit_breaker("opened", reset_timeout=0.3)
opened.open()
probed = circuit_breaker("probed", reset_timeout=60, probe_timeout=0.3)
probed.half_open()
probe = probed.acquire()
assert not probed.would_admit()
rates = dict(slow_call_rate=0.5, slow_call_seconds=0.3, minimum_calls=1)
slow = circuit_breaker("slow", **rates)
budget = RetryBudget(tokens=1, reserve=2)
while budget.spend(1, 0.0) is not None:
    pass
seen = {"open before": opened.circuit_state.value}

with slow:
    with deadline(0.3):
        stop()
        seen["remaining"] = remaining()
        try:
            timeout(5)(len)("abc")
        except DeadlineExceededError:
            seen["deadline"] = "passed"

seen["open after"] = opened.circuit_state.value
seen["another probe"] = probed.would_admit()
seen["slow"] = slow.circuit_state.value
seen["retries of the reserve"] = sum(budget.spend(1, 100.0) is not None for _ in range(10))

try:
    seen["limit"] = timeout(0.3)(stop)().strip()
except CallTimeoutError:
    seen["limit"] = "passed"
print(json.dumps(seen), flush=True)
"""


def stopped_for_a_while(child: subprocess.Popen[str]) -> None:
    """Stop the child, answer it meanwhile, and have it go on."""
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    child.stdin.write("an answer\n")
    child.stdin.flush()
    time.sleep(GAP)  # real: the clock of another process has to run on
    child.send_signal(signal.SIGCONT)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="POSIX only")
def test_what_is_believed_after_sigstop_for_which_the_monotonic_clock_ran_on():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        stopped_for_a_while(child)
        stopped_for_a_while(child)
        out, _ = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 0
    seen = json.loads(out)
    assert seen.pop("limit") in ("passed", "an answer")  # whichever thread the system wakes first
    assert seen == {
        "open before": "open",
        "remaining": 0.0,
        "deadline": "passed",
        "open after": "half_open",
        "another probe": True,
        "slow": "open",
        "retries of the reserve": 2,
    }


# -- the machine was suspended: the wall clock went on, the monotonic clock stood still -------------------------------


class Suspended:
    """A machine whose wall clock is ahead of its monotonic clock by the time for which it was suspended."""

    def __init__(self, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        self._clock = clock
        self._monkeypatch = monkeypatch

    def for_an_hour(self) -> None:
        """Let an hour of the world pass, and none of this process."""
        wall = self._clock.wall
        self._monkeypatch.setattr(self._clock, "wall", lambda: wall() + 3600)


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    with virtual_time(patience=0.01) as clock:
        yield clock


@pytest.fixture
def suspended(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Suspended:
    return Suspended(clock, monkeypatch)


def test_what_was_left_of_a_deadline_and_a_limit_is_left_after_the_machine_was_suspended(suspended: Suspended):
    @timeout(5)
    def quick() -> float | None:
        suspended.for_an_hour()
        return remaining()

    with deadline(10):
        suspended.for_an_hour()
        assert remaining() == 10
        assert quick() == 5


def test_an_open_circuit_stays_open_for_its_rest_after_the_machine_was_suspended(
    suspended: Suspended, clock: VirtualClock
):
    circuit = circuit_breaker("open while suspended", reset_timeout=60)
    circuit.open()
    clock.advance(20)
    suspended.for_an_hour()
    with pytest.raises(CircuitOpenError) as caught, circuit:
        pass
    assert caught.value.retry_after == 40
    clock.advance(40)
    assert circuit.would_admit()


def test_a_probe_keeps_its_permit_while_the_machine_is_suspended(suspended: Suspended, clock: VirtualClock):
    circuit = circuit_breaker("probed while suspended", probe_timeout=30)
    circuit.half_open()
    probe = circuit.acquire()
    suspended.for_an_hour()
    assert not circuit.would_admit()
    probe.succeeded()
    assert circuit.current_state == "closed"


def test_a_call_during_which_the_machine_was_suspended_is_not_slow(suspended: Suspended):
    circuit = circuit_breaker("slow while suspended", slow_call_rate=0.5, slow_call_seconds=1, minimum_calls=1)
    with circuit:
        suspended.for_an_hour()
    assert circuit.current_state == "closed"


def test_what_was_recorded_before_the_machine_was_suspended_is_still_in_the_window(suspended: Suspended):
    circuit = circuit_breaker("counted while suspended", failure_rate=1.0, window_seconds=60, minimum_calls=2)
    for _ in range(2):
        with pytest.raises(ConnectionResetError), circuit:
            raise ConnectionResetError
        suspended.for_an_hour()
    assert circuit.current_state == "open"


def test_the_rest_of_a_pause_follows_after_the_machine_was_suspended(suspended: Suspended, clock: VirtualClock):
    calls: list[float] = []

    @retry_on_category(attempts=2, base_delay=20, jitter="none", on_retry=lambda _: suspended.for_an_hour())
    def call() -> None:
        calls.append(clock.now())
        if len(calls) == 1:
            raise ConnectionResetError

    call()
    assert calls == [0, 20]


def test_a_budget_is_as_before_after_the_machine_was_suspended(suspended: Suspended, clock: VirtualClock):
    budget = RetryBudget(tokens=1, reserve=2)
    while budget.spend(1, clock.now()) is not None:
        pass
    suspended.for_an_hour()
    assert budget.spend(1, clock.now()) is None


def test_a_stale_answer_is_as_old_as_the_world_says_after_the_machine_was_suspended(suspended: Suspended):
    fails = False

    @fallback(stale={}, max_age=600, default="none")
    def call() -> str:
        if fails:
            raise ConnectionResetError
        return "fresh"

    call()
    fails = True
    assert call() == "fresh"
    suspended.for_an_hour()
    assert call() == "none"
