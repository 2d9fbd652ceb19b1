from __future__ import annotations

import threading

import anyio
import pybreaker
import pytest

from resilience import CircuitBreaker, CircuitOpenError, CircuitState, ErrorCategory, circuit_breaker
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.protocol import Call
from resilience.testing import virtual_time
from tests.independent_caller import IndependentCaller
from tests.runners import Runner

down = ConnectionResetError("down")
bug = TypeError("a bug of the caller's")  # internal: weight 0


class NotThere(Exception):
    category = ErrorCategory.NOT_FOUND


class Rejected(Exception):
    category = ErrorCategory.REJECTED


def test_the_circuit_opens_after_failures_in_a_row_and_then_makes_no_call(runner: Runner):
    breaker = circuit_breaker("billing", failure_threshold=3, reset_timeout=30)
    story = runner.play(breaker, *[down] * 3, "never", pauses=(0, 0, 0))
    assert story.answers[:3] == [down] * 3  # the tripping call raises its own error
    rejected = story.answers[3]
    assert isinstance(rejected, CircuitOpenError)
    assert isinstance(rejected, pybreaker.CircuitBreakerError)
    assert rejected.name == "billing"
    assert rejected.retry_after == 30
    assert (rejected.last_error_type, rejected.last_category) == ("ConnectionResetError", ErrorCategory.NETWORK)
    assert rejected.__cause__ is rejected.__context__ is None
    assert str(rejected) == (
        "circuit 'billing' is open after 3 failures (last: ConnectionResetError); next probe in 30.0 s"
    )
    assert story.reached == 3
    assert story.names == ["circuit.opened", "call.rejected"]
    assert breaker.state.name == "open"


def test_a_rejection_says_the_time_that_is_left_and_not_the_whole_reset_timeout(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    story = runner.play(breaker, down, "never", pauses=(12.5,))
    assert story.answers[1].retry_after == 17.5


def test_each_rejection_raises_a_new_error_object(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1)
    story = runner.play(breaker, down, pauses=(0, 0))
    assert story.answers[1] is not story.answers[2]


def test_a_success_starts_the_count_again(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=2)
    story = runner.play(breaker, down, "ok", down, "ok", down, down, pauses=(0,) * 5)
    assert story.names == ["circuit.opened"]
    assert story.reached == 6


def test_after_the_reset_timeout_one_successful_probe_closes_the_circuit(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    story = runner.play(breaker, down, "ok", "ok", pauses=(30, 0))
    assert story.answers[1:] == ["ok", "ok"]
    assert story.names == ["circuit.opened", "circuit.half_opened", "circuit.closed"]
    assert breaker.fail_counter == 0


def test_an_open_circuit_admits_no_call_before_its_reset_timeout(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    assert runner.play(breaker, down, "never", pauses=(29.999,)).reached == 1


def test_a_failed_probe_opens_the_circuit_for_the_whole_reset_timeout_again(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=3, reset_timeout=30)
    story = runner.play(breaker, down, down, down, down, "never", "ok", pauses=(0, 0, 30, 29, 1))
    assert isinstance(story.answers[4], CircuitOpenError)
    assert story.answers[5] == "never"  # the script's next step, reached by the second probe
    assert story.names.count("circuit.opened") == 2


@pytest.mark.parametrize("error", [bug, NotThere(), Rejected()], ids=repr)
def test_failures_without_weight_do_not_open_the_circuit(runner: Runner, error: Exception):
    breaker = circuit_breaker("b", failure_threshold=2)
    story = runner.play(breaker, *[error] * 5, pauses=(0,) * 4)
    assert story.reached == 5
    assert breaker.state.name == "closed"


def test_failures_without_weight_do_not_start_the_count_again_either(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=2)
    story = runner.play(breaker, down, NotThere(), down, pauses=(0, 0))
    assert story.names == ["circuit.opened"]


def test_a_probe_that_the_dependency_refuses_closes_the_circuit(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    missing = NotThere()
    story = runner.play(breaker, down, missing, "ok", pauses=(30, 0))
    assert story.answers[1] is missing
    assert story.names == ["circuit.opened", "circuit.half_opened", "circuit.closed"]


@pytest.mark.parametrize("error", [bug, Rejected()], ids=repr)
def test_a_probe_whose_failure_is_not_the_dependencys_decides_nothing(runner: Runner, error: Exception):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    story = runner.play(breaker, down, error, "ok", pauses=(30, 0))
    assert story.answers[1] is error
    assert story.answers[2] == "ok"  # the permit was given back: the next call is a probe
    assert story.names == ["circuit.opened", "circuit.half_opened", "circuit.closed"]


def test_trip_on_narrows_what_counts(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, trip_on=ErrorCategory.TIMEOUT)
    runner.play(breaker, down, down, pauses=(0,))
    assert breaker.state.name == "closed"
    runner.play(breaker, TimeoutError())
    assert breaker.state.name == "open"


def test_a_probe_that_fails_outside_of_trip_on_decides_nothing(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30, trip_on="timeout")
    story = runner.play(breaker, TimeoutError(), down, pauses=(30,))
    assert story.answers[1] is down
    assert breaker.state.name == "half-open"


def test_weights_can_be_changed_for_one_circuit(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=4, profiles={"network": {"weight": 2}, "not_found": {"weight": 1}})
    runner.play(breaker, down, NotThere(), NotThere(), pauses=(0, 0))
    assert breaker.state.name == "open"


def test_a_late_failure_does_not_extend_the_open_time():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock, pytest.raises(ConnectionResetError), breaker:
        with pytest.raises(ConnectionResetError), breaker:
            raise down
        clock.advance(20)
        raise down  # admitted while closed, fails while open
    with virtual_time():
        assert breaker._circuit.state.until == 30


def test_a_late_success_does_not_close_an_open_circuit():
    breaker = circuit_breaker("b", failure_threshold=1)
    with virtual_time(), breaker, pytest.raises(ConnectionResetError), breaker:
        raise down
    assert breaker.state.name == "open"


def test_a_late_failure_does_not_reopen_a_circuit_that_is_probing():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        with pytest.raises(ConnectionResetError), breaker:
            with pytest.raises(ConnectionResetError), breaker:
                raise down
            clock.advance(30)
            with pytest.raises(NameError), breaker:  # a probe that decides nothing
                raise NameError
            assert breaker.state.name == "half-open"
            raise down
        assert breaker.state.name == "half-open"


def test_a_late_result_is_recorded_on_the_state_that_admitted_the_call():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)

    @breaker
    def late(error: Exception | None) -> None:
        """Run while closed, come back when the circuit has long been open, and closed again."""
        breaker.open()
        breaker.close()
        if error is not None:
            raise error

    with pytest.raises(ConnectionResetError):
        late(down)
    assert breaker.state.name == "closed"
    assert breaker.fail_counter == 0


def test_other_calls_are_rejected_while_a_probe_is_in_flight():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        others = IndependentCaller()
        with breaker:
            with pytest.raises(
                CircuitOpenError, match="half-open and its probe is in flight; next probe within 30.0 s"
            ):
                others.enter(breaker)
            assert breaker.state.name == "half-open"
        assert breaker.state.name == "closed"


def test_a_lost_probe_loses_its_permit_after_the_reset_timeout():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        lost = breaker._circuit.acquire(clock)[0]
        clock.advance(29)
        with pytest.raises(CircuitOpenError), breaker:
            pass
        clock.advance(1)
        with breaker:
            pass
        assert breaker.state.name == "closed"
        breaker._circuit.release(lost)


def test_a_lost_probe_that_comes_back_late_decides_nothing_for_the_next_one():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        with pytest.raises(ConnectionResetError), breaker:  # takes longer than its lease
            clock.advance(30)
            with breaker:  # the next probe
                pass
            assert breaker.state.name == "closed"
            raise down
        assert breaker.state.name == "closed"


def test_a_clock_that_steps_back_starts_the_open_time_again_once():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        clock.advance(1000)
        breaker.open()
    with virtual_time() as clock:  # a thousand seconds earlier
        with pytest.raises(CircuitOpenError) as rejected, breaker:
            pass
        assert rejected.value.retry_after == 30
        clock.advance(30)
        with breaker:
            pass
    assert breaker.state.name == "closed"


def test_a_clock_that_steps_back_during_a_probe_does_not_wedge_the_circuit():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    with virtual_time() as clock:
        clock.advance(1000)
        breaker.half_open()
        assert breaker._circuit.acquire(clock)[0] is not None  # and never comes back
    with virtual_time(), breaker:
        pass
    assert breaker.state.name == "closed"


def test_a_cancelled_probe_leaves_the_circuit_half_open_with_a_free_permit(backend: str):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)

    @breaker
    async def hang() -> None:
        await anyio.sleep_forever()

    @breaker
    async def well() -> str:
        return "ok"

    async def main() -> None:
        with virtual_time() as clock:
            breaker.open()
            clock.advance(30)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(CircuitOpenError):
                    await well()
                tasks.cancel_scope.cancel()
            assert breaker.state.kind is CircuitState.HALF_OPEN
            assert await well() == "ok"
            assert breaker.state.kind is CircuitState.CLOSED

    anyio.run(main, backend=backend)


def test_a_cancelled_call_counts_for_nothing(backend: str):
    breaker = circuit_breaker("b", failure_threshold=1)

    @breaker
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert breaker.state.name == "closed"
        assert breaker.fail_counter == 0

    anyio.run(main, backend=backend)


def test_ctrl_c_during_a_probe_gives_the_permit_back():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)

    @breaker
    def interrupted() -> None:
        raise KeyboardInterrupt

    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert breaker.state.name == "half-open"
        with breaker:
            pass
        assert breaker.state.name == "closed"


def test_each_attempt_of_an_outer_retry_asks_the_circuit_again(runner: Runner):
    from resilience import retry_on_category

    breaker = circuit_breaker("b", failure_threshold=2, reset_timeout=30)
    story = runner.play(lambda fn: retry_on_category(attempts=5, base_delay=0)(breaker(fn)), *[down] * 9)
    assert story.reached == 2
    assert isinstance(story.answer, CircuitOpenError)  # and a rejection is not retried


def test_a_stack_with_two_circuits_asks_both(runner: Runner):
    inner, outer = circuit_breaker("inner", failure_threshold=1), circuit_breaker("outer", failure_threshold=2)
    story = runner.play(lambda fn: outer(inner(fn)), down, "never", pauses=(0, 0))
    assert story.reached == 1
    assert (inner.state.name, outer.state.name) == ("open", "closed")  # a rejection trips no circuit
    assert outer.fail_counter == 1


def test_one_circuit_serves_sync_and_async_callers(backend: str):
    breaker = circuit_breaker("b", failure_threshold=2)
    Runner("sync").play(breaker, down)
    Runner(backend).play(breaker, down)
    assert breaker.state.name == "open"


def test_a_circuit_without_a_name_is_named_after_what_it_guards_first():
    breaker = CircuitBreaker()

    @breaker
    def charge() -> None: ...

    assert breaker.name.endswith("charge")


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        (5, TypeError, "name=5: give the dependency's name as text, such as 'billing'"),
        ("", ValueError, "name='': give the dependency's name, such as 'billing'"),
        (" \n", ValueError, "name=' \\n': give the dependency's name, such as 'billing'"),
    ],
)
def test_an_empty_name_is_refused(name: object, kind: type[Exception], says: str):
    with pytest.raises(kind) as refused:
        circuit_breaker(name)
    assert str(refused.value) == says


def test_a_rejected_call_can_be_pickled_and_copied():
    import copy
    import pickle

    error = CircuitOpenError("billing", 12.4, failures=5, last_error_type="ReadTimeout")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(twin) == str(error)
        assert twin.retry_after == 12.4


def test_a_closed_circuit_keeps_no_failure_alive():
    import gc
    import weakref

    refs = []

    class Held(Exception):
        category = ErrorCategory.NETWORK

        def __init__(self) -> None:
            super().__init__()
            refs.append(weakref.ref(self))

    breaker = circuit_breaker("b", failure_threshold=5)

    @breaker
    def fail() -> None:
        raise Held

    gc.disable()
    try:
        for _ in range(4):
            with pytest.raises(Held):
                fail()
    finally:
        gc.enable()
    assert [ref() for ref in refs] == [None] * 4


def test_the_event_of_an_opening_says_why_and_for_how_long(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=2, reset_timeout=30)
    story = runner.play(breaker, down, down, TimeoutError(), pauses=(0, 30))
    first, second = [event for event in story.events if event.name == "circuit.opened"]
    assert (first.failures, first.retry_after, first.category) == (2, 30, ErrorCategory.NETWORK)
    assert (second.failures, second.category) == (3, ErrorCategory.TIMEOUT)


def test_an_opening_by_hand_has_no_category_and_its_rejection_no_number():
    from resilience import subscribe

    heard = []
    breaker = circuit_breaker("b", reset_timeout=30)
    with virtual_time(), subscribe(heard.append):
        breaker.open()
        with pytest.raises(CircuitOpenError, match=r"^circuit 'b' is open; next probe in 30.0 s$"), breaker:
            pass
    assert (heard[0].failures, heard[0].category, heard[0].target) == (0, None, "b")


def test_the_message_for_one_failure_is_in_the_singular(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1)
    assert "after 1 failure (last" in str(runner.play(breaker, down, pauses=(0,)).answers[1])


def test_the_description_of_a_circuit_shows_its_name_and_options():
    assert str(circuit_breaker("b", trip_on="timeout")) == (
        "circuit_breaker('b', failure_threshold=5, trip_on=timeout, reset_timeout=60)"
    )
    assert repr(circuit_breaker("b")) == "<CircuitBreaker 'b' closed>"
    assert str(circuit_breaker("b")) == "circuit_breaker('b', failure_threshold=5, reset_timeout=60)"


def test_after_a_success_calls_take_the_fast_path_again(monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("b")
    answers = iter([down, "ok", "ok"])

    @breaker
    def call() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ConnectionResetError):
        call()
    assert call() == "ok"
    monkeypatch.setattr(type(breaker._circuit), "run", None)  # no generator from here on
    assert call() == "ok"


def test_calls_of_a_new_circuit_take_the_fast_path():
    assert CircuitBreakerPolicy("b", CircuitBreakerConfig()).state.fast_path


def test_a_call_through_a_closed_circuit_takes_no_lock_not_even_to_be_cancelled():
    breaker = circuit_breaker("b")
    breaker.circuit._lock = None

    @breaker
    def call(error: BaseException | None) -> str:
        if error is not None:
            raise error
        return "ok"

    for _ in range(2):
        assert call(None) == "ok"
        with breaker:
            pass
        with pytest.raises(KeyboardInterrupt):
            call(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt), breaker:
            raise KeyboardInterrupt


@pytest.mark.parametrize("rules", [{}, {"failure_rate": 0.5, "minimum_calls": 1}], ids=["in a row", "rate by count"])
def test_without_listeners_an_outcome_takes_no_extra_steps(rules: dict[str, object], monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("b", failure_threshold=2, **rules)
    monkeypatch.setattr(CircuitBreakerPolicy, "_notify_result", None)
    for _ in range(2):
        if breaker.state.name == "closed":
            with pytest.raises(ConnectionResetError), breaker:
                raise down
    assert breaker.state.name == "open"


@pytest.mark.parametrize("listening", [False, True])
def test_no_event_is_made_without_subscribers(listening: bool, monkeypatch: pytest.MonkeyPatch):
    for made in ("event", "_rejected", "mode_event"):
        monkeypatch.setattr(CircuitBreakerPolicy, made, None)
    listeners = [pybreaker.CircuitBreakerListener()] if listening else []
    breaker = circuit_breaker(
        "b", failure_threshold=1, slow_call_rate=0.5, slow_call_seconds=1, minimum_calls=1, listeners=listeners
    )
    call = breaker(lambda wait: clock.advance(wait))
    with virtual_time() as clock:
        with pytest.raises(ConnectionResetError), breaker:
            raise down
        clock.advance(60)
        others = IndependentCaller()
        with breaker, pytest.raises(CircuitOpenError):
            others.enter(breaker)
        call(1.0)
        assert breaker.state.name == "open"
        breaker.shadow()
        call(0.0)
        breaker.reset()
        assert breaker.state.name == "closed"


@pytest.mark.parametrize("reopen", ["close", "probe"])
def test_after_the_circuit_has_closed_calls_take_the_fast_path_again(reopen: str, monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("b", reset_timeout=30)
    call = breaker(lambda: "ok")
    with virtual_time() as clock:
        breaker.open()
        clock.advance(30)
        if reopen == "close":
            breaker.close()
        assert call() == "ok"
    monkeypatch.setattr(type(breaker._circuit), "run", None)
    assert call() == "ok"


def test_a_success_that_began_before_a_failure_and_ends_after_it_starts_the_count_again():
    breaker = circuit_breaker("b", failure_threshold=3)

    @breaker
    def call(*others: Exception) -> str:
        for error in others:  # while this one is in flight, other calls fail
            with pytest.raises(ConnectionResetError):
                fail(error)
        return "ok"

    @breaker
    def fail(error: Exception) -> None:
        raise error

    for _ in range(5):
        assert call(down, down) == "ok"
        assert breaker.fail_counter == 0
    assert breaker.state.name == "closed"


@pytest.mark.parametrize("seed", range(5))
def test_failures_of_concurrent_calls_are_counted_in_the_order_they_end(backend: str, seed: int):
    """A model that predicts: up to 20 calls at a time begin and end in any order, and three in ten fail."""
    import random

    chance = random.Random(seed)
    breaker = circuit_breaker("b", failure_threshold=1000)
    in_a_row, ended = 0, 0

    @breaker
    async def call(go_on: anyio.Event, fails: bool) -> None:
        await go_on.wait()
        if fails:
            raise down

    async def one(go_on: anyio.Event, fails: bool) -> None:
        nonlocal in_a_row, ended
        try:
            await call(go_on, fails)
        except ConnectionResetError:
            in_a_row += 1
        else:
            in_a_row = 0
        ended += 1

    async def main() -> None:
        waiting: list[anyio.Event] = []
        async with anyio.create_task_group() as tasks:
            for turn in range(200):
                while len(waiting) < 20 and chance.random() < 0.8:
                    waiting.append(anyio.Event())
                    tasks.start_soon(one, waiting[-1], chance.random() < 0.3)
                    await anyio.lowlevel.checkpoint()
                if not waiting:
                    continue
                before = ended
                waiting.pop(chance.randrange(len(waiting))).set()
                while ended == before:
                    await anyio.lowlevel.checkpoint()
                assert breaker.fail_counter == in_a_row, f"after {turn} turns"
            for event in waiting:
                event.set()

    anyio.run(main, backend=backend)


def test_the_note_of_a_failed_call_has_the_state_of_the_circuit_in_words():
    breaker = circuit_breaker("words", failure_threshold=2, reset_timeout=30)
    call = Call("shop.search", list)
    with virtual_time() as clock:
        call.clock = clock
        assert breaker.circuit.status(call) == "circuit 'words' closed"
        breaker.open()
        assert breaker.circuit.status(call) == "circuit 'words' open, next probe in 30 s"
        breaker.isolate()
        assert breaker.circuit.status(call) == "circuit 'words' open, until it is reset"


def test_an_isolated_circuit_has_no_failures_and_no_opening_to_its_name():
    breaker = circuit_breaker("isolated, blameless", failure_threshold=1)
    breaker.isolate()
    state = breaker.circuit.state
    assert (state.failures, state.consecutive_opens) == (0, 0)
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(int, "1")
    assert caught.value.failures == 0


class _AskedToWait(Exception):
    category = ErrorCategory.TIMEOUT
    retry_after = 5.0


def test_a_hint_opens_no_circuit_that_does_not_ask_for_it():
    breaker = circuit_breaker("no hints", failure_threshold=5)

    @breaker
    def call() -> None:
        raise _AskedToWait

    with pytest.raises(_AskedToWait):
        call()
    assert breaker.current_state == "closed"


def test_a_forked_child_frees_the_lock_of_a_circuit_that_a_thread_of_its_parent_held():
    breaker = circuit_breaker("held while forking")
    circuit = breaker.circuit
    thread = threading.Thread(target=circuit._lock.acquire)
    thread.start()
    thread.join()
    assert not circuit._lock.acquire(blocking=False)
    circuit._renew_lock()
    assert circuit._lock.acquire(blocking=False)
    circuit._lock.release()
