"""Sync limits by a signal. Real alarms, so limits are short; whatever must not be interrupted has a minute."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib.util
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from resilience import CallTimeoutError, circuit_breaker, retry_on_category, timeout
from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime import interruptible
from resilience._runtime import signal_timeout as interrupt
from resilience._runtime.interruptible import is_interruptible
from resilience._runtime.protocol import Call, Policy, Proceed, Steps
from resilience._runtime.signal_timeout import can_interrupt, run_interruptible
from resilience._runtime.sync_runner import drive
from resilience._runtime.thread_timeout import abandoned, run_in_worker
from resilience.testing import virtual_time
from tests.interruptions import functions_of, interruptions

pytestmark = pytest.mark.skipif(not can_interrupt(), reason="no SIGALRM, or not in the main thread")

SHORT, LONG = 0.02, 60.0


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C is heard; a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def limited(limit: float, function: Callable[..., object], *policies: Policy) -> Outcome:
    return run_interruptible(drive, policies, 0, limit, Call("shop.search", function))


def spin() -> None:
    while True:
        pass


def spin_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def let_it_pass(limit: interrupt._SignalTimeout) -> None:
    """Have the time of a limit be up, and its signal come."""
    limit.own_deadline = 0.0
    interrupt._rearm()
    while not limit.cancelled:
        pass


class Permits(Policy):
    """Counts what is taken and given back."""

    def __init__(self) -> None:
        self.taken = self.held = 0

    def run(self, call: Call) -> Steps[Outcome]:
        self.held += 1
        self.taken += 1
        try:
            return (yield Proceed())
        finally:
            self.held -= 1


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGALRM)
    yield
    assert interrupt._limits == []
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


# -- where -----------------------------------------------------------------------------------------------------------


def test_only_the_main_thread_on_the_systems_clock_can_be_interrupted(monkeypatch: pytest.MonkeyPatch):
    assert can_interrupt()
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(can_interrupt()))
    thread.start()
    thread.join()
    with virtual_time():
        seen.append(can_interrupt())
    monkeypatch.delattr(signal, "setitimer")
    assert [*seen, can_interrupt()] == [False] * 3


def test_a_handler_that_could_not_be_restored_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupt, "_get_handler", lambda number: None)
    assert not can_interrupt()


def test_where_signals_are_refused_a_worker_takes_the_call(monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object) -> None:
        raise ValueError("signal only works in main thread of the main interpreter")

    monkeypatch.setattr(interrupt, "_set_handler", refuse)
    assert limited(LONG, threading.current_thread).value is not threading.current_thread()


# -- what is interrupted ---------------------------------------------------------------------------------------------


def wait_for_a_socket() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)


def wait_for_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            process.wait()
        finally:
            process.kill()


def run_an_event_loop() -> None:
    asyncio.run(asyncio.sleep(LONG))


def spin_in_a_generator() -> None:
    for _ in (spin() for _ in range(3)):
        pass


def fail_at_once() -> None:
    raise ConnectionResetError


@pytest.mark.parametrize(
    "hang",
    [
        spin,
        spin_in_a_generator,
        lambda: time.sleep(LONG),
        functools.partial(time.sleep, LONG),
        threading.Barrier(2).wait,
        threading.Event().wait,
        lambda: (lock := threading.Lock(), lock.acquire(), lock.acquire()),
        queue.Queue().get,
        functools.partial(select.select, [], [], [], LONG),
        wait_for_a_socket,
        wait_for_a_process,
        run_an_event_loop,
        lambda: sum(1 for _ in iter(int, 1)),
        circuit_breaker("c")(functools.partial(time.sleep, LONG)),
        circuit_breaker("c")(spin),
        retry_on_category(base_delay=LONG, max_delay=LONG)(fail_at_once),
    ],
)
def test_a_call_that_hangs_is_interrupted(hang: Callable[..., object]):
    assert limited(SHORT, hang) is TIMED_OUT


def test_a_method_that_a_guarded_class_inherits_is_interrupted():
    class Client:
        def search(self) -> None:
            spin()

    @circuit_breaker("c")
    class Guarded(Client):
        pass

    assert limited(SHORT, Guarded().search) is TIMED_OUT


def test_the_call_runs_in_the_callers_own_thread():
    assert limited(LONG, threading.current_thread).value is threading.current_thread()


def test_an_error_of_the_call_itself_is_its_outcome():
    for own in (TimeoutError("mine"), LookupError()):

        def fail(error: Exception = own) -> None:
            raise error

        assert limited(LONG, fail).error is own


def test_generators_and_context_managers_of_an_interrupted_call_are_closed():
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append("items")

    def work() -> None:
        for _ in items():
            try:
                spin()
            finally:
                closed.append("work")

    assert limited(SHORT, work) is TIMED_OUT
    assert sorted(closed) == ["items", "work"]


@pytest.mark.parametrize("outcomes", [[None], [ConnectionResetError, None]], ids=["fast path", "runner"])
def test_the_function_is_interruptible_however_it_is_called_and_a_policy_is_not(outcomes: list[type[Exception] | None]):
    found: list[tuple[str, bool]] = []

    def note(where: str) -> None:
        found.append((where, is_interruptible(sys._getframe(1))))

    class Notes(Policy):
        def run(self, call: Call) -> Steps[Outcome]:
            note("policy")
            outcome = yield Proceed()
            note("policy")
            return outcome

    @retry_on_category(base_delay=0, on_retry=lambda attempt: note("callback"))
    def function() -> None:
        note("function")
        if error := left.pop(0):
            raise error

    left = [*outcomes]
    limited(LONG, function, Notes())
    assert [free for where, free in found if where == "function"] == [True] * len(outcomes)
    assert [free for where, free in found if where != "function"] == [False] * (1 + len(outcomes))
    note("outside")
    assert found[-1] == ("outside", False)


def test_a_decorated_function_is_interrupted_in_the_main_thread_and_abandoned_in_another():
    threads, ended = [], []

    @timeout(SHORT, mode="signal")
    def work(gate: threading.Event) -> None:
        threads.append(threading.current_thread())
        try:
            gate.wait(LONG)
        finally:
            ended.append(1)

    with pytest.raises(CallTimeoutError):
        work(threading.Event())
    assert (threads, ended) == ([threading.main_thread()], [1])

    def elsewhere(gate: threading.Event) -> None:
        with contextlib.suppress(CallTimeoutError):
            work(gate)
        ended.append(2)

    gate = threading.Event()
    caller = threading.Thread(target=elsewhere, args=(gate,))
    caller.start()
    caller.join(LONG)
    assert ended == [1, 2]
    assert caller not in threads
    gate.set()


def test_a_stack_retries_after_an_interrupted_attempt():
    calls, breaker = [], circuit_breaker("c", failure_threshold=2)

    @retry_on_category(attempts=2, base_delay=0)
    @breaker
    @timeout(SHORT, mode="signal")
    def work() -> None:
        calls.append(1)
        spin()

    with pytest.raises(CallTimeoutError) as caught:
        work()
    assert (len(calls), breaker.current_state) == (2, "open")
    assert caught.value.__context__ is caught.value.__cause__ is None


# -- what is not -----------------------------------------------------------------------------------------------------


def test_a_permit_is_given_back_whenever_the_alarm_comes():
    permits, came = Permits(), []
    gc.disable()  # a callback of the garbage collector would swallow the alarm that comes in it
    try:
        for number in range(2000):
            # The alarm comes before, in and after the function, and in whatever the policies do.
            limit, takes = number % 100 * 2e-6, number % 7 * 1e-5
            outcome = limited(limit, lambda takes=takes: spin_for(takes), *[permits] * 5)
            came.append(outcome is TIMED_OUT)
            assert permits.held == 0
    finally:
        gc.enable()
    assert any(came)


def test_a_running_policy_is_not_interrupted_and_no_attempt_follows():
    called: list[int] = []

    class Slow(Permits):
        def run(self, call: Call) -> Steps[Outcome]:
            let_it_pass(call.cancel_token)
            spin_for(SHORT)
            return (yield from super().run(call))

    slow = Slow()
    assert limited(LONG, lambda: called.append(1), slow) is TIMED_OUT
    assert (slow.taken, slow.held, called) == (1, 0, [])


def test_a_value_that_was_ready_is_returned_although_a_policy_was_slow():
    class Slow(Policy):
        def run(self, call: Call) -> Steps[Outcome]:
            outcome = yield Proceed()
            let_it_pass(call.cancel_token)
            spin_for(SHORT)
            return outcome

    assert limited(LONG, lambda: "ready", Slow()).value == "ready"


def test_a_retry_inside_an_expired_limit_makes_no_further_attempt():
    calls: list[int] = []

    def stubborn() -> None:
        calls.append(1)
        try:
            spin()
        finally:
            raise ConnectionResetError

    retry = retry_on_category(attempts=9, base_delay=0).policies(stubborn)
    assert limited(SHORT, stubborn, *retry) is TIMED_OUT
    assert calls == [1]


def test_a_pause_between_attempts_is_interrupted():
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ConnectionResetError

    retry = retry_on_category(attempts=9, base_delay=LONG, max_delay=LONG).policies(fail)
    assert limited(SHORT, fail, *retry) is TIMED_OUT
    assert calls == [1]


def test_an_inner_worker_thread_is_abandoned():
    gate, before = threading.Event(), abandoned()

    def by_worker() -> Outcome:
        return run_in_worker(drive, (), 0, LONG, Call("shop.search", gate.wait))

    assert limited(SHORT, by_worker) is TIMED_OUT
    assert abandoned() == before + 1
    gate.set()


# -- functions that resist -------------------------------------------------------------------------------------------


def test_an_interrupt_that_is_swallowed_is_raised_again():
    swallowed: list[BaseException] = []

    def stubborn() -> None:
        while len(swallowed) < 3:
            try:
                spin()
            except BaseException as error:
                swallowed.append(error)
        spin()

    assert limited(SHORT, stubborn) is TIMED_OUT
    assert len(swallowed) == 3


def test_an_interrupt_that_python_drops_is_raised_again(monkeypatch: pytest.MonkeyPatch):
    dropped: list[type] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: dropped.append(what.exc_type))

    class Hangs:
        def __del__(self) -> None:
            spin()

    def work() -> None:
        Hangs()
        spin()

    assert limited(SHORT, work) is TIMED_OUT
    assert dropped == [interrupt.Interrupt]


def test_a_finally_block_is_not_interrupted_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupt, "_REPEAT_DELAY", 0.005)
    cleaned: list[str] = []

    def work() -> None:
        try:
            spin()
        finally:
            try:
                raise LookupError
            except LookupError:
                spin_for(0.1)
                cleaned.append("up")

    assert limited(SHORT, work) is TIMED_OUT
    assert cleaned == ["up"]


def test_a_value_or_an_error_that_replaces_the_interrupt_is_the_outcome():
    def give_in() -> str:
        try:
            spin()
        except BaseException:
            return "late"

    def fail() -> None:
        try:
            spin()
        finally:
            raise LookupError

    assert limited(SHORT, give_in).value == "late"
    assert isinstance(limited(SHORT, fail).error, LookupError)


# -- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_passes():
    permits = Permits()

    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        spin()

    with pytest.raises(KeyboardInterrupt):
        limited(LONG, work, permits)
    assert permits.held == 0


def test_ctrl_c_that_unwinds_beyond_the_limit_is_not_lost():
    pressed = KeyboardInterrupt()

    def work() -> None:
        try:
            raise pressed
        finally:
            spin()

    with pytest.raises(KeyboardInterrupt) as caught:
        limited(SHORT, work)
    assert caught.value is pressed


def test_an_exception_that_the_caller_handles_does_not_affect_the_limit():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert limited(SHORT, spin) is TIMED_OUT


# -- limits inside limits --------------------------------------------------------------------------------------------


def test_an_inner_limit_leaves_the_outer_one_its_time():
    inner: list[Outcome] = []
    left: list[float] = []

    def work() -> None:
        inner.append(limited(SHORT, spin))
        left.append(signal.getitimer(signal.ITIMER_REAL)[0])
        let_it_pass(interrupt._limits[0])
        spin()

    assert limited(LONG, work) is TIMED_OUT
    assert inner == [TIMED_OUT]
    assert LONG / 2 < left[0] < LONG


def test_a_call_goes_on_after_an_inner_limit():
    assert limited(LONG, lambda: [limited(SHORT, spin), limited(LONG, lambda: 1).value]).value == [TIMED_OUT, 1]


def test_an_outer_limit_passes_through_the_inner_one():
    permits, inner = Permits(), []

    def work() -> None:
        inner.append(limited(LONG, spin, permits))

    assert limited(SHORT, work, permits) is TIMED_OUT
    assert (inner, permits.held) == ([], 0)


def test_of_two_limits_at_the_same_moment_the_outer_one_counts():
    inner: list[Outcome] = []
    assert limited(SHORT, lambda: inner.append(limited(SHORT, spin))) is TIMED_OUT
    # The inner one begins later, and falls due while the outer one's interrupt passes, or not at all.
    assert inner in ([], [TIMED_OUT])


def test_an_outer_limit_whose_interrupt_is_swallowed_inside_ends_the_inner_retry_too():
    calls, went_on = [], []

    def stubborn() -> None:
        calls.append(1)
        try:
            spin()
        finally:
            raise ConnectionResetError

    retry = retry_on_category(attempts=9, base_delay=0).policies(stubborn)

    def work() -> None:
        limited(LONG, stubborn, *retry)
        went_on.append(1)

    assert limited(SHORT, work) is TIMED_OUT
    assert (calls, went_on) == ([1], [])


def test_a_limit_in_a_finally_block_holds():
    inner: list[Outcome] = []

    def work() -> None:
        try:
            spin()
        finally:
            inner.append(limited(SHORT, spin))

    assert limited(SHORT, work) is TIMED_OUT
    assert inner == [TIMED_OUT]


# -- other people's alarms -------------------------------------------------------------------------------------------


@pytest.fixture
def rings() -> Iterator[list[int]]:
    """Somebody else's handler of SIGALRM."""
    rings: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rings.append(number))
    yield rings
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_previous_alarm_is_restored_with_the_time_that_is_left(rings: list[int]):
    handler = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 1000, 7)
    assert limited(SHORT, spin) is TIMED_OUT
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    assert 500 < left <= 1000 - SHORT
    assert interval == 7
    assert signal.getsignal(signal.SIGALRM) is handler
    assert rings == []


def test_a_previous_alarm_that_falls_due_inside_reaches_its_handler(rings: list[int]):
    signal.setitimer(signal.ITIMER_REAL, SHORT, SHORT)

    def work() -> str:
        while len(rings) < 3:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        return "ok"

    assert limited(LONG, work).value == "ok"


def test_a_previous_alarm_that_falls_due_inside_does_not_end_the_limit(rings: list[int]):
    signal.setitimer(signal.ITIMER_REAL, SHORT / 2)
    assert limited(2 * SHORT, spin) is TIMED_OUT
    assert rings == [signal.SIGALRM]


def test_an_exception_of_a_previous_handler_ends_the_call():
    class Theirs(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Theirs

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, SHORT)
        assert isinstance(limited(LONG, spin).error, Theirs)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_previous_handler_may_set_its_timer_again(rings: list[int]):
    def ring(number: int, frame: object) -> None:
        rings.append(number)
        signal.setitimer(signal.ITIMER_REAL, SHORT if len(rings) < 3 else 0)

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SHORT)

    def work() -> None:
        while len(rings) < 3:
            pass

    assert limited(LONG, work) is not TIMED_OUT


def test_a_handler_that_the_function_installs_stays():
    mine = lambda number, frame: None
    before = signal.getsignal(signal.SIGALRM)
    try:
        limited(LONG, lambda: signal.signal(signal.SIGALRM, mine))
        assert signal.getsignal(signal.SIGALRM) is mine
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_that_comes_when_no_limit_is_left_does_nothing():
    interrupt._on_sigalrm(signal.SIGALRM, sys._getframe())


def play(program: str) -> subprocess.CompletedProcess[str]:
    begin = "import os, signal, sys\nfrom tests._runtime.test_signal_timeout import *\n"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", begin + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_default_action_of_a_previous_alarm_is_taken():
    done = play("signal.setitimer(signal.ITIMER_REAL, SHORT)\nlimited(LONG, spin)")
    assert done.returncode == -signal.SIGALRM, done.stderr


def test_a_forked_child_is_under_no_limit_of_its_parents():
    done = play("""
def work():
    child = os.fork()
    if not child:
        os._exit(0 if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL and limited(SHORT, spin) is TIMED_OUT else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    let_it_pass(interrupt._limits[0])
    spin()
print(limited(LONG, work) is TIMED_OUT)
""")
    assert done.stdout == "0\nTrue\n", done.stderr


@pytest.mark.parametrize("before", [signal.SIG_DFL, lambda *_: None], ids=["default", "handler"])
def test_wherever_ctrl_c_comes_in_a_limit_it_leaves_no_limit_timer_or_handler_behind(before: object):
    """A limit that stayed would interrupt the program later, anywhere."""
    guarded = timeout(60, mode="signal")(lambda: "made")
    theirs = signal.signal(signal.SIGALRM, before)
    try:
        for _ in interruptions(guarded, functions_of(interrupt) - {interrupt._PreviousAlarm._take_timer.__code__}):
            assert interrupt._limits == []
            assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
            assert signal.getsignal(signal.SIGALRM) == before
            assert guarded() == "made"
    finally:
        signal.signal(signal.SIGALRM, theirs)


@pytest.mark.parametrize("name", [*interruptible._CRITICAL, *sorted(interruptible._PASSES_ON)])
def test_a_module_that_signals_do_not_interrupt_or_look_through_is_one_of_the_package(name: str):
    assert importlib.util.find_spec(name) is not None
