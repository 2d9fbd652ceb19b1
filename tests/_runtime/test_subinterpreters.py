"""Every policy in a subinterpreter, of either kind: it works, or says that the interpreter starts no thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

_INSIDE = """
import asyncio, threading, time
from resilience import (
    circuit_breaker, circuits, deadline, fallback, retry_on_category, subscribe, timeout, track_errors,
)

calls = []
def flaky():
    calls.append(1)
    if len(calls) % 2:
        raise ConnectionResetError
    return "made"

async def awaited():
    await asyncio.sleep(0)
    return "made"

async def hanging():
    await asyncio.sleep(60)

def stream():
    yield "made"

def outcome_of(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

heard = []
subscribe(lambda event: heard.append(event.name))
again = retry_on_category(attempts=2, base_delay=0)
for name, call in dict(
    retry=again(flaky),
    deadline=deadline(60)(again(flaky)),
    fallback=fallback(default="made")(track_errors(circuit_breaker("all", failure_threshold=1)(flaky))),
    open=fallback(default="made")(circuit_breaker("other")(flaky)),
    asynchronous=lambda: asyncio.run(timeout(60)(awaited)()),
    late=lambda: asyncio.run(timeout(0.01)(hanging)()),
    limit=timeout(60)(lambda: "made"),
    again=timeout(60)(lambda: "made"),
    signal=timeout(60, mode="signal")(lambda: "made"),
    stream=lambda: "".join(timeout(idle=60)(stream)()),
    left=timeout(0.01)(lambda: time.sleep(0.2)),
    heard=lambda: (sorted(set(heard)), len(circuits.snapshot())),
).items():
    print(name, outcome_of(call), flush=True)
for thread in threading.enumerate():  # 3.11 does not wait for them
    if thread.name.startswith("resilience"):
        thread.join()
"""

_OUTSIDE = """
import sys
code = sys.stdin.read()
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    made = interpreters.create("isolated" if {isolated} else "legacy")
    failed = interpreters.exec(made, code)
else:
    import _xxsubinterpreters as interpreters
    made = interpreters.create(isolated={isolated})
    failed = interpreters.run_string(made, code)
interpreters.destroy(made)
print("ended", failed, flush=True)
"""


def outcomes_in(*, isolated: bool) -> dict[str, str]:
    """Return the outcome of each call in a subinterpreter, and that the interpreter has ended."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _OUTSIDE.format(isolated=isolated)],
        input=_INSIDE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,  # 3.12 crashes as the process ends, after any subinterpreter
    )
    outcomes = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert outcomes.pop("ended", None) == "None", done.stderr
    return outcomes


THREADS = ["limit", "again", "signal", "stream", "left"]
"""The calls that need a thread."""


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "legacy"])
def test_every_policy_works_in_a_subinterpreter_and_lets_it_end(isolated: bool):
    outcomes = outcomes_in(isolated=isolated)
    assert outcomes.pop("late") == "CallTimeoutError: __main__.hanging took longer than 0.01 s"
    assert "'circuit.opened'" in outcomes["heard"]
    assert outcomes.pop("heard").endswith(", 2)")
    with_threads = {name: outcomes.pop(name) for name in THREADS}
    assert set(outcomes.values()) == {"made"}
    if isolated and sys.version_info < (3, 12):  # which starts no thread in one
        for outcome in with_threads.values():
            assert outcome.startswith("ThreadNotStartedError: ")
            assert "thread is not supported for isolated subinterpreters" in outcome
        return
    assert with_threads.pop("left") == "CallTimeoutError: __main__.<lambda> took longer than 0.01 s"
    assert set(with_threads.values()) == {"made"}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="not in the standard library yet")
def test_a_pool_of_interpreters_makes_limited_calls():
    program = """
from concurrent.futures import InterpreterPoolExecutor
code = "from resilience import timeout; print(timeout(60)(len)('ab'), flush=True)"
with InterpreterPoolExecutor(1) as pool:
    print(pool.submit(exec, code).result())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "2\nNone\n", done.stderr
