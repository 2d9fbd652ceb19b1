"""The interface of pybreaker on a circuit: attributes, listeners, storages."""

from __future__ import annotations

import inspect
import logging
import threading

import anyio
import pybreaker
import pytest

from resilience import CircuitBreaker, CircuitOpenError, ErrorCategory, circuit_breaker
from resilience.testing import virtual_time
from tests.runners import Runner

down = ConnectionResetError("down")


class NotThere(Exception):
    category = ErrorCategory.NOT_FOUND


class Recorder(pybreaker.CircuitBreakerListener):
    def __init__(self) -> None:
        self.heard = []

    def before_call(self, cb, func, *args, **kwargs):
        self.heard.append(("before", args, kwargs))

    def success(self, cb):
        self.heard.append("success")

    def failure(self, cb, exc):
        self.heard.append(("failure", exc))

    def state_change(self, cb, old_state, new_state):
        self.heard.append((cb.name, old_state.name, new_state.name))


def test_a_circuit_is_a_pybreaker_circuit_breaker_and_its_error_is_pybreakers():
    breaker = circuit_breaker("b")
    assert isinstance(breaker, pybreaker.CircuitBreaker)
    assert issubclass(CircuitOpenError, pybreaker.CircuitBreakerError)
    with pytest.raises(pybreaker.CircuitBreakerError):
        breaker.open()
        breaker.call(print)


def test_every_public_attribute_of_pybreakers_has_an_answer_of_its_own():
    theirs = {name for name, _ in inspect.getmembers(pybreaker.CircuitBreaker) if not name.startswith("_")}
    ours = {name for kind in CircuitBreaker.__mro__ if kind.__module__.startswith("resilience") for name in vars(kind)}
    assert theirs - ours == set()


def test_properties_return_what_pybreakers_do():
    breaker = circuit_breaker("b", failure_threshold=7, reset_timeout=9)
    assert (breaker.name, breaker.fail_max, breaker.reset_timeout) == ("b", 7, 9)
    assert (breaker.fail_counter, breaker.success_counter, breaker.success_threshold) == (0, 0, 1)
    assert breaker.state.name == breaker.state.name == pybreaker.STATE_CLOSED
    breaker.fail_max, breaker.reset_timeout, breaker.name = 2, 5, "c"
    breaker.success_threshold = 1
    assert (breaker.name, breaker.fail_max, breaker.reset_timeout) == ("c", 2, 5)
    with pytest.raises(ValueError, match="failure_threshold=0"):
        breaker.fail_max = 0
    with pytest.raises(ValueError, match="reset_timeout=-1"):
        breaker.reset_timeout = -1
    with pytest.raises(ValueError, match="success_threshold=0"):
        breaker.success_threshold = 0
    assert breaker.success_threshold == 1


def test_a_circuit_is_opened_half_opened_and_closed_by_hand():
    breaker = circuit_breaker("b")
    for change, name in [
        (breaker.open, pybreaker.STATE_OPEN),
        (breaker.half_open, pybreaker.STATE_HALF_OPEN),
        (breaker.close, pybreaker.STATE_CLOSED),
    ]:
        change()
        assert breaker.state.name == name
    for name in (pybreaker.STATE_OPEN, pybreaker.STATE_HALF_OPEN, pybreaker.STATE_CLOSED):
        breaker.state = name
        assert breaker.state.name == name
    with pytest.raises(ValueError, match="state='ajar': give one of 'closed', 'open', 'half-open'"):
        breaker.state = "ajar"


def test_call_calling_and_call_async_guard_like_the_decorator(backend: str):
    breaker = circuit_breaker("b", failure_threshold=3)

    async def fail() -> None:
        raise down

    def fail_now() -> None:
        raise down

    with pytest.raises(ConnectionResetError):
        breaker.call(fail_now)
    with pytest.raises(ConnectionResetError), breaker.calling():
        raise down

    async def main() -> None:
        with pytest.raises(ConnectionResetError):
            await breaker.call_async(fail)

    anyio.run(main, backend=backend)
    assert breaker.state.name == "open"


def test_exclusions_are_refused_with_the_option_by_category():
    breaker = circuit_breaker("b")
    for change in (breaker.add_excluded_exception, breaker.add_excluded_exceptions, breaker.remove_excluded_exception):
        with pytest.raises(TypeError, match="what counts is decided by category; give trip_on="):
            change(KeyError)
    assert breaker.excluded_exceptions == ()
    assert breaker.is_system_error(down)
    assert not breaker.is_system_error(TypeError())
    assert not breaker.is_system_error(NotThere())
    assert not breaker.is_system_error(KeyboardInterrupt())


def test_listeners_get_the_notifications_of_pybreaker(runner: Runner):
    recorder = Recorder()
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30, listeners=[recorder])
    runner.play(breaker, "ok", down, "never", "ok", pauses=(0, 0, 30))
    assert recorder.heard == [
        ("before", (), {}),
        "success",
        ("before", (), {}),
        ("failure", down),
        ("b", "closed", "open"),
        # a rejected call is not made
        ("b", "open", "half-open"),
        ("before", (), {}),
        "success",
        ("b", "half-open", "closed"),
    ]


def test_listeners_are_not_notified_of_a_failure_without_weight(runner: Runner):
    recorder = Recorder()
    runner.play(circuit_breaker("b", listeners=[recorder]), TypeError())
    assert recorder.heard == [("before", (), {})]


def test_a_listener_that_ends_the_program_leaves_the_probes_permit_free(runner: Runner):
    class Stop(BaseException):
        pass

    class Stopping(Recorder):
        def state_change(self, cb, old_state, new_state):
            if new_state.name == "half-open":
                raise Stop

    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30, listeners=[Stopping()])
    with pytest.raises((Stop, BaseExceptionGroup)):
        runner.play(breaker, down, "never", pauses=(30,))
    assert breaker.state.name == "half-open"
    assert breaker.state.permits == set()


def test_listeners_are_notified_of_every_call_after_the_circuit_closed(runner: Runner):
    recorder = Recorder()
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30, listeners=[recorder])
    runner.play(breaker, down, "ok", "ok", pauses=(30, 0))
    assert recorder.heard[-2:] == [("before", (), {}), "success"]
    breaker.open()
    breaker.close()
    runner.play(breaker, "ok")
    assert recorder.heard[-2:] == [("before", (), {}), "success"]


def test_listeners_are_added_and_removed():
    recorder = Recorder()
    breaker = circuit_breaker("b")
    breaker.add_listener(recorder)
    assert breaker.listeners == (recorder,)
    breaker.call(print, end="")
    breaker.remove_listener(recorder)
    breaker.call(print, end="")
    assert recorder.heard == [("before", (), {"end": ""}), "success"]
    with pytest.raises(ValueError, match="is not a listener of circuit 'b'"):
        breaker.remove_listener(recorder)


def test_removing_a_listener_of_an_open_circuit_changes_nothing():
    recorder = Recorder()
    breaker = circuit_breaker("b", listeners=[recorder])
    breaker.open()
    breaker.remove_listener(recorder)
    assert breaker.state.name == "open"
    breaker.close()
    assert recorder.heard == [("b", "closed", "open")]
    assert breaker.state.fast_path


def test_adding_and_removing_a_listener_does_not_end_the_ramp():
    recorder = Recorder()
    breaker = circuit_breaker("b", ramp_up=100)
    with virtual_time() as clock:
        breaker.half_open()
        with breaker:
            pass
        for _ in range(2):
            breaker.add_listener(recorder)
            breaker.remove_listener(recorder)
            with pytest.raises(CircuitOpenError), breaker:
                pass
        clock.advance(100)
        with breaker:
            pass
        assert breaker.state.fast_path
        breaker.add_listener(recorder)
        breaker.remove_listener(recorder)
        assert breaker.state.fast_path  # it has ended, and stays so


@pytest.mark.parametrize("listening", [False, True])
def test_after_a_mode_calls_take_the_fast_path_only_without_listeners(listening: bool):
    recorder = Recorder()
    breaker = circuit_breaker("b", listeners=[recorder] if listening else [])
    breaker.disable()
    breaker.shadow()
    assert breaker.state.fast_path is not listening
    with breaker:
        pass
    assert recorder.heard == ([("before", (), {}), "success"] if listening else [])


def test_a_call_that_is_listened_to_takes_no_lock_while_the_circuit_is_closed():
    recorder = Recorder()
    breaker = circuit_breaker("b", listeners=[recorder])
    breaker.circuit._lock = None
    with breaker:
        pass
    assert recorder.heard == [("before", (), {}), "success"]


def test_a_listener_added_later_is_notified_of_functions_guarded_before():
    breaker = circuit_breaker("b")
    guarded = breaker(lambda: 1)
    recorder = Recorder()
    breaker.add_listener(recorder)
    guarded()
    assert recorder.heard[-1] == "success"


def test_a_listener_that_raises_changes_nothing(runner: Runner):
    class Broken(Recorder):
        def failure(self, cb, exc):
            raise RuntimeError

        def state_change(self, cb, old_state, new_state):
            raise RuntimeError

        def before_call(self, cb, func, *args, **kwargs):
            raise RuntimeError

    other = Recorder()
    breaker = circuit_breaker("b", failure_threshold=1, listeners=[Broken(), other])
    story = runner.play(breaker, down)
    assert story.answer is down
    assert breaker.state.name == "open"
    assert len(other.heard) == 3


def test_listeners_are_notified_of_transitions_by_hand():
    recorder = Recorder()
    breaker = circuit_breaker("b", listeners=[recorder])
    breaker.open()
    breaker.open()
    breaker.close()
    assert recorder.heard == [("b", "closed", "open"), ("b", "open", "closed")]


def test_two_circuits_that_share_a_storage_open_and_close_together(runner: Runner):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    one = circuit_breaker("b", failure_threshold=2, reset_timeout=30, storage=storage)
    two = circuit_breaker("b", failure_threshold=2, reset_timeout=30, storage=storage)
    runner.play(one, down)
    assert storage.counter == 1
    runner.play(two, down)
    assert storage.state == "open"
    assert runner.play(one, "never").reached == 0
    assert one.state.name == "open"
    storage.state = "closed"
    assert runner.play(one, "ok").answer == "ok"


def test_a_storage_keeps_the_opening_time_so_that_others_know_the_time_left():
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    one = circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=storage)
    two = circuit_breaker("b", failure_threshold=1, reset_timeout=30, storage=storage)
    with virtual_time() as clock:
        one.open()
        clock.advance(10)
        with pytest.raises(CircuitOpenError) as rejected, two:
            pass
        assert rejected.value.retry_after == pytest.approx(20)
        clock.advance(20)
        with two:
            pass
        assert storage.state == "closed"


@pytest.mark.parametrize("by", ["close", "reset"])
def test_a_reset_resets_the_shared_count(by: str):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    one, two = (circuit_breaker("b", failure_threshold=3, storage=storage) for _ in range(2))

    def fail() -> None:
        with pytest.raises(ConnectionResetError), one:
            raise down

    fail(), fail()
    getattr(two, by)()
    assert storage.counter == 0
    one.reset()
    fail(), fail()
    assert (one.state.name, storage.counter) == ("closed", 2)


@pytest.mark.parametrize("by", ["close", "reset"])
def test_a_reset_closes_a_shared_circuit_that_another_process_opened(by: str):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    one, two = (circuit_breaker("b", storage=storage) for _ in range(2))
    one.open()
    getattr(two, by)()  # which has not been called since, and does not know
    assert storage.state == "closed"
    for breaker in (one, two):
        with breaker:
            pass


@pytest.mark.parametrize("mode", ["disable", "isolate"])
def test_a_circuit_whose_mode_keeps_it_from_closing_leaves_the_shared_count_alone(mode: str):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    one, two = (circuit_breaker("b", failure_threshold=3, storage=storage) for _ in range(2))
    getattr(two, mode)()
    storage.state = "closed"
    with pytest.raises(ConnectionResetError), one:
        raise down
    two.close()
    assert storage.counter == 1


def test_a_reset_works_without_a_reachable_storage(caplog: pytest.LogCaptureFixture):
    class Gone(Unreachable):
        def reset_counter(self) -> None:
            raise ConnectionRefusedError

    breaker = circuit_breaker("b", storage=Gone())
    with caplog.at_level(logging.WARNING, logger="resilience"):
        breaker.reset()
    assert breaker.state.name == "closed"
    assert "Gone" in caplog.text


class Unreachable(pybreaker.CircuitBreakerStorage):
    def __init__(self) -> None:
        super().__init__("unreachable")
        self.threads = set()

    @property
    def state(self) -> str:
        self.threads.add(threading.get_ident())
        raise ConnectionRefusedError

    @property
    def counter(self) -> int:
        raise ConnectionRefusedError

    success_counter = counter
    opened_at = counter


def test_a_storage_that_cannot_be_reached_leaves_the_circuit_to_itself(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=2, reset_timeout=30, storage=Unreachable())
    story = runner.play(breaker, down, down, "never", "ok", pauses=(0, 0, 30))
    assert story.reached == 3
    assert breaker.state.name == "closed"


def test_a_storage_that_may_wait_is_asked_outside_of_the_event_loop(backend: str):
    storage = Unreachable()
    Runner(backend).play(circuit_breaker("b", storage=storage), "ok")
    assert storage.threads.isdisjoint({threading.get_ident()})


def test_the_log_names_each_listener_that_raises(caplog: pytest.LogCaptureFixture):
    class Trouble(Exception):
        pass

    class First(pybreaker.CircuitBreakerListener):
        def failure(self, cb, exc):
            raise Trouble

    class Second(pybreaker.CircuitBreakerListener):
        def failure(self, cb, exc):
            raise Trouble

    with caplog.at_level(logging.WARNING, logger="resilience"):
        for listener in (First(), Second()):
            with pytest.raises(ConnectionError), circuit_breaker("b", listeners=[listener]):
                raise ConnectionError
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "First.failure" in said[0]
    assert "Second.failure" in said[1]
