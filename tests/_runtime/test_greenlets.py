"""Sync limits where greenlets take turns in a thread: gevent, patched and not, and the greenlets of other libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resilience._runtime.greenlets import greenlets_take_turns

pytest.importorskip("gevent")

_PROGRAM = """
import sys
{patch}
import threading, time
import gevent, gevent.hub
from resilience import CallTimeoutError, fallback, retry_on_category, timeout

def outcome_of(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__

turns = []
def take_turns():
    while True:
        turns.append(1)
        gevent.sleep(0.01)

gevent.spawn(take_turns)
calls = []
def flaky():
    calls.append(1)
    if len(calls) % 2:
        raise ConnectionResetError
    return "made"

limit = timeout(30, mode="{mode}")
short = timeout(0.1, mode="{mode}")
again = retry_on_category(attempts=2, base_delay=0.01)
cases = [limit(lambda: "made"), again(limit(flaky)), short(lambda: gevent.sleep(20)), short(lambda: time.sleep(20))]
"""


def play(ending: str, *, patched: bool, mode: str) -> str:
    patch = "from gevent import monkey; monkey.patch_all()" if patched else ""
    program = _PROGRAM.format(patch=patch, mode=mode) + ending
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("mode", ["thread", "signal"])
@pytest.mark.parametrize("patched", [True, False], ids=["patched", "not patched"])
@pytest.mark.parametrize(
    "ending",
    ["print([outcome_of(call) for call in cases])", "print([gevent.spawn(outcome_of, call).get() for call in cases])"],
    ids=["main greenlet", "another greenlet"],
)
def test_limits_are_kept_in_the_main_greenlet_and_in_others(ending: str, patched: bool, mode: str):
    ending = f"gevent.sleep(0)\n{ending}"
    assert play(ending, patched=patched, mode=mode) == "['made', 'made', 'CallTimeoutError', 'CallTimeoutError']\n"


@pytest.mark.parametrize("mode", ["thread", "signal"])
def test_other_greenlets_take_their_turns_meanwhile_where_threads_are_greenlets(mode: str):
    ending = "gevent.sleep(0); before = len(turns); outcome_of(cases[3]); print(len(turns) - before > 2)"
    assert play(ending, patched=True, mode=mode) == "True\n"


def test_a_time_limit_of_gevents_own_ends_a_limited_call():
    ending = """
def call():
    with gevent.Timeout(0.05, LookupError):
        return limit(lambda: gevent.sleep(20))()
print(outcome_of(call), outcome_of(cases[0]))
"""
    assert play(ending, patched=True, mode="thread") == "LookupError made\n"


def test_in_a_callback_of_the_hub_which_must_not_wait_gevent_refuses_in_words():
    ending = """
heard = []
def callback():
    try:
        limit(lambda: "made")()
    except AssertionError as error:
        heard.append(str(error))
gevent.get_hub().loop.run_callback(callback)
gevent.sleep(0.1)
print(*heard)
"""
    said = play(ending, patched=True, mode="thread")
    assert said == "Impossible to call blocking function in the event loop callback\n"


def test_a_signal_that_finds_another_greenlet_does_not_interrupt_it():
    """Some libraries run a greenlet for a single function, without a loop of their own: SQLAlchemy's asyncio does."""
    ending = """
import greenlet
from resilience._runtime import signal_timeout
signal_timeout.greenlets_take_turns = lambda: False  # as without a loop
main = greenlet.getcurrent()
heard = []

def bystander():
    until = time.monotonic() + 0.3
    while time.monotonic() < until:  # a guarded call of its own, which a signal may interrupt
        heard.append(outcome_of(timeout(30, mode="signal")(lambda: time.sleep(0.01) or "made")))
    heard.append("over")
    main.switch()

def limited():
    greenlet.greenlet(bystander).switch()  # its frames are not below this one
    while True:
        time.sleep(0.01)

print(outcome_of(timeout(0.1, mode="signal")(limited)), sorted(set(heard)))
"""
    assert play(ending, patched=False, mode="thread") == "CallTimeoutError ['made', 'over']\n"


def test_a_thread_without_greenlets_is_known_as_one(monkeypatch: pytest.MonkeyPatch):
    assert not greenlets_take_turns()
    monkeypatch.setitem(sys.modules, "gevent.monkey", type(sys)("gevent.monkey"))  # another version
    assert not greenlets_take_turns()
