"""Sync limits by threads: abandoned threads are counted and capped, and do not keep a process from ending."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from resilience import ErrorCategory, circuit_breaker, classify, fallback, retry_on_category, subscribe, timeout
from resilience._outcome import TIMED_OUT
from resilience._runtime import thread_timeout as worker
from resilience._runtime.protocol import Call
from resilience._runtime.sync_runner import drive
from resilience._runtime.thread_timeout import CallAbandoned, CancelToken, abandoned, run_in_worker
from resilience.clock import current_clock
from resilience.errors import TooManyAbandonedError
from resilience.events import Event, ThreadsExhausted
from resilience.settings import ABANDONED_THREADS
from resilience.testing import virtual_time


class Hanging:
    """A call that hangs until the test releases it."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        current_clock().advance(2)
        self.gate.wait(60)


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    # What other tests left behind must not count here.
    monkeypatch.setattr(worker, "_abandoned", set())
    hanging = Hanging()
    yield hanging
    hanging.gate.set()
    assert comes_true(lambda: abandoned() == 0)


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait for other threads to get there, by polling: they set no event."""
    for _ in range(10_000):
        if condition():
            return True
        threading.Event().wait(0.001)
    return False


def leave(function: Callable[[], object], times: int = 1) -> None:
    """Call *function* under a limit that passes."""
    for _ in range(times):
        with virtual_time():
            assert limited(function) is TIMED_OUT


def limited(function: Callable[[], object]) -> object:
    return run_in_worker(drive, (), 0, 1, Call("shop.search", function))


# -- counted ---------------------------------------------------------------------------------------------------------


def test_an_abandoned_call_counts_until_it_returns(hang: Hanging):
    assert abandoned() == 0
    leave(hang, 3)
    assert abandoned() == 3
    hang.gate.set()
    assert comes_true(lambda: abandoned() == 0)


def test_a_call_that_ends_in_time_is_not_counted_as_abandoned(hang: Hanging):
    seen: list[int] = []

    def fail() -> None:
        seen.append(abandoned())
        raise LookupError

    assert isinstance(limited(fail).error, LookupError)
    assert (seen, abandoned()) == ([0], 0)


def test_a_call_in_two_limits_that_hangs_holds_one_thread(hang: Hanging):
    guarded = timeout(2)(retry_on_category(attempts=9, base_delay=0)(timeout(1000)(hang)))
    with virtual_time(), pytest.raises(TimeoutError):
        guarded()
    # The thread of the outer limit, which waited for that of the inner one, is free at once.
    assert comes_true(lambda: abandoned() == 1)
    hang.gate.set()
    assert comes_true(lambda: abandoned() == 0)
    assert hang.calls == 1


def test_an_inner_limit_that_expires_abandons_its_own_thread(hang: Hanging):
    guarded = timeout(1000)(retry_on_category(attempts=2, base_delay=0)(timeout(2)(hang)))
    with virtual_time(), pytest.raises(TimeoutError):
        guarded()
    assert (hang.calls, abandoned()) == (2, 2)


def test_a_call_whose_caller_leaves_before_it_begins_is_not_made(hang: Hanging):
    left = CancelToken(None)
    left.cancel()
    assert left.begin() is False
    assert abandoned() == 0
    left.end()


def test_an_abandoned_thread_starts_no_other():
    left = CancelToken(None)
    left.cancel()
    call = Call("shop.search", list)
    call.cancel_token = left
    with pytest.raises(CallAbandoned):
        run_in_worker(drive, (), 0, 1, call)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a system without")
def test_a_caller_interrupted_by_ctrl_c_abandons_its_thread_too(hang: Hanging):
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        pressed.append(number)
        if len(pressed) == 1:
            raise KeyboardInterrupt

    def work() -> None:
        while not pressed:  # a signal that comes as a thread is about to wait for a lock does not wake it
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            hang.gate.wait(0.01)
        hang.gate.wait(60)

    before = signal.signal(signal.SIGINT, press)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_in_worker(drive, (), 0, 60, Call("shop.search", work))
    finally:
        signal.signal(signal.SIGINT, before)
    assert abandoned() == 1


def test_the_count_is_right_when_many_calls_are_abandoned_and_return_at_once(hang: Hanging):
    rounds = 50
    failed: list[BaseException] = []

    def caller() -> None:
        try:
            for number in range(rounds):
                # As short as the call takes: it comes back before, while and after its caller leaves.
                run_in_worker(drive, (), 0, number * 1e-6, Call("shop.search", lambda: None))
        except BaseException as error:
            failed.append(error)

    callers = [threading.Thread(target=caller) for _ in range(8)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(60)
        assert not thread.is_alive()
    assert failed == []
    assert comes_true(lambda: abandoned() == 0)


# -- capped ----------------------------------------------------------------------------------------------------------


def test_a_further_call_is_refused_without_a_thread(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit", 3)
    leave(hang, 3)
    started: list[object] = []
    monkeypatch.setattr(worker._WorkItem, "begin", started.append)
    error = limited(hang).error
    assert isinstance(error, TooManyAbandonedError)
    assert (error.target, error.running, hang.calls, started) == ("shop.search", 3, 3, [])
    assert str(error) == (
        "shop.search was not called: 3 calls that exceeded their time limits still run in abandoned threads"
    )


def test_a_refusal_is_an_event_that_says_how_many_threads_hang(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit", 2)
    leave(hang, 2)
    heard: list[Event] = []
    with subscribe(heard.append):
        limited(hang)
    assert heard == [ThreadsExhausted(target="shop.search", policy="timeout", running=2)]


def test_calls_are_made_again_when_an_abandoned_one_has_returned(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit", 2)
    first = Hanging()
    leave(first)
    leave(hang)
    assert isinstance(limited(list).error, TooManyAbandonedError)
    first.gate.set()
    assert comes_true(lambda: abandoned() == 1)
    assert limited(list).value == []


def test_a_refusal_is_a_rejection_that_trips_no_circuit_and_that_a_fallback_covers(
    hang: Hanging, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ABANDONED_THREADS, "limit", 1)
    leave(hang)
    breaker = circuit_breaker("search", failure_threshold=1)
    guarded = breaker(timeout(1)(hang))
    with pytest.raises(TooManyAbandonedError) as caught:
        guarded()
    assert classify(caught.value) is ErrorCategory.REJECTED
    assert breaker.current_state == "closed"
    assert fallback(default="other", on="rejected")(guarded)() == "other"


def test_the_error_survives_pickle_and_has_a_singular():
    error = pickle.loads(pickle.dumps(TooManyAbandonedError("shop.search", 1)))
    assert (error.target, error.running, error.retry_after) == ("shop.search", 1, None)
    assert str(error) == (
        "shop.search was not called: 1 call that exceeded its time limit still runs in an abandoned thread"
    )


# -- no queue --------------------------------------------------------------------------------------------------------


def test_a_hundred_calls_at_once_wait_for_no_thread():
    """With a queue no call would pass the barrier: it opens when all calls are running."""
    barrier, answers = threading.Barrier(100), []
    meet = timeout(60)(barrier.wait)
    callers = [threading.Thread(target=lambda: answers.append(meet())) for _ in range(100)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(60)
    assert sorted(answers) == list(range(100))


# -- processes -------------------------------------------------------------------------------------------------------


def play(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that does not end unless it can."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("sys.exit(3)", 3), ("raise LookupError", 1), ("threading.Event().wait(0.01)", 0)]
)
def test_a_process_ends_with_the_maximum_of_hung_calls(end: str, code: int):
    done = play(f"""
import sys, threading, time
from resilience import timeout
from resilience._runtime import thread_timeout as worker
from resilience.settings import ABANDONED_THREADS
hangs = [threading.Event().wait, threading.Lock(), lambda: time.sleep(3600)]
hangs[1].acquire()
hangs[1] = hangs[1].acquire
while worker.abandoned() < ABANDONED_THREADS.limit:
    try:
        timeout(0.001)(hangs[worker.abandoned() % 3])()
    except TimeoutError:
        pass
try:
    timeout(1)(lambda: "made")()
except Exception as error:
    print(type(error).__name__, worker.abandoned(), flush=True)
{end}
""")
    assert (done.stdout, done.returncode) == ("TooManyAbandonedError 64\n", code), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_forked_child_has_abandoned_nothing_and_waits_for_no_lock_of_its_parents():
    done = play("""
import os, threading
from resilience import timeout
from resilience._runtime import thread_timeout as worker
while not worker.abandoned():  # a worker that begins too late leaves it
    try:
        timeout(0.001)(threading.Event().wait)()
    except TimeoutError:
        pass
held, gate = threading.Event(), threading.Event()
def hold():
    with worker._leaving:
        held.set()
        gate.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    os._exit(0 if worker.abandoned() == 0 and timeout(60)(lambda: "ok")() == "ok" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
    assert done.stdout == "0\n", done.stderr
