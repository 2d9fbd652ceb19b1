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
from resilience._runtime import worker_threads
from resilience._runtime.protocol import Call
from resilience._runtime.sync_runner import drive
from resilience._runtime.thread_timeout import CallAbandoned, CancelToken, abandoned, run_in_worker
from resilience.clock import current_clock
from resilience.errors import ThreadNotStartedError, TooManyAbandonedError
from resilience.events import Event, TargetThreadsExhausted, ThreadNotStarted, ThreadsExhausted
from resilience.settings import ABANDONED_THREADS, abandoned_threads
from resilience.testing import virtual_time
from tests.interruptions import functions_of, interruptions


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
    monkeypatch.setattr(ABANDONED_THREADS, "running", set())
    monkeypatch.setattr(ABANDONED_THREADS, "of_target", {})
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


def leave(function: Callable[[], object], times: int = 1, target: str = "shop.search") -> None:
    """Call *function* under a limit that passes."""
    for _ in range(times):
        with virtual_time():
            assert limited(function, target) is TIMED_OUT


def limited(function: Callable[[], object], target: str = "shop.search") -> object:
    return run_in_worker(drive, (), 0, 1, Call(target, function))


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


def test_a_pause_inside_a_limit_passes_in_its_thread_by_the_systems_clock():
    calls: list[str] = []

    @timeout(30)
    @retry_on_category(attempts=2, base_delay=0.001, jitter="none")
    def call() -> str:
        calls.append(threading.current_thread().name)
        if len(calls) == 1:
            raise ConnectionResetError
        return "answer"

    assert (call(), len(set(calls))) == ("answer", 1)


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
        "shop.search was not called: 3 calls that exceeded their time limits still run in abandoned threads;"
        " give the clients that hang time limits of their own"
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
        "shop.search was not called: 1 call that exceeded its time limit still runs in an abandoned thread;"
        " give the clients that hang time limits of their own"
    )


# -- capped for each target ------------------------------------------------------------------------------------------


def test_a_target_that_hangs_is_rejected_and_others_are_called(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit_per_target", 2)
    leave(hang, 2)
    heard: list[Event] = []
    with subscribe(heard.append):
        error = limited(hang).error
    assert isinstance(error, TooManyAbandonedError)
    assert (error.target, error.running, error.scope, hang.calls) == ("shop.search", 2, "target", 2)
    assert str(error) == (
        "shop.search was not called: 2 calls to it that exceeded their time limits still run in abandoned threads;"
        " give its client a time limit of its own"
    )
    assert heard == [TargetThreadsExhausted(target="shop.search", policy="timeout", running=2)]
    assert limited(list, "shop.basket").value == []
    assert (abandoned_threads(), abandoned_threads("shop.search"), abandoned_threads("shop.basket")) == (2, 2, 0)


def test_threads_of_a_target_that_end_make_place_for_its_calls_again(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit_per_target", 1)
    leave(hang)
    assert isinstance(limited(list).error, TooManyAbandonedError)
    hang.gate.set()
    assert comes_true(lambda: abandoned() == 0)
    assert limited(list).value == []
    assert ABANDONED_THREADS.of_target == {}  # targets without a thread take no memory


def test_two_limits_of_one_function_share_its_threads(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit_per_target", 1)
    with virtual_time():
        with pytest.raises(TimeoutError):
            timeout(1)(hang)()
        with pytest.raises(TooManyAbandonedError):
            timeout(1)(hang)()
        assert timeout(1)(list.copy)([]) == []


def test_the_process_has_a_cap_above_that_of_its_targets(hang: Hanging, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ABANDONED_THREADS, "limit_per_target", 2)
    monkeypatch.setattr(ABANDONED_THREADS, "limit", 3)
    leave(hang, 2)
    leave(hang, 1, "shop.basket")
    error = limited(list, "shop.orders").error
    assert isinstance(error, TooManyAbandonedError)
    assert (error.scope, error.running) == ("process", 3)


def test_a_limit_inside_counts_for_its_own_target(hang: Hanging):
    def search() -> None:
        timeout(2)(hang)()

    with virtual_time(), pytest.raises(TimeoutError):
        timeout(1000)(retry_on_category(attempts=2, base_delay=0)(search))()
    assert list(ABANDONED_THREADS.of_target.values()) == [2]
    assert next(iter(ABANDONED_THREADS.of_target)).endswith("Hanging")


def test_every_target_may_leave_64_threads_behind_and_the_process_256():
    assert (ABANDONED_THREADS.limit_per_target, ABANDONED_THREADS.limit) == (64, 256)


# -- no thread to be had ---------------------------------------------------------------------------------------------


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread be started, as `ulimit -u` does; the tests of processes below have it from the system."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(worker_threads, "_idle", type(worker_threads._idle)())
    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_call_without_a_thread_is_rejected_and_its_circuit_counts_nothing(no_thread: None):
    breaker = circuit_breaker("search", failure_threshold=1)
    guarded = breaker(timeout(1)(list.copy))
    heard: list[Event] = []
    with subscribe(heard.append), pytest.raises(ThreadNotStartedError) as caught:
        guarded([])
    assert classify(caught.value) is ErrorCategory.REJECTED
    assert (caught.value.policy, caught.value.retry_after, breaker.current_state) == ("timeout", 1.0, "closed")
    assert [event for event in heard if isinstance(event, ThreadNotStarted)] == [
        ThreadNotStarted(target="builtins.list.copy", policy="timeout", reason="can't start new thread")
    ]
    assert fallback(default="other")(guarded)([]) == "other"


def test_a_retry_that_repeats_rejections_waits_a_second_for_a_thread(no_thread: None, monkeypatch: pytest.MonkeyPatch):
    guarded = retry_on_category("rejected", attempts=2, base_delay=0.01, jitter="none")(timeout(1)(list.copy))
    with virtual_time() as clock:
        with pytest.raises(ThreadNotStartedError):
            guarded([])
        assert 1.0 <= clock.now() <= 1.1


def test_the_rejection_survives_pickle_and_keeps_nothing_of_the_call(no_thread: None):
    with pytest.raises(ThreadNotStartedError) as caught:
        timeout(1)(list.copy)([])
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.target, error.reason) == ("builtins.list.copy", "can't start new thread")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's limits")
@pytest.mark.parametrize(
    "exhaust",
    [
        "threading.stack_size(1 << 30); resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))",
        "os.getuid() or os.setuid(65534); resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))",
    ],
    ids=["memory", "threads"],
)
def test_a_system_that_starts_no_thread_trips_no_circuit(exhaust: str):
    done = play(f"""
import os, resource, threading
from resilience import ThreadNotStartedError, circuit_breaker, fallback, timeout
breaker = circuit_breaker("search", failure_threshold=1)
guarded = fallback(default="other")(breaker(timeout(5)(lambda: "made")))
print(guarded())
from resilience._runtime import worker_threads
worker_threads._idle.clear()
{exhaust}
print(guarded(), breaker.current_state)
try:
    timeout(5)(len)("ab")
except ThreadNotStartedError as error:
    print(error.reason)
""")
    assert done.stdout == "made\nother closed\ncan't start new thread\n", done.stderr


# -- interrupted anywhere --------------------------------------------------------------------------------------------

HANDING_OVER = functions_of(worker, worker_threads) - functions_of(worker_threads.OneShotEvent)


def test_wherever_ctrl_c_comes_in_the_caller_no_call_stays_counted_and_the_next_one_works(hang: Hanging):
    guarded = timeout(60)(lambda: "made")
    for _ in interruptions(guarded, HANDING_OVER):
        assert guarded() == "made"
    assert comes_true(lambda: abandoned() == 0)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="what interrupts here knows no `with` of 3.14 and later")
def test_wherever_ctrl_c_comes_as_the_caller_leaves_the_thread_knows_that_it_was_left(hang: Hanging):
    """A retry inside would otherwise go on for ever, and its thread would not be counted."""
    left: list[bool] = []

    def call() -> None:
        began, gate = threading.Event(), threading.Event()
        tokens: list[CancelToken] = []

        def work(*arguments: object) -> object:
            tokens.append(arguments[2].cancel_token)
            began.set()
            gate.wait(60)
            return TIMED_OUT

        class Clock(type(current_clock())):  # leaves when the work has begun
            def run_and_wait(self, begin: Callable[[], object], done: object, seconds: float) -> bool:
                begin()
                began.wait(60)
                return False

        call = Call("shop.search", list)
        call.clock = Clock()
        try:
            run_in_worker(work, (), 0, 1, call)
        finally:
            if tokens:
                left.append(tokens[0].cancelled)
            gate.set()

    leaving = functions_of(CancelToken) | {run_in_worker.__code__}
    count = sum(1 for _ in interruptions(call, leaving))
    assert count > 50
    assert all(left)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> worker_threads._WorkerThread:
    """A worker that was taken from the idle ones, and whose caller has not handed over its work."""
    monkeypatch.setattr(worker_threads, "_IDLE", 0.3)
    monkeypatch.setattr(worker_threads, "_idle", type(worker_threads._idle)())
    assert limited(lambda: "made").value == "made"
    return worker_threads._idle.pop()


def test_a_worker_whose_caller_was_interrupted_before_it_gave_it_work_ends(taken: worker_threads._WorkerThread):
    taken._thread.join(60)
    assert not taken._thread.is_alive()


def test_a_worker_that_has_ended_as_its_caller_comes_takes_no_work(taken: worker_threads._WorkerThread):
    taken._thread.join(60)
    worker_threads._idle.append(taken)
    assert limited(lambda: "made").value == "made"


def test_a_caller_that_comes_in_time_has_its_work_done(taken: worker_threads._WorkerThread):
    worker_threads._idle.append(taken)
    assert limited(threading.current_thread).value is taken._thread


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
def hang(number):
    def hang():
        hangs[number % 3]()
    hang.__qualname__ = f"hang {{number % 5}}"
    return hang
while worker.abandoned() < ABANDONED_THREADS.limit:
    try:
        timeout(0.001)(hang(worker.abandoned()))()
    except TimeoutError:
        pass
try:
    timeout(1)(lambda: "made")()
except Exception as error:
    print(type(error).__name__, worker.abandoned(), flush=True)
{end}
""")
    assert (done.stdout, done.returncode) == ("TooManyAbandonedError 256\n", code), done.stderr


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
