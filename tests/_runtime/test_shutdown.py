"""Guarded calls while the interpreter ends: policies work, and a limit that can start no thread runs in place."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, atexit, os, sys, threading, time
from resilience import (
    circuit_breaker, circuits, deadline, fallback, retry_on_category, subscribe, timeout, track_errors,
)

class Flaky:
    '''Fails at every other call.'''
    def __init__(self):
        self.calls = 0
    def __call__(self):
        self.calls += 1
        if self.calls % 2:
            raise ConnectionResetError
        return "made"

def down():
    raise ConnectionResetError

def outcome_of(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__

async def awaited():
    flaky = Flaky()
    async def call():
        await asyncio.sleep(0)
        return flaky()
    return await again(timeout(5)(call))()

again = retry_on_category(attempts=3, base_delay=0.01)
opened = circuit_breaker("opened", failure_threshold=1)
calls = dict(
    limit=timeout(5)(lambda: "made"),
    signal=timeout(5, mode="signal")(lambda: "made"),
    retry=again(Flaky()),
    limited=again(timeout(5)(Flaky())),
    deadline=deadline(5)(again(Flaky())),
    hook=retry_on_category(attempts=3, base_delay=0.01, on_retry=lambda event: None)(Flaky()),
    twice=retry_on_category(attempts=3, base_delay=0.01, idempotent=lambda: True)(Flaky()),
    wrap=retry_on_category(attempts=1, on_exhausted="wrap")(down),
    all=fallback(default="other")(track_errors(again(circuit_breaker("all")(timeout(5)(down))))),
    degraded=fallback(default="other", degraded=True)(down),
    opens=opened(down),
    open=opened(down),
    asynchronous=lambda: asyncio.run(awaited()),
)
expected = dict.fromkeys(calls, "made") | dict(
    wrap="RetriesExhaustedError", all="other", opens="ConnectionResetError", open="CircuitOpenError",
)
del expected["degraded"]

def use(place, skipped=()):
    began = time.monotonic()
    outcomes = {name: outcome_of(call) for name, call in calls.items() if name not in skipped}
    degraded = outcomes.pop("degraded")
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome != expected[name]}
    print(place, wrong, degraded.value, len(circuits.snapshot()) > 0, time.monotonic() - began < 4, flush=True)
"""

RIGHT = "{} other True True"
"""Nothing that was wrong, the value of the fallback, circuits in the snapshot, and no time lost."""


def play(ending: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PROGRAM + ending],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip() + done.stderr


BEFORE = {"used before": "use('before')\nopened.reset()\n", "not used before": ""}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("listens", ["", "subscribe(repr)\n"], ids=["", "listens"])
@pytest.mark.parametrize(
    "ending",
    [
        "atexit.register(use, 'end')",
        "threading._register_atexit(use, 'end')",
        "threading.Thread(target=lambda: (threading.main_thread().join(), use('end'))).start()",
    ],
    ids=["atexit", "threads' atexit", "a last thread"],
)
def test_policies_work_as_ever_until_the_interpreter_finalizes(ending: str, listens: str, before: str):
    assert play(listens + BEFORE[before] + ending).splitlines()[-1] == f"end {RIGHT}"


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("listens", ["", "subscribe(repr)\n"], ids=["", "listens"])
def test_policies_work_in_a_destructor_that_runs_as_the_interpreter_finalizes(listens: str, before: str):
    """But for an event loop, which asyncio cannot make any more, and for what is decorated there."""
    ending = """
class Client:
    def __del__(self, use=use):
        use("end", ["asynchronous"])
client = Client()
"""
    # `circuits.snapshot` finds no circuit then: the names of the module are gone.
    assert play(listens + BEFORE[before] + ending).splitlines()[-1] in (f"end {RIGHT}", "end {} other False True")


def test_a_limit_that_finds_its_idle_threads_stopped_does_not_wait_for_them():
    ending = """
class Client:
    def __del__(self, call=timeout(30)(lambda: "in place"), print=print, time=time.monotonic):
        began = time()
        print(call(), time() - began < 10, flush=True)
timeout(30)(len)("ab")  # leaves an idle thread, which runs no more when the interpreter finalizes
client = Client()
"""
    assert play(ending) == "in place True"


def test_daemon_threads_in_guarded_calls_keep_no_interpreter_from_ending_and_print_nothing():
    ending = """
def busy():
    while True:
        outcome_of(calls["all"])
        outcome_of(calls["limited"])
for _ in range(4):
    threading.Thread(target=busy, daemon=True).start()
time.sleep(0.2)
print("end")
"""
    assert play(ending) == "end"


def test_metrics_are_read_and_functions_are_guarded_at_exit():
    pytest.importorskip("prometheus_client")
    ending = """
def report():
    from prometheus_client import CollectorRegistry, generate_latest
    from resilience.integrations.prometheus import install
    registry = CollectorRegistry()
    install(registry)
    print(again(timeout(5)(Flaky()))(), b"resilience_calls" in generate_latest(registry), flush=True)
track_errors(len)("ab")
atexit.register(report)
"""
    assert play(ending) == "made True"
