from __future__ import annotations

import logging
import math
import re
import sys
from contextlib import suppress
from datetime import timedelta

import pybreaker
import pytest

from resilience import CircuitOpenError, ErrorCategory, circuit_breaker, circuits, retry_on_category, subscribe
from resilience._runtime.protocol import SuccessReporting
from resilience.circuits import CircuitBreaker, CircuitMode
from resilience.classification.retry_hints import retry_after
from resilience.clock import using_clock
from resilience.testing import VirtualClock, virtual_time
from tests.independent_caller import IndependentCaller
from tests.runners import Runner, Takes

down = ConnectionResetError("down")
TIME = "give seconds (a number or a timedelta) of more than 0"
SHARE = "give a share of the calls, more than 0 and at most 1, such as 0.5"


class Limited(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: object = None) -> None:
        self.retry_after = retry_after


async def judge_async(result: object) -> bool:
    return False


class JudgeAsync:
    async def __call__(self, result: object) -> bool:
        return False


def call(breaker, *script: object) -> list[object]:
    """Call through *breaker* once for each step of *script*; return what came of it."""
    return Runner("sync").play(breaker, *script, pauses=(0.0,) * (len(script) - 1)).answers


def call_now(breaker, error: Exception) -> None:
    """Fail through *breaker*, by the clock there is."""
    with pytest.raises(type(error)), breaker:
        raise error


BAD = [
    ({"failure_rate": 1.5}, ValueError, f"failure_rate=1.5: {SHARE}"),
    ({"failure_rate": 0}, ValueError, f"failure_rate=0: {SHARE}"),
    ({"failure_rate": -0.1}, ValueError, f"failure_rate=-0.1: {SHARE}"),
    ({"failure_rate": math.nan}, ValueError, f"failure_rate=nan: {SHARE}"),
    ({"failure_rate": "0.5"}, TypeError, f"failure_rate='0.5': {SHARE}"),
    ({"failure_rate": True}, TypeError, f"failure_rate=True: {SHARE}"),
    ({"slow_call_rate": 1.01, "slow_call_seconds": 1}, ValueError, f"slow_call_rate=1.01: {SHARE}"),
    ({"slow_call_rate": 0.5}, TypeError, "slow_call_rate=0.5: give slow_call_seconds with it"),
    ({"slow_call_seconds": 5}, TypeError, "slow_call_seconds=5: give slow_call_rate with it"),
    ({"slow_call_rate": 0.5, "slow_call_seconds": 0}, ValueError, f"slow_call_seconds=0: {TIME}"),
    ({"failure_threshold": None}, TypeError, "failure_threshold=None: give failure_rate or slow_call_rate, or nothing"),
    ({"window": 10}, TypeError, "window=10: give failure_rate or slow_call_rate with it"),
    ({"window_seconds": 10}, TypeError, "window_seconds=10: give failure_rate or slow_call_rate with it"),
    ({"minimum_calls": 10}, TypeError, "minimum_calls=10: give failure_rate or slow_call_rate with it"),
    ({"failure_rate": 0.5, "window": 0}, ValueError, "window=0: give a whole number of 1 or more"),
    ({"failure_rate": 0.5, "window": 2.5}, TypeError, "window=2.5: give a whole number of 1 or more"),
    ({"failure_rate": 0.5, "window_seconds": -1}, ValueError, f"window_seconds=-1: {TIME}"),
    ({"failure_rate": 0.5, "minimum_calls": 0}, ValueError, "minimum_calls=0: give a whole number of 1 or more"),
    (
        {"failure_rate": 0.5, "minimum_calls": 21},
        ValueError,
        "minimum_calls=21: give at most window=20, or the circuit would never open",
    ),
    ({"failure_rate": 0.5, "window": 5, "minimum_calls": 6}, ValueError, "minimum_calls=6: give at most window=5"),
    ({"reset_timeout": timedelta(0)}, ValueError, f"reset_timeout=0.0: {TIME}"),
    ({"reset_timeout": math.inf}, ValueError, f"reset_timeout=inf: {TIME}"),
    ({"max_reset_timeout": 59}, ValueError, "max_reset_timeout=59.0: give at least reset_timeout=60"),
    ({"max_reset_timeout": 0}, ValueError, f"max_reset_timeout=0: {TIME}"),
    ({"probe_timeout": 0}, ValueError, f"probe_timeout=0: {TIME}"),
    ({"ramp_up": -1}, ValueError, "ramp_up=-1: give seconds (a number or a timedelta) of 0 or more"),
    ({"ramp_up": "1"}, TypeError, "ramp_up='1': give seconds (a number or a timedelta) of 0 or more"),
    ({"probes": 0}, ValueError, "probes=0: give a whole number of 1 or more"),
    ({"probes": True}, TypeError, "probes=True: give a whole number of 1 or more"),
    ({"success_threshold": 0}, ValueError, "success_threshold=0: give a whole number of 1 or more"),
    ({"max_keys": 0, "key": str}, ValueError, "max_keys=0: give a whole number of 1 or more"),
    ({"failure_if": "bad"}, TypeError, "failure_if='bad': give a function of a call's result that says True or False"),
    ({"failure_if": judge_async}, TypeError, "give a plain function; what an async one says is not awaited"),
    ({"failure_if": JudgeAsync()}, TypeError, "give a plain function; what an async one says is not awaited"),
    ({"open_for": "rate_limt"}, ValueError, "open_for: 'rate_limt' is not an ErrorCategory; did you mean 'rate_limit'"),
    (
        {"trip_on": "not_found"},
        ValueError,
        (
            "trip_on='not_found': failures of this category have weight 0 and would never open the circuit; add a"
            " category that counts, or give it weight with profiles={...: {'weight': 1}}"
        ),
    ),
    ({"close_rate": 0}, ValueError, "close_rate=0: give a share of the probes, more than 0 and at most 1, such as 0.5"),
    ({"close_rate": 1.5}, ValueError, "close_rate=1.5: give a share of the probes"),
    ({"close_rate": None}, TypeError, "close_rate=None: give a share of the probes"),
    ({"key": "host"}, TypeError, "key='host': give a function of the call's arguments"),
    ({"key": str, "per_instance": True}, TypeError, "key=, per_instance=True: give one of them"),
]


@pytest.mark.parametrize(("parameters", "kind", "says"), BAD, ids=[re.split(r"[:;]", says)[0] for _, _, says in BAD])
def test_invalid_options_are_refused_where_they_are_written_and_leave_no_circuit(
    parameters: dict[str, object], kind: type[Exception], says: str
):
    with pytest.raises(kind, match=re.escape(says)):
        circuit_breaker("refused", **parameters)
    with pytest.raises(LookupError):
        circuits.get("refused")


def test_a_key_function_that_is_async_is_refused():
    async def key(host: str) -> str:
        return host

    with pytest.raises(TypeError, match="give a plain function of the call's arguments; an async one is not awaited"):
        circuit_breaker("b", key=key)(Runner)


def test_every_duration_may_be_a_timedelta():
    second = timedelta(seconds=1)
    breaker = circuit_breaker(
        "b",
        slow_call_rate=1,
        slow_call_seconds=second,
        window_seconds=2 * second,
        reset_timeout=3 * second,
        max_reset_timeout=4 * second,
        probe_timeout=5 * second,
        ramp_up=6 * second,
    )
    rules = breaker.circuit.config
    assert (rules.slow_seconds, rules.period, rules.reset_seconds) == (1, 2, 3)
    assert (rules.max_reset_seconds, rules.lease_seconds, rules.ramp_up_seconds) == (4, 5, 6)
    assert str(breaker) == (
        "circuit_breaker('b', failure_threshold=5, slow_call_rate=1, slow_call_seconds=1, window_seconds=2,"
        " reset_timeout=3, max_reset_timeout=4, probe_timeout=5, ramp_up=6)"
    )


def test_a_circuit_shows_its_categories_and_functions_by_name():
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=0.5, open_for="rate_limit", failure_if=bool)
    assert str(breaker) == (
        "circuit_breaker('b', failure_threshold=None, failure_rate=0.5, window=20, open_for=rate_limit,"
        " failure_if=bool, reset_timeout=60)"
    )


# -- shares of calls ---------------------------------------------------------------------------------------------------


def test_half_of_the_last_twenty_calls_open_the_circuit_from_ten_calls_on(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=0.5)
    story = runner.play(breaker, *["ok", down] * 5, pauses=(0,) * 10)
    assert story.reached == 10
    assert story.names == ["circuit.opened", "call.rejected"]


def test_just_less_than_the_failure_rate_does_not_open_the_circuit(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=0.5)
    assert runner.play(breaker, *["ok", "ok", down] * 20, pauses=(0,) * 59).reached == 60


@pytest.mark.parametrize("failed", range(1, 100))
def test_a_failure_rate_that_is_met_exactly_opens_the_circuit_whatever_floats_round_to(failed: int):
    breaker = circuit_breaker(
        "b", failure_threshold=None, failure_rate=float(f"0.{failed:02}"), window=100, minimum_calls=100
    )
    with virtual_time():
        for number in range(100):
            assert breaker.state.name == "closed"
            if number < 100 - failed:
                breaker.call(int)
            else:
                with pytest.raises(ConnectionResetError), breaker:
                    raise down
    assert breaker.state.name == "open"


def test_a_window_smaller_than_the_default_minimum_needs_only_its_own_size():
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=1, window=3)
    assert [type(answer) for answer in call(breaker, down, down, down, "never")][3] is CircuitOpenError


def test_minimum_calls_may_equal_the_window():
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=0.2, window=5, minimum_calls=5)
    assert call(breaker, down, "ok", "ok", "ok", down)[4] is down
    assert breaker.state.name == "open"


def test_failures_count_by_weight_in_rates_too(runner: Runner):
    breaker = circuit_breaker(
        "b",
        failure_threshold=None,
        failure_rate=0.75,
        window=4,
        minimum_calls=4,
        profiles={"network": {"weight": 3}},
    )
    assert runner.play(breaker, "ok", "ok", "ok", down, pauses=(0,) * 4).names == ["circuit.opened", "call.rejected"]


def test_failures_older_than_the_window_are_forgotten(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=0.5, window_seconds=10, minimum_calls=2)
    story = runner.play(breaker, down, "ok", "ok", down, "ok", pauses=(10, 0, 0, 0))
    assert story.reached == 5


def test_slow_successes_open_the_circuit_without_a_last_error(runner: Runner):
    breaker = circuit_breaker("b", slow_call_rate=0.5, slow_call_seconds=2, window=4, minimum_calls=3, reset_timeout=7)
    story = runner.play(breaker, "ok", Takes(1.999), Takes(2), Takes(2), pauses=(0,) * 4)
    assert story.answers[:4] == ["ok", "done", "done", "done"]
    (opened, rejected) = story.events
    assert (opened.failures, opened.category, opened.retry_after) == (0, None, 7)
    assert story.reached == 4
    assert rejected.retry_after == 7
    assert str(story.answers[-1]) == "circuit 'b' is open; next probe in 7.0 s"


def test_slow_calls_within_the_window_open_the_circuit_and_older_ones_are_forgotten(runner: Runner):
    breaker = circuit_breaker("b", slow_call_rate=0.5, slow_call_seconds=2, window_seconds=20, minimum_calls=3)
    story = runner.play(breaker, Takes(2), Takes(2), "ok", Takes(2), Takes(2), "never", pauses=(0, 20, 0, 0, 0))
    assert story.answers[:5] == ["done", "done", "ok", "done", "done"]
    assert story.names == ["circuit.opened", "call.rejected"]


def test_a_slow_failure_is_a_failure_and_not_slow(runner: Runner):
    breaker = circuit_breaker("b", slow_call_rate=0.1, slow_call_seconds=2, minimum_calls=1)
    assert runner.play(breaker, *[Takes(5, down)] * 4).reached == 1
    assert breaker.circuit.window_snapshot(0).slow == 0
    assert breaker.fail_counter == 1


def test_circuits_in_one_stack_each_measure_their_own_time(runner: Runner):
    outer = circuit_breaker("outer", slow_call_rate=1, slow_call_seconds=10, minimum_calls=1)
    inner = circuit_breaker("inner", slow_call_rate=1, slow_call_seconds=10, minimum_calls=1)
    retry = retry_on_category(attempts=2, base_delay=10, jitter="none")
    runner.play(lambda function: outer(retry(inner(function))), down, Takes(9))
    assert (outer.state.name, inner.state.name) == ("open", "closed")


# -- what a failure is -------------------------------------------------------------------------------------------------


def test_failure_if_makes_a_result_a_failure_which_the_caller_gets_all_the_same(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=2, failure_if=lambda result: result == "bad")
    story = runner.play(breaker, "bad", "ok", "bad", "bad", pauses=(0,) * 4)
    assert story.answers[:4] == ["bad", "ok", "bad", "bad"]
    assert story.names == ["circuit.opened", "call.rejected"]
    assert (story.events[0].failures, story.events[0].category) == (2, None)


def test_a_probe_whose_result_is_a_failure_opens_the_circuit_again(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, failure_if=lambda result: result == "bad", reset_timeout=30)
    story = runner.play(breaker, down, "bad", "ok", pauses=(30, 30))
    assert story.names == [f"circuit.{what}" for what in ("opened", "half_opened", "opened", "half_opened", "closed")]


def test_an_error_of_failure_if_is_logged_once_and_the_call_is_a_success(
    runner: Runner, caplog: pytest.LogCaptureFixture
):
    def judge(result: object) -> bool:
        raise LookupError(runner)

    judge.__qualname__ = f"judge on {runner}"
    breaker = circuit_breaker("b", failure_threshold=2, failure_if=judge)
    with caplog.at_level(logging.WARNING, "resilience"):
        story = runner.play(breaker, down, "ok", "ok", down, pauses=(0,) * 3)
    assert story.answers == [down, "ok", "ok", down]
    assert (breaker.state.name, breaker.fail_counter) == ("closed", 1)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"failure_if judge on {runner} raised LookupError")


def test_a_rate_limit_with_retry_after_opens_the_circuit_for_exactly_that_long(runner: Runner):
    breaker = circuit_breaker("b", open_for="rate_limit", max_reset_timeout=1000)
    limited = Limited(7.25)
    story = runner.play(breaker, limited, "never", "ok", pauses=(7, 0.25))
    assert story.answers[0] is limited
    assert story.answers[1].retry_after == 0.25
    assert (story.answers[1].last_error_type, story.answers[1].last_category) == ("Limited", ErrorCategory.RATE_LIMIT)
    assert story.reached == 2
    assert (story.events[0].retry_after, story.events[0].failures) == (7.25, 0)
    assert story.events[0].category is ErrorCategory.RATE_LIMIT


def test_a_retry_after_of_less_than_a_second_counts_like_any_other():
    breaker = circuit_breaker("b", open_for="rate_limit")
    with virtual_time() as clock:
        call_now(breaker, Limited(0.5))
        assert breaker.state.until == clock.now() + 0.5


def test_a_retry_after_opens_the_circuit_with_the_number_of_failures_in_a_row():
    class Conflict(Exception):
        category = ErrorCategory.CONFLICT
        retry_after = 3

    for before, failures in [((down, down), 2), ((down, down, "ok"), 0), ((down, "ok", down), 1)]:
        breaker = circuit_breaker("b", open_for="conflict")
        call(breaker, *before, Conflict())
        assert (breaker.state.name, breaker.fail_counter) == ("open", failures)


@pytest.mark.parametrize("hint", [None, 0, -5, math.inf, math.nan, "soon", object], ids=str)
def test_a_missing_or_invalid_retry_after_does_not_open_the_circuit(hint: object):
    breaker = circuit_breaker("b", failure_threshold=1, open_for="rate_limit")
    call(breaker, Limited(hint), Limited(hint))
    assert (breaker.state.name, breaker.fail_counter) == ("closed", 0)


def test_an_infinite_retry_after_does_not_open_the_circuit_for_ever():
    limited = Limited()
    limited.trailing_metadata = lambda: [("grpc-retry-pushback-ms", "-1")]
    assert retry_after(limited) == math.inf
    breaker = circuit_breaker("b", open_for="rate_limit")
    call(breaker, limited)
    assert breaker.state.name == "closed"


def test_a_retry_after_of_a_category_outside_open_for_is_ignored(runner: Runner):
    breaker = circuit_breaker("b", open_for="timeout")
    assert runner.play(breaker, *[Limited(7)] * 3, pauses=(0, 0)).reached == 3


def test_a_probe_answered_with_retry_after_opens_the_circuit_for_that_long(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, open_for="rate_limit", reset_timeout=30)
    story = runner.play(breaker, down, Limited(5), "never", "ok", pauses=(30, 4, 1))
    assert story.answers[2].retry_after == 1
    assert story.answers[3] == "never"
    assert [event.retry_after for event in story.events if event.name == "circuit.opened"] == [30, 5]


def test_failures_before_a_success_are_not_reported_as_the_reason_of_an_opening():
    breaker = circuit_breaker("b", open_for="rate_limit")
    call(breaker, down, down, "ok", Limited(7))
    assert breaker.fail_counter == 0
    breaker.reset()
    call(breaker, down, down, "ok")
    breaker.open()
    with pytest.raises(CircuitOpenError, match=r"^circuit 'b' is open; next probe in"), breaker:
        pass
    breaker.reset()
    call(breaker, down, down, "ok")
    breaker.half_open()
    assert breaker.fail_counter == 0


# -- how long it stays open --------------------------------------------------------------------------------------------


class Fair(VirtualClock):
    """Virtual time whose chance is always the same."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self._chance = chance

    def random(self) -> float:
        return self._chance


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_the_open_time_doubles_with_each_opening_in_a_row_and_starts_again_after_closing(chance: float):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, max_reset_timeout=35)
    waits = []

    def fail() -> None:
        with pytest.raises(ConnectionResetError), breaker:
            raise down
        waits.append(breaker.state.until - clock.now())
        clock.advance(waits[-1])

    with using_clock(clock := Fair(chance)):
        for _ in range(4):
            fail()
        with breaker:
            pass
        assert breaker.state.name == "closed"
        fail()
        fail()
    share = 0.5 + 0.5 * chance
    assert waits == pytest.approx([wait * share for wait in (10, 20, 35, 35, 10, 20)])


def test_an_opening_by_hand_is_one_more_in_a_row_while_the_circuit_probes():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, max_reset_timeout=100)
    waits = []
    with using_clock(clock := Fair(0.0)):
        call_now(breaker, down)
        for _ in range(3):
            waits.append(breaker.state.until - clock.now())
            breaker.half_open()
            breaker.open()
        breaker.close()
        breaker.open()
        waits.append(breaker.state.until - clock.now())
    assert waits == [5, 10, 20, 5]


def test_the_jitter_of_a_wait_is_drawn_anew_each_time():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, max_reset_timeout=10)
    waits = set()
    with virtual_time(seed=1) as clock:
        for _ in range(50):
            with pytest.raises(ConnectionResetError), breaker:
                raise down
            waits.add(breaker.state.until - clock.now())
            clock.advance(10)
    assert len(waits) == 50
    assert 5 <= min(waits) < 6
    assert 9 < max(waits) <= 10


def test_a_thousand_openings_in_a_row_do_not_overflow():
    rules = circuit_breaker("b", reset_timeout=1, max_reset_timeout=100).circuit.config
    assert rules.open_seconds(10_000, 0.0) == 50


# -- ramping up --------------------------------------------------------------------------------------------------------


def test_after_closing_the_share_of_admitted_calls_grows_linearly():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, ramp_up=100)
    shares = []
    with virtual_time() as clock:
        breaker.half_open()
        with breaker:
            pass
        for _ in range(10):
            passed = 0
            for _ in range(1000):
                try:
                    passed += breaker.call(lambda: True)
                except CircuitOpenError as rejected:
                    assert rejected.retry_after == 100 - clock.now()
            shares.append(passed / 1000)
            clock.advance(10)
        assert all(breaker.call(lambda: True) for _ in range(1000))
    assert shares == pytest.approx([tenth / 10 for tenth in range(10)], abs=0.04)
    assert shares[0] == 0


def test_a_failure_during_ramp_up_counts_like_any_other():
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, ramp_up=100)
    with virtual_time() as clock:
        breaker.half_open()
        with breaker:
            pass
        clock.advance(99.999)
        with pytest.raises(ConnectionResetError), breaker:
            raise down
    assert breaker.state.name == "open"


def test_at_the_end_of_the_ramp_calls_take_the_fast_path_again(monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("b", ramp_up=100)
    with virtual_time() as clock:
        breaker.half_open()
        with breaker:
            pass
        clock.advance(99.5)
        assert breaker.call(int) == 0
        assert not breaker.state.fast_path
        clock.advance(0.5)
        assert breaker.call(int) == 0
        assert breaker.state.fast_path
        monkeypatch.setattr(type(breaker.circuit), "_acquire", None)
        assert breaker.call(int) == 0


@pytest.mark.parametrize("listeners", [[], [pybreaker.CircuitBreakerListener()]], ids=["unheard", "heard"])
def test_what_a_call_from_the_ramp_calls_after_the_ramp_is_a_call_of_its_own(listeners: list):
    breaker = circuit_breaker("b", ramp_up=100, listeners=listeners)
    with virtual_time() as clock:
        breaker.half_open()
        breaker.call(len, "ab")
        clock.advance(99.999)
        another = IndependentCaller()
        with breaker:
            clock.advance(1)
            breaker.call(len, "ab")  # still a part: no other call has ended the ramp yet
            another.call(breaker.call, len, "ab")
            call_now(breaker, down)
            assert breaker.fail_counter == 1


@pytest.mark.parametrize("by", ["close", "reset"])
def test_a_circuit_closed_by_hand_during_ramp_up_admits_every_call(by: str):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=10, ramp_up=100)
    with virtual_time():
        breaker.half_open()
        with breaker:
            pass
        with pytest.raises(CircuitOpenError), breaker:
            pass
        getattr(breaker, by)()
        with breaker:
            pass


def test_a_clock_that_is_set_back_ends_the_ramp():
    breaker = circuit_breaker("b", ramp_up=100)
    with virtual_time() as clock:
        clock.advance(1000)
        breaker.half_open()
        with breaker:
            pass
    with virtual_time(), breaker:
        pass


# -- modes -------------------------------------------------------------------------------------------------------------


def test_a_disabled_circuit_admits_every_call_and_records_nothing(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, failure_rate=0.5, window=4)
    breaker.disable()
    assert runner.play(breaker, *["ok", down] * 5, pauses=(0,) * 9).reached == 10
    assert (breaker.mode, breaker.state.name, breaker.fail_counter) == (CircuitMode.DISABLED, "closed", 0)
    assert breaker.circuit.window_snapshot(0.0) == (0, 0, 0)


def test_a_disabled_circuit_does_not_open_for_slow_calls_either(runner: Runner):
    breaker = circuit_breaker("b", slow_call_rate=0.5, slow_call_seconds=1, minimum_calls=1)
    breaker.disable()
    assert runner.play(breaker, *[Takes(2)] * 3, pauses=(0, 0)).reached == 3
    assert breaker.state.name == "closed"


@pytest.mark.parametrize("first", ["disable", "listen"])
def test_listeners_are_not_notified_of_the_calls_of_a_disabled_circuit(first: str):
    notifications = []

    class Listener(pybreaker.CircuitBreakerListener):
        def before_call(self, cb, func, *args, **kwargs):
            notifications.append("before_call")

        def failure(self, cb, exc):
            notifications.append("failure")

        def success(self, cb):
            notifications.append("success")

    breaker = circuit_breaker("b")
    if first == "disable":
        breaker.disable()
    breaker.add_listener(Listener())
    breaker.disable()
    assert call(breaker, "ok", down) == ["ok", down]
    assert notifications == []
    breaker.reset()
    call(breaker, "ok", down)
    assert notifications == ["before_call", "success", "before_call", "failure"]


def test_a_circuit_in_shadow_reports_the_calls_it_would_reject_and_rejects_none(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=30)
    breaker.shadow()
    story = runner.play(breaker, down, "let through", down, "probe", "ok", pauses=(10, 0, 20, 0))
    assert story.answers == [down, "let through", down, "probe", "ok"]
    assert story.names == [
        "circuit.opened",
        "call.rejected",
        "call.rejected",
        "circuit.half_opened",
        "circuit.closed",
    ]
    assert [(event.retry_after, event.shadow) for event in story.events[1:3]] == [(20, True), (20, True)]


def test_an_isolated_circuit_rejects_every_call_until_it_is_reset(runner: Runner):
    breaker = circuit_breaker("b")
    breaker.isolate()
    breaker.close()
    breaker.half_open()
    story = runner.play(breaker, "ok", pauses=(10.0**9,))
    assert story.reached == 0
    assert [answer.retry_after for answer in story.answers] == [math.inf] * 2
    breaker.reset()
    assert runner.play(breaker, "ok").answer == "ok"


def test_each_change_of_mode_is_one_event_followed_by_its_transition():
    notifications = []
    breaker = circuit_breaker("b")
    with subscribe(notifications.append):
        for order in ("isolate", "isolate", "disable", "shadow", "reset", "reset", "isolate", "reset"):
            getattr(breaker, order)()
    assert [getattr(event, "mode", event.name) for event in notifications] == [
        "isolated",
        "circuit.opened",
        "disabled",
        "circuit.closed",
        "shadow",
        "normal",
        "isolated",
        "circuit.opened",
        "normal",
        "circuit.closed",
    ]


@pytest.mark.parametrize("by", ["close", "reset"])
def test_closing_a_closed_circuit_forgets_its_failures(by: str):
    breaker = circuit_breaker("b", failure_threshold=3)
    call(breaker, down, down)
    getattr(breaker, by)()
    assert breaker.fail_counter == 0
    assert call(breaker, down, down, "ok") == [down, down, "ok"]


def test_a_late_result_from_before_a_reset_is_not_counted():
    breaker = circuit_breaker("b", failure_threshold=1)
    with pytest.raises(ConnectionResetError), breaker:
        breaker.reset()
        raise down
    assert breaker.state.name == "closed"


# -- by key ------------------------------------------------------------------------------------------------------------


def keyed(runner: Runner, breaker):
    """Return a function that calls ``guarded(host, answer)`` by *runner*, and the list of hosts that it reached."""
    reached: list[object] = []

    def dependency(host: object, answer: object = "ok") -> object:
        reached.append(host)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def async_dependency(host: object, answer: object = "ok") -> object:
        return dependency(host, answer)

    guarded = breaker(async_dependency if runner.is_async else dependency)

    def ask(host: object, answer: object = "ok") -> object:
        try:
            if not runner.is_async:
                return guarded(host, answer)

            async def main() -> object:
                return await guarded(host, answer)

            return runner.run(len, main)
        except Exception as error:
            return error

    return ask, reached


def first(host: object, *rest: object) -> object:
    return host


def test_each_key_has_a_circuit_of_its_own(runner: Runner):
    breaker = circuit_breaker("host", failure_threshold=1, key=first)
    ask, reached = keyed(runner, breaker)
    assert ask("a", down) is down
    assert isinstance(ask("a"), CircuitOpenError)
    assert ask("b") == "ok"
    assert reached == ["a", "b"]
    assert (breaker.of("a").state.name, breaker.of("b").state.name) == ("open", "closed")
    assert breaker.state.name == "closed"


def test_the_key_used_least_recently_is_forgotten_first(runner: Runner):
    breaker = circuit_breaker("host", key=first, max_keys=2)
    ask, _ = keyed(runner, breaker)
    for host in ("a", "b", "a", "c"):
        ask(host)
    assert [key for key, _ in breaker.children()] == ["a", "c"]


def test_an_open_circuit_is_forgotten_last(runner: Runner):
    breaker = circuit_breaker("host", key=first, max_keys=2, failure_threshold=1)
    ask, _ = keyed(runner, breaker)
    ask("down", down)
    for host in ("a", "b", "c"):
        assert ask(host) == "ok"
    assert [key for key, _ in breaker.children()] == ["down", "c"]
    ask("c", down)
    ask("d")
    assert [key for key, _ in breaker.children()] == ["c", "d"]  # where all are open, the oldest goes


def test_a_key_function_that_raises_fails_the_call_and_says_so(runner: Runner):
    problem = LookupError("no such tenant")

    def key(*_: object) -> object:
        raise problem

    breaker = circuit_breaker("host", key=key)
    ask, reached = keyed(runner, breaker)
    assert ask("a") is problem
    assert problem.__notes__ == ["resilience: raised by key= of circuit 'host'; the call was not made"]
    assert (reached, breaker.children()) == ([], [])


class Broken:
    def __hash__(self) -> int:
        raise ValueError("no hash today")


@pytest.mark.parametrize("key", [[1], Broken()], ids=["list", "Broken"])
def test_an_unhashable_key_fails_the_call_and_says_so(runner: Runner, key: object):
    breaker = circuit_breaker("host", key=lambda *_: key)
    ask, reached = keyed(runner, breaker)
    error = ask("a")
    assert isinstance(error, TypeError)
    assert str(error) == (
        f"circuit 'host': key= gave a {type(key).__name__}, which cannot be a dict's key; the call was not made"
    )
    assert isinstance(error.__cause__, TypeError if isinstance(key, list) else ValueError)
    assert (reached, breaker.children()) == ([], [])


def test_a_probe_of_a_key_that_is_cancelled_gives_its_permit_back():
    breaker = circuit_breaker("host", key=first, failure_threshold=1)

    @breaker
    def ask(host: str, error: BaseException | None = None) -> str:
        if error is not None:
            raise error
        return "ok"

    breaker.of("a").half_open()
    with pytest.raises(KeyboardInterrupt):
        ask("a", KeyboardInterrupt())
    assert breaker.of("a").probes_in_flight == 0
    assert ask("a") == "ok"
    assert breaker.of("a").state.name == "closed"


# -- races that were lost ----------------------------------------------------------------------------------------------


def test_a_rejection_may_be_made_while_probes_begin_and_end():
    """How long the first probe has left is asked without the lock: the set must not change under the question."""
    from resilience.policies.circuit_states import HalfOpen, ProbePermit

    state = HalfOpen(0, None, None, 0, set())

    class Moving(ProbePermit):
        @property
        def until(self) -> float:
            state.permits.add(ProbePermit(state, 0, 9))
            return 5.0

    state.permits.add(object.__new__(Moving))
    assert state.until == 5.0


def test_an_open_circuit_asks_a_shared_store_before_it_rejects():
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    breaker = circuit_breaker("b", storage=storage)
    breaker.open()
    with pytest.raises(CircuitOpenError), breaker:
        pass
    storage.state = pybreaker.STATE_CLOSED  # by another process
    with breaker:
        pass


def test_without_listeners_a_rejection_takes_no_extra_steps(monkeypatch: pytest.MonkeyPatch):
    breaker = circuit_breaker("b")
    monkeypatch.setattr(type(breaker.circuit), "_acquire", None)
    with virtual_time() as clock:
        breaker.open()
        for _ in range(2):
            with pytest.raises(CircuitOpenError), breaker:
                pass
            clock.advance(59.5)


def test_without_a_gil_each_success_is_reported_to_the_circuit(monkeypatch: pytest.MonkeyPatch):
    def telling(**rules: object) -> SuccessReporting:
        return circuit_breaker("b", **rules).circuit.telling

    for gil in (True, False, None):
        if gil is None:  # an interpreter that knows no other way
            monkeypatch.delattr(sys, "_is_gil_enabled")
        else:
            monkeypatch.setattr(sys, "_is_gil_enabled", lambda gil=gil: gil, raising=False)
        assert telling() is SuccessReporting.MARK
        assert telling(failure_rate=0.5) is (SuccessReporting.CALL if gil is False else SuccessReporting.COUNT)
        assert telling(failure_rate=0.5, window_seconds=10) is SuccessReporting.CALL


@pytest.mark.parametrize("rules", [{}, {"failure_rate": 0.5}], ids=["in a row", "rate by count"])
def test_neither_a_success_nor_a_counted_failure_reads_the_clock(rules: dict[str, object]):
    class Silent(VirtualClock):
        def now(self) -> float:
            raise AssertionError("the clock is not read")

    breaker = circuit_breaker("b", **rules)
    with using_clock(Silent()):
        assert breaker.call(int) == 0
        if not rules:
            with pytest.raises(ConnectionResetError), breaker:
                raise down


def test_a_rejection_while_the_circuit_ramps_up_says_so():
    error = CircuitOpenError("b", 12.0, ramping=True)
    assert error.ramping
    assert str(error) == "circuit 'b' is ramping up; full traffic in 12.0 s"
    with virtual_time() as clock:
        breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=5, ramp_up=10)
        breaker.open()
        clock.advance(5)
        with breaker:
            pass
        with pytest.raises(CircuitOpenError, match="is ramping up; full traffic in 10.0 s"), breaker:
            pass


# -- the share of probes that must succeed -----------------------------------------------------------------------------


def probe(breaker: CircuitBreaker, *outcomes: str) -> str:
    """Make a half-open circuit of *breaker*, and probes that end so; return the state it then is in."""
    breaker.half_open()
    for outcome in outcomes:
        with suppress(ConnectionResetError), breaker:
            if outcome == "fail":
                raise down
    return breaker.state.name


@pytest.mark.parametrize(
    ("close_rate", "success_threshold", "outcomes", "state"),
    [
        (1.0, 2, ["ok", "fail"], "open"),
        (0.8, 4, ["fail", "ok", "ok", "ok"], "half-open"),
        (0.8, 4, ["fail", "ok", "ok", "ok", "ok"], "closed"),
        (0.8, 4, ["ok", "ok", "ok", "ok"], "closed"),  # none may fail after the last that is needed
        (0.8, 4, ["fail", "ok", "ok", "ok", "fail"], "open"),
        (0.81, 4, ["fail"], "open"),
        (0.5, 1, ["fail", "ok"], "closed"),
        (0.5, 1, ["fail", "fail"], "open"),
        (0.1, 1, ["fail"] * 9 + ["ok"], "closed"),
        (0.1, 1, ["fail"] * 10, "open"),
    ],
)
def test_a_circuit_closes_when_enough_of_its_probes_have_succeeded(
    close_rate: float, success_threshold: int, outcomes: list[str], state: str
):
    breaker = circuit_breaker("b", close_rate=close_rate, success_threshold=success_threshold)
    assert probe(breaker, *outcomes) == state


@pytest.mark.parametrize("failures", range(1, 20))
def test_a_close_rate_that_is_met_exactly_closes_the_circuit_whatever_floats_round_to(failures: int):
    for successes in range(1, 20):
        rate = float(f"{successes / (successes + failures):.12f}"[:6])  # four digits, rounded down
        breaker = circuit_breaker("b", close_rate=rate, success_threshold=successes)
        assert probe(breaker, *["fail"] * failures, *["ok"] * successes) == "closed"


def test_a_failed_probe_of_any_weight_counts_once_for_the_close_rate():
    breaker = circuit_breaker(
        "b", failure_threshold=3, success_threshold=1, close_rate=0.5, profiles={"network": {"weight": 3}}
    )
    assert probe(breaker, "fail") == "half-open"
    assert breaker.fail_counter == 3


def test_a_tolerated_failure_of_a_probe_is_notified_and_is_no_transition():
    class Ear(pybreaker.CircuitBreakerListener):
        heard: list[str] = []

        def failure(self, cb: object, exc: BaseException) -> None:
            self.heard.append("failure")

        def state_change(self, cb: object, old_state: object, new_state: object) -> None:
            self.heard.append(new_state.name)

    breaker = circuit_breaker("b", close_rate=0.5, listeners=[Ear()])
    assert probe(breaker, "fail", "fail") == "open"
    assert Ear.heard == ["half-open", "failure", "failure", "open"]


def test_the_description_shows_a_close_rate():
    assert str(circuit_breaker("b", close_rate=0.8)) == (
        "circuit_breaker('b', failure_threshold=5, reset_timeout=60, close_rate=0.8)"
    )
