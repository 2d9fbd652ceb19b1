"""Throttle: the share it rejects, what counts as accepted, how it recovers, and what it tells."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import resilience
from resilience import (
    CircuitOpenError,
    ErrorCategory,
    Pipeline,
    ResilienceError,
    Throttle,
    ThrottledError,
    circuit_breaker,
    describe,
    fallback,
    retry_on_category,
    subscribe,
    throttle,
)
from resilience._priority_context import NORMAL
from resilience._runtime.cut_off import CutOff
from resilience.clock import using_clock
from resilience.events import CallRejected, Event
from resilience.policies.throttle import _Traffic
from resilience.testing import virtual_time
from tests.circuit_model import Dice
from tests.manual_call import ManualCall
from tests.runners import Runner, Takes

PRESSURE = ("timeout", "rate_limit", "unavailable", "capacity")
ANSWERS = ("validation", "not_found", "conflict", "authentication", "authorization")


class Failed(Exception):
    def __init__(self, label: str) -> None:
        self.category = ErrorCategory(label)


@pytest.fixture
def dice() -> Iterator[Dice]:
    """A virtual clock whose chance is set by hand: at first so that nothing is rejected."""
    clock = Dice()
    clock.chance = 0.9999
    with using_clock(clock):
        yield clock


def fail(guard: Throttle, times: int = 1, label: str = "unavailable") -> None:
    for _ in range(times):
        with suppress(Failed), guard:
            raise Failed(label)


def succeed(guard: Throttle, times: int = 1) -> None:
    for _ in range(times):
        with guard:
            pass


def counts(guard: Throttle) -> tuple[int, int]:
    snapshot = guard.snapshot()
    return snapshot["requests"], snapshot["accepts"]


# -- what counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", PRESSURE)
def test_an_overload_is_a_request_that_was_not_accepted(label: str, dice: Dice):
    guard = throttle("t")
    fail(guard, 1, label)
    assert counts(guard) == (1, 0)


@pytest.mark.parametrize("label", ANSWERS)
def test_an_answer_is_accepted_whatever_it_says(label: str, dice: Dice):
    guard = throttle("t")
    fail(guard, 1, label)
    assert counts(guard) == (1, 1)


OTHERS = sorted({leaf.label for leaf in ErrorCategory} - {*PRESSURE, *ANSWERS})


@pytest.mark.parametrize("label", [label for label in OTHERS if ErrorCategory(label) not in ErrorCategory.CLIENT_ERROR])
def test_other_failures_say_nothing_of_the_load(label: str, dice: Dice):
    guard = throttle("t")
    fail(guard, 1, label)
    assert counts(guard) == (0, 0)


def test_rejections_of_policies_inside_are_not_counted(dice: Dice):
    guard, breaker = throttle("t"), circuit_breaker("inside a throttle")
    breaker.isolate()

    @guard
    @breaker
    def call() -> None: ...

    for _ in range(10):
        with pytest.raises(CircuitOpenError):
            call()
    assert counts(guard) == (0, 0)


@pytest.mark.parametrize(("by", "requests"), [(CutOff.TIMED_OUT, 1), (CutOff.CANCELLED, 0)])
def test_a_call_that_a_limit_of_ours_cuts_off_was_not_accepted(by: CutOff, requests: int, dice: Dice):
    guard = throttle("t")
    ManualCall(guard).cut_off(by)
    assert counts(guard) == (requests, 0)


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_a_task_that_a_limit_cancels_was_not_accepted(name: str):
    guard = throttle("t")
    story = Runner(name).play(
        lambda function: resilience.timeout(1)(guard(function)), "ok", Takes(5, "late"), pauses=(1.0,)
    )
    assert isinstance(story.answers[1], TimeoutError)
    assert (guard._traffic.requests, guard._traffic.accepts) == (2, 1)


def test_a_thread_that_a_limit_leaves_was_not_accepted_whatever_it_comes_back_with():
    guard, answer, ended = throttle("t"), threading.Event(), threading.Event()

    @resilience.timeout(1)
    def limited() -> None:
        try:
            guard.call(answer.wait, 30)
        finally:
            ended.set()

    with virtual_time(patience=0.02):
        with pytest.raises(TimeoutError):
            limited()
        assert counts(guard) == (1, 0)
        answer.set()
        assert ended.wait(30)
        assert counts(guard) == (1, 0)


def test_a_call_is_counted_when_it_ends(dice: Dice):
    guard = throttle("t")
    with guard:
        assert counts(guard) == (0, 0)
    assert counts(guard) == (1, 1)


def test_a_stream_is_one_request(runner: Runner):
    guard = throttle("t")

    @guard
    def items() -> Iterator[int]:
        yield from range(5)

    assert list(items()) == [*range(5)]
    assert guard._traffic.requests == guard._traffic.accepts == 1


# -- the law -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "accepts", "others", "share"),
    [
        (2, 50, 50, 0),
        (2, 50, 51, 0.01),
        (2, 0, 19, 0.95),
        (2, 25, 75, 0.5),
        (1.1, 50, 50, 0.45),
        (4, 10, 30, 0),
    ],
)
def test_the_share_is_that_of_the_book(k: float, accepts: int, others: int, share: float, dice: Dice):
    guard = throttle("t", k=k)
    dice.chance = 1.0
    succeed(guard, accepts)
    fail(guard, others)
    assert guard.snapshot()["share"] == pytest.approx(share, abs=0.006)


def test_less_than_ten_requests_say_nothing(dice: Dice):
    guard = throttle("t")
    dice.chance = 0.0
    fail(guard, 9)
    assert guard.snapshot()["share"] == 0
    fail(guard, 1)
    assert guard.snapshot()["share"] == pytest.approx(10 / 11)
    assert guard.snapshot()["rejected"] == 0


def test_a_call_is_rejected_with_the_chance_of_the_share(dice: Dice):
    guard = throttle("t")
    succeed(guard)
    fail(guard, 19)
    share = guard.snapshot()["share"]
    dice.chance = share
    succeed(guard)
    dice.chance = guard.snapshot()["share"] - 1e-9
    with pytest.raises(ThrottledError):
        succeed(guard)


def test_what_it_rejects_counts_as_a_request(dice: Dice):
    guard = throttle("t")
    succeed(guard)
    fail(guard, 19)
    dice.chance = 0.0
    with pytest.raises(ThrottledError):
        succeed(guard)
    assert guard.snapshot() == {"requests": 21, "accepts": 1, "share": 19 / 22, "rejected": 1}


def test_a_request_goes_through_every_second_whatever_chance_says(dice: Dice):
    guard = throttle("t")
    fail(guard, 99)
    dice.chance = 0.0
    made = []
    for _ in range(41):
        with suppress(ThrottledError, Failed), guard:
            made.append(dice.now())
            raise Failed("unavailable")
        dice.advance(0.25)
    assert made == [float(second) for second in range(1, 11)]


def test_the_error_says_when_a_request_goes_through(dice: Dice):
    guard = throttle("t")
    fail(guard, 19)
    dice.advance(0.75)
    dice.chance = 0.0
    with pytest.raises(ThrottledError) as rejected:
        succeed(guard)
    assert (rejected.value.retry_after, rejected.value.share) == (0.25, 0.95)
    assert rejected.value.category is ErrorCategory.REJECTED


@pytest.mark.parametrize("window", [10, 30])
def test_what_is_older_than_the_window_is_forgotten(window: int, dice: Dice):
    guard = throttle("t", window=window)
    fail(guard, 19)
    dice.advance(window - 0.25)
    assert counts(guard) == (19, 0)
    dice.advance(0.25)
    assert counts(guard) == (0, 0)


def test_a_clock_that_is_set_back_starts_again(dice: Dice):
    guard = throttle("t")
    dice.advance(100)
    fail(guard, 19)
    dice.set_back(50)
    assert counts(guard) == (0, 0)
    dice.chance = 0.0
    succeed(guard)


@given(
    st.lists(
        st.tuples(st.sampled_from(["accepted", "not", "asked"]), st.sampled_from([0.0, 0.1, 1.0, 3.0, 7.0, 20.0])),
        max_size=80,
    )
)
def test_the_counts_agree_with_a_list_of_all_requests(program: list[tuple[str, float]]):
    traffic, now, rejected = _Traffic(2.0, 10.0), 0.0, 0
    tenths: list[tuple[float, list[bool]]] = []
    accepted_at = admitted_at = -1e9

    def note(accepted: bool) -> None:
        if not tenths or now >= tenths[-1][0] + 1.0:
            tenths.append((now, []))
        tenths[-1][1].append(accepted)

    for what, seconds in program:
        now += seconds
        tenths = [(begin, outcomes) for begin, outcomes in tenths if begin + 10.0 > now]
        outcomes = [outcome for _, tenth in tenths for outcome in tenth]
        share = max(0.0, (len(outcomes) - 2.0 * outcomes.count(True)) / (len(outcomes) + 1))
        if len(outcomes) < 10:
            share = 0.0
        assert traffic.share(now) == share
        if what == "asked":
            admits = 0.25 >= share or now - admitted_at >= 1.0
            assert traffic.admits(now, 0.25, NORMAL) == admits
            if admits:
                admitted_at = now
            else:
                rejected += 1
                note(False)
        else:
            accepted = what == "accepted"
            if accepted and now - accepted_at >= 5.0:
                tenths = []
            if accepted:
                accepted_at = now
            note(accepted)
            traffic.record(now, accepted=accepted)
    assert traffic.rejected == rejected


# -- load --------------------------------------------------------------------------------------------------------------


def play(dice: Dice, guard: Throttle, seconds: int, accepts: float, rate: int = 100) -> list[int]:
    """Call for so long; the dependency accepts a share. Return how many calls succeed in each second."""
    chance, found = random.Random(1), []
    for _ in range(seconds):
        succeeded = 0
        for _ in range(rate):
            dice.advance(1 / rate)
            dice.chance = chance.random()
            with suppress(ThrottledError, Failed), guard:
                if chance.random() >= accepts:
                    raise Failed("unavailable")
                succeeded += 1
        found.append(succeeded)
    return found


def test_after_an_outage_of_half_a_minute_all_calls_are_made_within_two_seconds(dice: Dice):
    guard = throttle("t")
    play(dice, guard, 40, 1.0)
    assert sum(play(dice, guard, 30, 0.0)) == 0
    assert play(dice, guard, 3, 1.0)[2] == 100


def test_after_a_minute_of_outage_a_call_is_made_each_second(dice: Dice):
    guard = throttle("t")
    play(dice, guard, 60, 0.0)
    before = guard.snapshot()["rejected"]
    play(dice, guard, 10, 0.0)
    assert guard.snapshot()["rejected"] - before in range(1000 - 15, 1000 - 8)


@pytest.mark.parametrize("accepts", [1.0, 0.95, 0.8, 0.6])
def test_nothing_is_rejected_while_more_than_half_is_accepted(accepts: float, dice: Dice):
    guard = throttle("t")
    play(dice, guard, 60, accepts)
    assert guard.snapshot()["rejected"] <= 10  # of the first calls, by their small numbers


def test_an_overloaded_server_gets_twice_what_it_accepts(dice: Dice):
    guard = throttle("t")
    sent = served = 0
    chance = random.Random(2)
    for second in range(120):
        capacity = 20
        for _ in range(200):
            dice.advance(1 / 200)
            dice.chance = chance.random()
            with suppress(ThrottledError, Failed), guard:
                sent += second >= 60
                capacity -= 1
                if capacity < 0:
                    raise Failed("rate_limit")
                served += second >= 60
    assert served / 60 >= 19
    assert 1.8 <= sent / served <= 2.3


# -- what it tells, and where it stands --------------------------------------------------------------------------------


def test_a_rejected_call_gets_the_fallback_and_is_not_repeated(runner: Runner):
    guard = throttle("t")

    def decorate(function: Callable[..., object]) -> Callable[..., object]:
        return Pipeline(fallback(default="old"), retry_on_category(attempts=1), guard)(function)

    story = runner.play(decorate, *[Failed("unavailable")] * 60, pauses=(0.0,) * 59)
    assert story.answers == ["old"] * 60
    rejected = [event for event in story.events if isinstance(event, CallRejected)]
    assert len(rejected) == 60 - story.reached
    assert 10 <= story.reached < 25
    assert {event.policy for event in rejected} == {"t"}


def test_events_have_the_name_and_the_wait(dice: Dice):
    guard = throttle("t")
    fail(guard, 19)
    dice.chance = 0.0
    events: list[Event] = []
    with subscribe(events.append), pytest.raises(ThrottledError):
        succeed(guard)
    assert [(event.policy, event.retry_after) for event in events if isinstance(event, CallRejected)] == [("t", 1.0)]


def test_a_circuit_does_not_count_what_it_rejects(dice: Dice):
    guard = throttle("t")
    fail(guard, 99)
    breaker = circuit_breaker("around a throttle")
    guarded = breaker(guard(lambda: None))
    dice.chance = 0.0
    for _ in range(20):
        with pytest.raises(ThrottledError):
            guarded()
    assert breaker.current_state == "closed"
    assert breaker.fail_counter == 0


def test_the_note_of_a_failed_call_has_the_share(dice: Dice):
    guard = throttle("t")
    fail(guard, 18)

    @retry_on_category(attempts=2, base_delay=0.01)
    @guard
    def call() -> None:
        raise Failed("unavailable")

    with pytest.raises(Failed) as failed:
        call()
    assert "throttle 't' rejects 95% of the calls" in "\n".join(failed.value.__notes__)


def test_each_key_is_throttled_by_itself(dice: Dice):
    hosts = throttle("hosts", key=lambda host: host)

    @hosts
    def fetch(host: str) -> str:
        if host == "bad":
            raise Failed("unavailable")
        return host

    for _ in range(19):
        with suppress(Failed):
            fetch("bad")
    dice.chance = 0.0
    with pytest.raises(ThrottledError):
        fetch("bad")
    assert fetch("good") == "good"
    assert hosts.snapshot()["share"] == pytest.approx(20 / 21)


def test_a_key_that_rejects_calls_is_kept(dice: Dice):
    hosts = throttle("hosts", key=lambda host: host, max_keys=2)

    @hosts
    def fetch(host: str) -> None:
        if host == "bad":
            raise Failed("unavailable")

    for host in (*["bad"] * 10, "a", "b", "c"):
        with suppress(Failed):
            fetch(host)
    assert [key for key, _ in hosts._keyed.items()] == ["bad", "c"]


def test_a_key_that_raises_makes_no_call(dice: Dice):
    @throttle("hosts", key=lambda: 1 / 0)
    def fetch() -> None:
        raise AssertionError("called")

    with pytest.raises(ZeroDivisionError):
        fetch()


def test_it_guards_a_class(dice: Dice):
    guard = throttle("t", only=["get"])

    @guard
    class Client:
        def get(self) -> None:
            raise Failed("unavailable")

        def other(self) -> int:
            return 7

    with pytest.raises(Failed):
        Client().get()
    assert Client().other() == 7
    assert counts(guard) == (1, 0)


def test_its_description_has_the_options_that_were_given():
    assert str(throttle("t")) == "throttle('t')"
    assert str(throttle("t", k=1.5, window=60, key=len)) == "throttle('t', k=1.5, window=60) per key"
    assert repr(throttle("t")) == "<throttle('t')>"

    @throttle("t")
    def call() -> None: ...

    assert "worst case: 1 call" in str(describe(call))


def test_its_error_is_one_of_the_toolkit():
    error = ThrottledError("t", 0.4, 0.8)
    assert isinstance(error, ResilienceError)
    assert error.code == "RES-E010"


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"name": 7}, TypeError, "name=7"),
        ({"name": " "}, ValueError, "name=' '"),
        ({"k": 1}, ValueError, "k=1: give a number of more than 1, such as 2"),
        ({"k": float("nan")}, ValueError, "k=nan"),
        ({"k": float("inf")}, ValueError, "k=inf"),
        ({"k": "2"}, TypeError, "k='2'"),
        ({"window": 0}, ValueError, "window=0"),
        ({"window": "30"}, TypeError, "window='30'"),
        ({"key": 7}, TypeError, "key=7"),
        ({"max_keys": 0}, ValueError, "max_keys=0"),
    ],
)
def test_bad_options_fail_where_they_are_written(options: dict[str, object], kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        throttle(**{"name": "t", **options})
