"""Circuits and a store they share: when it is asked, what becomes of its trouble, and what is written to it."""

from __future__ import annotations

import datetime
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pybreaker
import pytest

import resilience
from resilience import CircuitBreaker, CircuitOpenError, ErrorCategory, circuit_breaker
from resilience.clock import current_clock
from resilience.events import CircuitOpened
from resilience.testing import virtual_time
from tests.independent_caller import IndependentCaller
from tests.runners import Runner

down = ConnectionResetError("down")


def call(runner: Runner, breaker: CircuitBreaker, what: object = "ok") -> object:
    """Make one call in the time that is in force; return its result, or the exception it raised."""

    def sync() -> object:
        if isinstance(what, Exception):
            raise what
        return what

    async def asynchronous() -> object:
        return sync()

    try:
        return runner.run(lambda: breaker.call(sync), lambda: breaker.acall(asynchronous))
    except Exception as error:
        return error


class Shared(pybreaker.CircuitMemoryStorage):
    """A store in memory that notes what is written to it."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        super().__init__(pybreaker.STATE_CLOSED)
        self.writes.clear()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("state", "opened_at"):
            self.writes.append(f"{name}={value}" if name == "state" else name)

    def increment_counter(self) -> None:
        self.writes.append("increment_counter")
        super().increment_counter()

    def reset_counter(self) -> None:
        self.writes.append("reset_counter")
        super().reset_counter()

    def forget(self) -> None:
        """Be as if it had just been made by another process."""
        super().__init__(pybreaker.STATE_CLOSED)
        self.writes.clear()


class Remote(pybreaker.CircuitBreakerStorage):
    """A store behind a network: asked outside of the event loop, and with troubles."""

    def __init__(self, memory: pybreaker.CircuitMemoryStorage | None = None) -> None:
        super().__init__("remote")
        self.memory = memory or pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self.asked = 0
        self.trouble: Callable[[], None] = lambda: None

    def _ask(self) -> pybreaker.CircuitMemoryStorage:
        self.asked += 1
        self.trouble()
        return self.memory

    @property
    def state(self) -> str:
        return self._ask().state

    @state.setter
    def state(self, state: str) -> None:
        self._ask().state = state

    @property
    def counter(self) -> int:
        return self._ask().counter

    @property
    def success_counter(self) -> int:
        return self._ask().success_counter

    @property
    def opened_at(self) -> datetime.datetime | None:
        return self._ask().opened_at

    @opened_at.setter
    def opened_at(self, opened_at: datetime.datetime) -> None:
        self._ask().opened_at = opened_at

    def increment_counter(self) -> None:
        self._ask().increment_counter()

    def reset_counter(self) -> None:
        self._ask().reset_counter()

    def reset_success_counter(self) -> None:
        self._ask().reset_success_counter()


def refuse() -> None:
    raise ConnectionRefusedError


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "resilience"]


# -- trouble -------------------------------------------------------------------------------------------------------


def test_a_failing_store_is_set_aside_for_growing_times(runner: Runner):
    store = Remote()
    with virtual_time() as clock:
        breaker = circuit_breaker("b", storage=store)
        store.trouble, store.asked = refuse, 0
        asked_at = []
        for _ in range(1000):
            before = store.asked
            assert call(runner, breaker) == "ok"
            if store.asked != before:
                asked_at.append(clock.now())
                assert store.asked == before + 1
            clock.advance(0.125)
        assert asked_at == [0, 1, 3, 7, 15, 31, 61, 91, 121]


def test_an_outage_of_a_store_is_logged_at_its_beginning_and_its_end(runner: Runner, caplog: pytest.LogCaptureFixture):
    store = Remote()
    with caplog.at_level(logging.INFO, logger="resilience"), virtual_time() as clock:
        one, two = (circuit_breaker(name, failure_threshold=100, storage=store) for name in ("one", "two"))
        store.trouble = refuse
        for _ in range(10):
            call(runner, one, down), call(runner, two)
            clock.advance(0.5)
        store.trouble = lambda: None
        clock.advance(10)
        call(runner, two), call(runner, one)
    raised = "shared store Remote of circuit 'one' raised ConnectionRefusedError"
    then = "the circuit goes on by itself, and asks again in 1 s, later every 30 s"
    back = "shared store Remote of circuit 'two' is back"
    assert logged(caplog) == [("WARNING", f"{raised}; {then}"), ("INFO", back)]


def test_circuits_on_one_store_set_it_aside_together(runner: Runner):
    store = Remote()
    with virtual_time():
        breakers = [circuit_breaker(name, storage=store) for name in "abc"]
        store.trouble, store.asked = refuse, 0
        for breaker in breakers:
            assert call(runner, breaker) == "ok"
        assert store.asked == 1


def test_a_store_that_is_back_is_followed_at_once(runner: Runner):
    store = Remote()
    with virtual_time() as clock:
        one, two = (circuit_breaker("b", failure_threshold=1, storage=store) for _ in range(2))
        store.trouble = refuse
        assert call(runner, two) == "ok"
        store.trouble = lambda: None
        clock.advance(1)
        assert call(runner, one, down) is down
        assert isinstance(call(runner, two), CircuitOpenError)


def test_a_transition_during_an_outage_is_written_when_the_store_is_back(runner: Runner):
    store = Remote()
    with virtual_time() as clock:
        one, two = (circuit_breaker("b", failure_threshold=2, reset_timeout=30, storage=store) for _ in range(2))
        store.trouble = refuse
        assert [call(runner, one, down) for _ in range(2)] == [down, down]
        assert one.state.name == "open"
        clock.advance(5)
        store.trouble = lambda: None
        assert isinstance(call(runner, one), CircuitOpenError)  # and not "closed", which the store still says
        rejected = call(runner, two)
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == pytest.approx(25)


def test_a_circuit_that_closed_during_an_outage_closes_the_others_afterwards(runner: Runner):
    store = Remote()
    with virtual_time() as clock:
        one, two = (circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=store) for _ in range(2))
        assert call(runner, one, down) is down
        assert isinstance(call(runner, two), CircuitOpenError)
        clock.advance(30)
        store.trouble = refuse
        assert call(runner, one) == "ok"
        assert (one.state.name, store.memory.state) == ("closed", "open")
        store.trouble = lambda: None
        clock.advance(1)
        assert call(runner, one) == "ok"
        assert (one.state.name, store.memory.state) == ("closed", "closed")


def test_a_store_that_answers_too_late_is_set_aside(runner: Runner, caplog: pytest.LogCaptureFixture):
    store = Remote()
    with virtual_time() as clock:
        breaker = circuit_breaker("b", storage=store)
        a_read, store.asked = store.asked, 0
        store.trouble = lambda: current_clock().sleep(1.5 if store.asked == a_read else 0)
        assert [call(runner, breaker), call(runner, breaker)] == ["ok", "ok"]
        assert (store.asked, clock.now()) == (a_read, 1.5)
    ((_, line),) = logged(caplog)
    assert "gave no answer within 1 s" in line


class Hung:
    """A client without a time limit, whose server has stopped: it comes back when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.waiting = 0

    def __call__(self) -> None:
        self.waiting += 1
        self.released.wait()
        self.waiting -= 1


def test_a_store_that_never_answers_hangs_no_call(runner: Runner):
    store, hung = Remote(), Hung()
    try:
        with virtual_time(patience=0.2) as clock:
            breaker = circuit_breaker("b", failure_threshold=2, reset_timeout=60, storage=store)
            store.trouble = hung
            answers = []
            for what in ("ok", down, down, "never"):
                answers.append(call(runner, breaker, what))
            assert answers[:3] == ["ok", down, down]
            assert isinstance(answers[3], CircuitOpenError)
            assert (hung.waiting, clock.now()) == (1, 1)
            for _ in range(20):
                clock.advance(60)
                call(runner, breaker, down)
            assert hung.waiting == 2  # the first, and one that asked whether it is back: no third while that is out
    finally:
        hung.released.set()


@pytest.mark.parametrize("what", ["ok", down, "transition"])
def test_a_write_that_hangs_hangs_no_call(runner: Runner, what: object):
    store, hung = Remote(), Hung()
    threshold = 1 if what == "transition" else 5
    try:
        with virtual_time(patience=0.2):
            breaker = circuit_breaker("b", failure_threshold=threshold, storage=store)
            if what == "ok":
                store.memory.increment_counter()  # else a success has nothing to write
            reads = store.asked

            def hang_after_the_reads() -> None:
                if store.asked > reads + 3:
                    hung()

            store.trouble = hang_after_the_reads
            answer = down if what != "ok" else "ok"
            assert call(runner, breaker, answer) is answer
            assert hung.waiting == 1
            assert breaker.state.name == ("open" if what == "transition" else "closed")
    finally:
        hung.released.set()


def test_an_abandoned_operation_writes_nothing_later(runner: Runner):
    store, hung = Remote(Shared()), Hung()
    with virtual_time(patience=0.2) as clock:
        breaker = circuit_breaker("b", failure_threshold=2, storage=store)
        store.trouble = hung
        breaker.open()
        breaker.close()
        hung.released.set()
        store.trouble = lambda: None
        clock.advance(60)
        while hung.waiting:
            pass
        assert call(runner, breaker) == "ok"
    assert store.memory.state == "closed"
    assert "state=open" not in store.memory.writes


def test_a_store_that_fails_right_after_its_recovery_is_set_aside_for_longer(runner: Runner):
    """A replica that can only be read: each question for the state is answered, each failure written is refused."""
    store = Remote()

    def refuse_to_write() -> None:
        raise PermissionError

    store.increment_counter = refuse_to_write
    with virtual_time() as clock:
        breaker = circuit_breaker("b", failure_threshold=1000, storage=store)
        asked_at = []
        for _ in range(200):
            before = store.asked
            call(runner, breaker, down)
            if store.asked != before:
                asked_at.append(clock.now())
            clock.advance(0.5)
        assert asked_at == [0, 1, 3, 7, 15, 31, 61, 91]


def test_a_store_that_failed_long_after_it_was_back_is_asked_soon_again(runner: Runner):
    store = Remote()
    with virtual_time() as clock:
        breaker = circuit_breaker("b", storage=store)
        store.trouble = refuse
        for _ in range(5):
            call(runner, breaker)
            clock.advance(30)
        store.trouble = lambda: None
        call(runner, breaker)
        clock.advance(30)
        call(runner, breaker)
        store.trouble = refuse
        call(runner, breaker)
        before = store.asked
        clock.advance(1)
        call(runner, breaker)
        assert store.asked == before + 1


def test_a_store_in_memory_that_raises_is_set_aside_too(runner: Runner):
    class Broken(pybreaker.CircuitMemoryStorage):
        asked = 0

        @property
        def state(self) -> str:
            Broken.asked += 1
            raise ValueError

        @state.setter
        def state(self, state: str) -> None: ...

    with virtual_time():
        breaker = circuit_breaker("b", storage=Broken("closed"))
        assert [call(runner, breaker) for _ in range(3)] == ["ok"] * 3
    assert Broken.asked == 1


def test_many_threads_ask_a_store_at_the_same_time():
    """One after the other they would wait for each other until it looks as if the store did not answer."""
    together = threading.Barrier(8, timeout=10)
    store = Remote()
    breaker = circuit_breaker("b", storage=store)

    def meet() -> None:
        if threading.current_thread() not in met:
            met.add(threading.current_thread())
            together.wait()

    met: set[threading.Thread] = set()
    store.trouble = meet
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(breaker.call(lambda: "ok"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["ok"] * 8
    assert len(met) == 8


def test_a_store_is_asked_again_when_no_thread_could_be_started(monkeypatch: pytest.MonkeyPatch):
    from resilience._runtime import worker_threads

    def full(self: object) -> None:
        raise RuntimeError("can't start new thread")

    store = Remote()
    with virtual_time() as clock:
        breaker = circuit_breaker("b", storage=store)
        with monkeypatch.context() as patched:
            patched.setattr(worker_threads, "_idle", type(worker_threads._idle)())
            patched.setattr(worker_threads._WorkerThread, "__init__", full)
            asked = store.asked
            assert breaker.call(lambda: "ok") == "ok"
            assert store.asked == asked
        clock.advance(1)
        assert breaker.call(lambda: "ok") == "ok"
        assert store.asked > asked


# In a process of its own: a fork of the tests' process would copy the threads' state of all libraries loaded there.
FORKS = """
import os
from resilience import circuit_breaker
from resilience.testing import virtual_time
from tests.integrations.pybreaker.test_storage import Hung, Remote

store, hung = Remote(), Hung()
with virtual_time(patience=0.2) as clock:
    breaker = circuit_breaker("b", storage=store)
    store.trouble = hung
    breaker.call(lambda: "ok")
    clock.advance(1)
    breaker.call(lambda: "ok")
    assert hung.waiting == 2
    clock.advance(60)
    child = os.fork()
    if not child:
        store.trouble = lambda: None
        asked = store.asked
        breaker.call(lambda: "ok")
        os._exit(0 if store.asked > asked else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hung.released.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_asks_a_store_that_hung_in_its_parent():
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=60, cwd=root)


# -- what is written ---------------------------------------------------------------------------------------------------


def test_a_success_writes_nothing_while_nothing_is_counted(runner: Runner):
    store = Shared()
    breaker = circuit_breaker("b", storage=store)
    with virtual_time():
        assert [call(runner, breaker) for _ in range(3)] == ["ok"] * 3
        assert store.writes == []
        call(runner, breaker, down), call(runner, breaker), call(runner, breaker)
        assert store.writes == ["increment_counter", "reset_counter"]


def test_a_success_resets_the_failures_of_another_process(runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", storage=store) for _ in range(2))
    with virtual_time():
        call(runner, one, down), call(runner, two)
    assert store.counter == 0


def test_a_failure_counts_by_its_weight(runner: Runner):
    store = Shared()
    rows = {"network": {"weight": 2}}
    one, two = (circuit_breaker("b", failure_threshold=4, profiles=rows, storage=store) for _ in range(2))
    with virtual_time():
        call(runner, one, down)
        assert (one.state.name, store.counter) == ("closed", 2)
        call(runner, two, down)
        assert (two.state.name, store.counter, store.state) == ("open", 4, "open")


def test_a_result_that_is_a_failure_is_counted_in_the_store(runner: Runner):
    store = Shared()
    one, two = (
        circuit_breaker("b", failure_threshold=2, failure_if=lambda reply: reply == 503, storage=store)
        for _ in range(2)
    )
    with virtual_time():
        call(runner, one, 503), call(runner, two, 503)
    assert (store.counter, store.state) == (2, "open")


def test_a_late_result_is_not_counted_in_the_store(backend: str):
    store = Shared()
    breaker = circuit_breaker("b", failure_threshold=2, reset_timeout=30, storage=store)
    with virtual_time() as clock:
        late = []

        async def from_before(open_now: anyio.Event, fail_now: anyio.Event) -> None:
            try:
                async with breaker:
                    open_now.set()
                    await fail_now.wait()
                    raise down
            except ConnectionResetError as error:
                late.append(error)

        async def scene() -> None:
            fail_now = anyio.Event()
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    begun = anyio.Event()
                    tasks.start_soon(from_before, begun, fail_now)
                    await begun.wait()
                breaker.open()
                clock.advance(30)
                async with breaker:
                    pass
                assert breaker.state.name == "closed"
                fail_now.set()

        anyio.run(scene, backend=backend)
        assert late == [down] * 3
        assert (breaker.state.name, store.counter, store.state) == ("closed", 0, "closed")


def test_a_circuit_opened_by_the_failures_of_all_processes_names_the_last_error(runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", failure_threshold=3, storage=store) for _ in range(2))
    heard: list[object] = []
    with virtual_time(), resilience.subscribe(heard.append):
        call(runner, one, down), call(runner, one, down), call(runner, two, down)
        rejected = call(runner, two)
    assert str(rejected) == "circuit 'b' is open after 3 failures (last: ConnectionResetError); next probe in 60.0 s"
    assert [(each.failures, each.category.label) for each in heard if isinstance(each, CircuitOpened)] == [
        (3, "network")
    ]


@pytest.mark.parametrize("mode", ["shadow", "disable", "isolate"])
def test_a_mode_that_is_not_normal_writes_nothing_and_follows_nothing(mode: str, runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", failure_threshold=2, storage=store) for _ in range(2))
    with virtual_time():
        getattr(one, mode)()
        for _ in range(3):
            call(runner, one, down)
        one.open()
        one.close()
        assert (store.writes, call(runner, two)) == ([], "ok")
        two.open()
        state = one.state.name
        assert call(runner, one) == "ok" or mode == "isolate"
        assert one.state.name == state
        one.reset()
        assert (call(runner, one), call(runner, two)) == ("ok", "ok")


# -- when it opened ----------------------------------------------------------------------------------------------------


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after


@pytest.mark.parametrize("asked", [5.0, 300.0])
def test_a_retry_after_opens_the_circuits_of_all_processes_for_that_long(asked: float, runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", open_for="rate_limit", reset_timeout=60, storage=store) for _ in range(2))
    with virtual_time() as clock:
        call(runner, one, Busy(asked))
        clock.advance(2)
        rejected = call(runner, two)
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == pytest.approx(asked - 2)
        clock.advance(asked - 2)
        assert call(runner, two) == "ok"


@pytest.mark.parametrize("reset", [60.0, 604_800.0])
def test_a_retry_after_of_years_does_not_set_the_store_aside(
    reset: float, runner: Runner, caplog: pytest.LogCaptureFixture
):
    store = Shared()
    one, two = (circuit_breaker("b", open_for="rate_limit", reset_timeout=reset, storage=store) for _ in range(2))
    with virtual_time():
        call(runner, one, Busy(1e15))
        rejected = call(runner, two)
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == pytest.approx(86_400 + reset)
    assert logged(caplog) == []


def test_an_opening_time_far_in_the_future_counts_as_now(runner: Runner):
    store = Shared()
    breaker = circuit_breaker("b", reset_timeout=60, storage=store)
    with virtual_time():
        store.state, store.opened_at = "open", datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
        rejected = call(runner, breaker)
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == 60


def test_a_circuit_stays_open_when_the_probe_of_another_fails(runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=store) for _ in range(2))
    with virtual_time() as clock:
        call(runner, one, down)
        assert isinstance(call(runner, two), CircuitOpenError)
        clock.advance(30)
        call(runner, one, down)
        clock.advance(10)
        rejected = call(runner, two)
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == pytest.approx(20)


def test_a_closed_circuit_that_learns_late_of_an_opening_probes_with_the_others(runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=store) for _ in range(2))
    with virtual_time() as clock:
        call(runner, one, down)
        clock.advance(31)
        states = []
        others = IndependentCaller()

        def probe() -> str:
            states.append(two.state.name)
            with pytest.raises(CircuitOpenError):
                others.call(two.call, lambda: "never")
            return "ok"

        assert two.call(probe) == "ok"
        assert states == ["half-open"]
        assert (two.state.name, store.state) == ("closed", "closed")


def test_a_circuit_that_is_made_while_the_others_are_open_is_open():
    store = Shared()
    with virtual_time() as clock:
        circuit_breaker("b", reset_timeout=30, storage=store).open()
        clock.advance(10)
        late = circuit_breaker("b", reset_timeout=30, storage=store)
        assert late.state.name == "open"
        assert late.circuit.state.until - clock.now() == pytest.approx(20)


def test_the_listeners_of_a_circuit_that_is_made_while_the_others_are_open_hear_that_it_opens():
    heard: list[tuple[str, str]] = []

    class Listener(pybreaker.CircuitBreakerListener):
        def state_change(self, cb: object, old_state: Any, new_state: Any) -> None:
            heard.append((old_state.name, new_state.name))

    store = Shared()
    with virtual_time():
        circuit_breaker("b", storage=store).open()
        circuit_breaker("b", storage=store, listeners=[Listener()])
        assert heard == [("closed", "open")]


# -- a store that loses its memory -------------------------------------------------------------------------------------


def test_a_store_that_lost_its_contents_closes_no_circuit(runner: Runner):
    store = Shared()
    one, two = (circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=store) for _ in range(2))
    with virtual_time() as clock:
        call(runner, one, down)
        store.forget()
        clock.advance(10)
        assert isinstance(call(runner, one), CircuitOpenError)
        assert store.state == "open"
        rejected = call(runner, two)  # which had not heard of it
        assert isinstance(rejected, CircuitOpenError)
        assert rejected.retry_after == pytest.approx(20)


def test_a_half_open_circuit_is_written_again_after_the_store_lost_its_contents(runner: Runner):
    store = Shared()
    one, two = (
        circuit_breaker("b", failure_threshold=1, success_threshold=3, reset_timeout=30, storage=store)
        for _ in range(2)
    )
    with virtual_time() as clock:
        call(runner, one, down)
        clock.advance(30)
        assert call(runner, one) == "ok"
        store.forget()
        assert call(runner, one) == "ok"
        assert (one.state.name, store.state) == ("half-open", "half-open")
        assert call(runner, two) == "ok"
        assert two.state.name == "half-open"
        assert call(runner, one) == "ok"
        assert (one.state.name, store.state) == ("closed", "closed")
        assert call(runner, two) == "ok"
        assert two.state.name == "closed"


def test_a_store_restored_from_an_old_copy_closes_no_circuit(runner: Runner):
    store = Shared()
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=store)
    with virtual_time() as clock:
        before = datetime.datetime.fromtimestamp(clock.wall() - 600, datetime.UTC)
        call(runner, breaker, down)
        store.forget()
        store.opened_at = before
        assert isinstance(call(runner, breaker), CircuitOpenError)
        assert store.state == "open"


def test_a_store_without_a_state_changes_no_circuit(runner: Runner):
    class Blank(Shared):
        state = None

    with virtual_time():
        breaker = circuit_breaker("b", storage=Blank())
        assert call(runner, breaker) == "ok"
        assert breaker.state.name == "closed"


def test_a_state_of_an_unknown_name_changes_no_circuit(runner: Runner):
    store = Shared()
    with virtual_time():
        breaker = circuit_breaker("b", storage=store)
        breaker.open()
        store.state = "metastable"
        assert isinstance(call(runner, breaker), CircuitOpenError)
        assert store.state == "metastable"


def test_a_store_without_times_is_followed(runner: Runner):
    class Timeless(Shared):
        opened_at = None

        def __setattr__(self, name: str, value: object) -> None:
            if name != "opened_at":
                super().__setattr__(name, value)

    store = Timeless()
    with virtual_time():
        one, two = (circuit_breaker("b", storage=store) for _ in range(2))
        one.open()
        assert isinstance(call(runner, two), CircuitOpenError)
        two.close()
        assert call(runner, one) == "ok"


# -- listeners ---------------------------------------------------------------------------------------------------------


def test_adding_a_listener_keeps_the_state_of_the_store(runner: Runner):
    store = Shared()
    breaker = circuit_breaker("b", failure_threshold=1, storage=store)
    with virtual_time():
        call(runner, breaker, down)
        store.forget()
        breaker.add_listener(pybreaker.CircuitBreakerListener())
        assert isinstance(call(runner, breaker), CircuitOpenError)
        assert store.state == "open"


class Awaited(pybreaker.CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard: list[str] = []

    async def before_call(self, cb, func, *args, **kwargs):
        await anyio.lowlevel.checkpoint()
        self.heard.append("before_call")

    async def failure(self, cb, exc):
        await anyio.lowlevel.checkpoint()
        self.heard.append("failure")

    async def success(self, cb):
        await anyio.lowlevel.checkpoint()
        self.heard.append("success")

    async def state_change(self, cb, old_state, new_state):
        await anyio.lowlevel.checkpoint()
        self.heard.append(f"{old_state.name} -> {new_state.name}")


def test_an_async_listener_of_async_calls_is_awaited(backend: str):
    listener = Awaited()
    breaker = circuit_breaker("b", failure_threshold=1, listeners=[listener])
    with virtual_time():
        call(Runner(backend), breaker), call(Runner(backend), breaker, down)
    assert listener.heard == ["before_call", "success", "before_call", "failure", "closed -> open"]


def test_an_async_listener_where_nothing_can_await_it_is_reported(caplog: pytest.LogCaptureFixture):
    class Listener(Awaited):
        pass

    listener = Listener()
    breaker = circuit_breaker("b", failure_threshold=1, listeners=[listener])
    breaker.open()
    with virtual_time(), pytest.raises(CircuitOpenError), breaker:
        pass
    assert listener.heard == []
    assert breaker.state.name == "open"
    assert "Awaited.state_change" in caplog.text


def test_a_listener_is_notified_of_a_result_that_is_a_failure(runner: Runner):
    class Recorder(pybreaker.CircuitBreakerListener):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def failure(self, cb, exc):
            self.heard.append(str(exc))

        def success(self, cb):
            self.heard.append("success")

    recorder = Recorder()
    breaker = circuit_breaker("b", failure_if=lambda reply: reply == "secret 503", listeners=[recorder])
    with virtual_time():
        call(runner, breaker, "secret 503"), call(runner, breaker, "ok")
    assert recorder.heard == ["circuit 'b': failure_if says that a call's result is a failure", "success"]
