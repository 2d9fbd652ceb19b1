"""A process that was stopped by SIGSTOP for longer than its limits, and goes on: the monotonic clock has run on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="POSIX only")

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


def test_what_is_believed_after_a_gap():
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
