from __future__ import annotations

import math
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from resilience import circuit_breaker, retry_on_category, timeout
from resilience.clock import using_clock
from resilience.policies.retry_budget import RetryBudget
from resilience.testing import VirtualClock
from tests.runners import Runner

# -- tokens -----------------------------------------------------------------------------------------------------------


def test_the_tokens_suffice_for_as_many_retries_as_they_cost():
    budget = RetryBudget(tokens=30, reserve=0)
    assert [budget.spend(14, 0.0) for _ in range(3)] == [14.0, 14.0, None]
    assert budget.left() == 2


def test_a_retry_may_take_the_last_token():
    budget = RetryBudget(tokens=14, reserve=0)
    assert budget.spend(14, 0.0) == 14
    assert budget.left() == 0


def test_a_retry_that_is_refused_takes_nothing():
    budget = RetryBudget(tokens=10, reserve=0)
    assert budget.spend(14, 0.0) is None
    assert budget.left() == 10


def test_the_default_suffices_for_thirty_five_retries_and_then_one_a_second():
    budget = RetryBudget()
    assert [budget.spend(14, 100.0) for _ in range(37)] == [14.0] * 35 + [0.0, None]
    assert [budget.spend(14, now) for now in (100.5, 101.0, 101.5, 102.0)] == [None, 0.0, None, 0.0]


def test_a_retry_that_costs_nothing_is_always_allowed():
    budget = RetryBudget(tokens=1, reserve=0)
    assert budget.spend(1, 0.0) == 1
    assert budget.spend(0, 0.0) == 0.0


def test_a_retry_that_costs_nothing_leaves_the_reserve_alone():
    budget = RetryBudget(tokens=1, reserve=1)
    assert [budget.spend(cost, 0.0) for cost in (0, 0, 2, 2)] == [0.0, 0.0, 0.0, None]


def test_a_success_at_once_pays_one_token():
    budget = RetryBudget(tokens=20, reserve=0)
    budget.spend(14, 0.0)
    budget.passes += 1
    assert budget.left() == 7
    budget.passes += 7
    assert budget.spend(14, 0.0) == 14
    assert budget.left() == 0


def test_a_success_after_retries_pays_back_what_the_last_one_cost():
    budget = RetryBudget(tokens=50, reserve=0)
    budget.spend(14, 0.0)
    budget.spend(5, 0.0)
    budget.refund(5)
    assert budget.left() == 36


def test_successes_do_not_save_up_more_than_a_full_bucket():
    budget = RetryBudget(tokens=20, reserve=0)
    budget.passes += 1000
    assert budget.left() == 20
    budget.spend(14, 0.0)
    assert budget.left() == 6  # what did not fit is not kept for later
    budget.refund(15)
    assert budget.left() == 20


def test_successes_are_paid_before_the_retry_that_comes_after_them():
    budget = RetryBudget(tokens=20, reserve=0)
    budget.passes += 5  # into a full bucket
    budget.spend(14, 0.0)
    budget.passes += 14  # six of which fit
    budget.refund(14)
    assert budget.left() == 20


def test_passes_that_another_thread_set_back_are_lost_and_not_counted_twice():
    budget = RetryBudget(tokens=100, reserve=0)
    budget.spend(50, 0.0)
    budget.passes += 10
    assert budget.left() == 60
    budget.passes = 3  # written by a thread that had read 2 before the others counted
    assert budget.left() == 60
    budget.passes += 8
    assert budget.left() == 61


# -- the reserve ------------------------------------------------------------------------------------------------------


def drained(reserve: float) -> RetryBudget:
    budget = RetryBudget(tokens=1, reserve=reserve)
    assert budget.spend(1, 0.0) == 1
    return budget


def test_without_a_reserve_an_empty_bucket_allows_nothing():
    assert [drained(0).spend(14, now) for now in (0.0, 1e6)] == [None, None]


def test_the_reserve_is_asked_only_when_the_tokens_do_not_suffice():
    budget = RetryBudget(tokens=28, reserve=1)
    assert [budget.spend(14, 0.0) for _ in range(4)] == [14.0, 14.0, 0.0, None]


def test_a_retry_out_of_the_reserve_leaves_the_tokens_alone():
    budget = RetryBudget(tokens=10, reserve=1)
    assert budget.spend(14, 0.0) == 0.0
    assert budget.left() == 10


def test_a_retry_out_of_the_reserve_pays_nothing_back():
    budget = drained(1)
    paid = budget.spend(14, 0.0)
    assert paid == 0
    budget.refund(paid)
    assert budget.left() == 0


@pytest.mark.parametrize(("reserve", "at_once"), [(0.1, 1), (1, 1), (2.5, 2), (10, 10)])
def test_a_long_silence_saves_up_the_reserve_of_one_second_and_one_retry_at_least(reserve: float, at_once: int):
    budget = drained(reserve)
    for now in (0.0, 1e6):
        assert sum(budget.spend(14, now) is not None for _ in range(100)) == at_once


def test_a_reserve_of_less_than_one_a_second_allows_one_retry_every_so_many_seconds():
    budget = drained(0.25)
    assert [budget.spend(14, now) is not None for now in (0, 1, 3, 4, 7, 8)] == [True, False, False, True, False, True]


def test_a_budget_works_with_a_clock_that_starts_at_zero():
    for start in (0.0, -5.0, 1e9):
        budget = drained(1)
        assert [budget.spend(14, start + after) for after in (0, 0.5, 1)] == [0.0, None, 0.0]


def test_after_a_clock_was_set_back_the_reserve_goes_on_from_there():
    budget = drained(1)
    assert budget.spend(14, 1e6) == 0.0
    assert budget.spend(14, 3.0) is None
    assert budget.spend(14, 4.0) == 0.0


def test_a_thread_that_comes_late_with_its_time_refills_nothing():
    budget = drained(10)
    assert [budget.spend(1, 5.0) for _ in range(11)] == [0.0] * 10 + [None]
    for _ in range(20):  # back and forth between two readings: a tenth of a second passes, and once
        budget.spend(1, 5.0)
        budget.spend(1, 5.05)
    assert budget.spend(1, 5.0999) is None
    assert budget.spend(1, 5.1001) == 0.0


# -- a model that predicts --------------------------------------------------------------------------------------------

quarters = st.integers(0, 200).map(lambda quarter: quarter / 4)  # exact in binary: the model has no tolerance


class Predicted(RuleBasedStateMachine):
    """Tokens and reserve to the token, in fractions."""

    @initialize(tokens=quarters.filter(bool), reserve=st.sampled_from([0, 0.25, 0.5, 1, 2, 8]), start=quarters)
    def begin(self, tokens: float, reserve: float, start: float):
        self.budget = RetryBudget("model", tokens=tokens, reserve=reserve)
        self.full, self.reserve, self.now = Fraction(tokens), Fraction(reserve), Fraction(start)
        self.left = self.full
        self.most = self.saved = max(Fraction(1), self.reserve)
        self.asked: Fraction | None = None
        self.paid: list[float] = []

    @rule(cost=quarters, after=quarters)
    def spend(self, cost: float, after: float):
        self.now += Fraction(after)
        paid = self.budget.spend(cost, float(self.now))
        if cost == 0:
            expected = 0.0
        elif self.left >= cost:
            self.left -= Fraction(cost)
            expected = cost
        else:
            if self.asked is not None:
                self.saved = min(self.most, self.saved + (self.now - self.asked) * self.reserve)
            self.asked = self.now
            expected = 0.0 if self.reserve and self.saved >= 1 else None
            self.saved -= expected is not None
        assert paid == expected
        if paid is not None:
            self.paid.append(paid)

    @rule(which=st.integers(0, 1000))
    def succeed_after_retries(self, which: int):
        if self.paid:
            paid = self.paid.pop(which % len(self.paid))
            self.budget.refund(paid)
            self.left = min(self.full, self.left + Fraction(paid))

    @rule(calls=st.integers(1, 30))
    def succeed_at_once(self, calls: int):
        self.budget.passes += calls
        self.left = min(self.full, self.left + calls)

    @invariant()
    def the_tokens_are_as_predicted(self):
        if hasattr(self, "budget"):
            assert self.budget.left() == self.left


TestTheModelPredictsEveryToken = Predicted.TestCase


# -- properties -------------------------------------------------------------------------------------------------------

costs = st.one_of(st.floats(0, 1000), st.just(math.inf))
moments = st.floats(-1e9, 1e9)
events = st.lists(st.one_of(st.tuples(costs, moments), costs, st.integers(0, 1000)), max_size=40)


@given(st.floats(0.001, 1000), st.floats(0, 100), events)
def test_tokens_stay_between_zero_and_the_capacity(tokens: float, reserve: float, events: list[Any]):
    budget = RetryBudget(tokens=tokens, reserve=reserve)
    for event in events:
        if isinstance(event, tuple):
            assert budget.spend(*event) in (None, 0.0, event[0])
        elif isinstance(event, int):
            budget.passes += event
        else:
            budget.refund(event)
        assert 0 <= budget.left() <= tokens


@given(
    st.floats(1, 500),
    st.floats(0, 20),
    st.floats(0.5, 50),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=30),
    st.floats(0, 1e6),
)
def test_without_successes_the_retries_are_what_tokens_and_reserve_allow(
    tokens: float, reserve: float, cost: float, crowds: list[tuple[float, int]], start: float
):
    budget, now, retries = RetryBudget(tokens=tokens, reserve=reserve), start, 0
    for after, crowd in crowds:
        now += after
        retries += sum(budget.spend(cost, now) is not None for _ in range(crowd))
    saved = max(1, reserve) if reserve else 0
    assert retries <= tokens / cost + reserve * (now - start) + saved + 1e-6


@given(st.lists(st.tuples(st.floats(0, 0.01), st.floats(0, 0.01)), max_size=200))
def test_threads_whose_times_cross_get_no_more_than_the_reserve(readings: list[tuple[float, float]]):
    budget, now, latest, retries = drained(50), 0.0, 0.0, 0
    for after, late in readings:
        now += after
        seen = max(0.0, now - late)
        latest = max(latest, seen)
        retries += budget.spend(14, seen) is not None
    assert retries <= 50 + 50 * latest + 1e-6


# -- threads ----------------------------------------------------------------------------------------------------------


def together(threads: int, work: Callable[[], object]) -> None:
    line = threading.Barrier(threads)

    def run() -> None:
        line.wait()
        work()

    crowd = [threading.Thread(target=run) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch):
    """Threads that take turns as often as they can."""
    import sys

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_threads_together_are_allowed_no_retry_more_than_one_alone():
    budget, allowed = RetryBudget(tokens=1000, reserve=5), []

    def work() -> None:
        for _ in range(500):
            paid = budget.spend(4, 1.0)
            if paid is not None:
                allowed.append(paid)

    together(8, work)
    assert sorted(allowed) == [0.0] * 5 + [4.0] * 250
    assert budget.left() == 0


@pytest.mark.usefixtures("hasty")
def test_tokens_that_threads_spend_and_refund_add_up():
    budget = RetryBudget(tokens=1000, reserve=0)

    def work() -> None:
        for _ in range(500):
            paid = budget.spend(14, 1.0)
            if paid is not None:
                budget.refund(paid)

    together(8, work)
    assert budget.left() == 1000


@pytest.mark.usefixtures("hasty")
def test_successes_counted_while_others_spend_earn_no_more_than_they_pay():
    budget, spent, counted = RetryBudget(tokens=100, reserve=0), [], []

    def work() -> None:
        for _ in range(500):
            budget.passes += 1
            counted.append(1)
            paid = budget.spend(5, 1.0)
            if paid is not None:
                spent.append(paid)

    together(8, work)
    assert sum(spent) + budget.left() <= 100 + len(counted)
    assert sum(spent) > 100


# -- words and bad input ----------------------------------------------------------------------------------------------


def test_the_text_of_a_budget_shows_its_options_and_its_tokens():
    budget = RetryBudget("billing", reserve=0.5)
    budget.spend(14, 0.0)
    assert repr(budget) == "RetryBudget('billing', tokens=500, reserve=0.5)"
    assert str(budget) == "budget 'billing': 486 of 500 tokens left"
    assert repr(RetryBudget()) == "RetryBudget(tokens=500, reserve=1)"
    assert str(RetryBudget(tokens=2.5)) == "budget: 2.5 of 2.5 tokens left"


@pytest.mark.parametrize("bad", [0, -1, math.inf, math.nan, "500", None, True])
def test_tokens_must_be_a_number_above_zero(bad: Any):
    with pytest.raises((TypeError, ValueError), match=r"^tokens=.*: give a number above 0"):
        RetryBudget(tokens=bad)


@pytest.mark.parametrize("bad", [-0.1, math.inf, math.nan, "1", None, False])
def test_the_reserve_must_be_a_rate(bad: Any):
    with pytest.raises((TypeError, ValueError), match=r"^reserve=.*: give retries per second of 0 or more"):
        RetryBudget(reserve=bad)


@pytest.mark.parametrize(("bad", "kind"), [("", ValueError), (7, TypeError), (b"billing", TypeError)])
def test_a_name_must_be_a_text_that_is_not_empty(bad: Any, kind: type[Exception]):
    with pytest.raises(kind, match=r"^name=.*: give a name"):
        RetryBudget(bad)


def test_tokens_and_reserve_are_given_by_name():
    with pytest.raises(TypeError):
        RetryBudget("billing", 500)


@pytest.mark.parametrize("bad", [-1, -math.inf, math.nan])
def test_a_cost_is_not_negative(bad: float):
    budget = RetryBudget()
    with pytest.raises(ValueError, match="^cost="):
        budget.spend(bad, 0.0)
    with pytest.raises(ValueError, match="^cost="):
        budget.refund(bad)
    assert budget.left() == 500


def test_a_budget_holds_500_tokens_and_one_retry_a_second_by_default():
    assert repr(RetryBudget()) == "RetryBudget(tokens=500, reserve=1)"


def test_a_success_pays_whichever_way_the_call_took(runner: Runner):
    judged = circuit_breaker("c", failure_if=lambda result: False)
    for guard in (lambda fn: fn, timeout(60), circuit_breaker("b"), judged):
        budget = RetryBudget(tokens=20, reserve=0)
        budget.spend(14, now=0.0)
        runner.play(lambda fn: retry_on_category(budget=budget)(guard(fn)), "ok", "ok", pauses=(0,))  # noqa: B023
        assert budget.left() == 8


def test_a_clock_that_is_set_back_by_more_than_a_refill_counts_from_there():
    budget = RetryBudget(tokens=1, reserve=2)
    assert budget.spend(100, 50.0) == 0.0  # the reserve, of two
    assert budget.spend(100, 50.0) == 0.0
    assert budget.spend(100, 50.0) is None
    assert budget.spend(100, 48.5) is None  # a second and a half ago: longer than the second that a refill takes
    assert budget.spend(100, 49.0) == 0.0  # half a second after that


def test_a_retry_that_is_cancelled_during_a_short_wait_is_paid_back(monkeypatch: pytest.MonkeyPatch):
    budget = RetryBudget(tokens=100)

    class Gone(BaseException):
        pass

    def asleep(*_: object) -> None:
        raise Gone

    @retry_on_category("network", base_delay=0.5, jitter="none", budget=budget)
    def call() -> None:
        raise ConnectionResetError

    clock = VirtualClock()
    monkeypatch.setattr(clock, "sleep", asleep)
    with using_clock(clock), pytest.raises(Gone):
        call()
    assert budget.left() == 100
