"""The law of the adaptive limit: when a window is over, how the limit follows it, and what the baseline learns."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.policies._capacity_estimate import CapacityEstimate


class Driven:
    """An estimate, and a clock that calls advance."""

    def __init__(self, start: int = 20, least: int = 2, most: int = 200) -> None:
        self.estimate = CapacityEstimate(start, least, most)
        self.now = 0.0

    @property
    def limit(self) -> int:
        return self.estimate.limit

    def call(self, took: float, in_flight: int | None = None, *, dropped: bool = False, waiting: bool = False) -> bool:
        """Record a call that ends now."""
        if in_flight is None:
            in_flight = self.limit
        return self.estimate.record(self.now - took, self.now, in_flight=in_flight, dropped=dropped, waiting=waiting)

    def window(self, took: float, in_flight: int | None = None, *, dropped: int = 0, waiting: bool = False) -> int:
        """Record a window of 30 calls or fewer that all began after the last change; return the limit."""
        in_flight = self.limit if in_flight is None else in_flight
        self.now += took
        for number in range(30):
            self.now += max(0.25, 2.1 * took) / 29
            self.call(took, in_flight, dropped=number < dropped, waiting=waiting)
            if not self.estimate._window.calls:
                break
        return self.limit


def in_a_queue(driven: Driven, capacity: float, base: float) -> int:
    """Record a window of a dependency that does so many calls per second, each in *base*, and queues the others up."""
    return driven.window(max(base, driven.limit / capacity))


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "seconds", "took", "is_over"),
    [
        (30, 0.25, 0.01, True),
        (29, 0.25, 0.01, False),
        (30, 0.24, 0.01, False),
        (5, 1.0, 0.01, True),
        (4, 1.0, 0.01, False),
        (5, 0.99, 0.01, False),
        (30, 1.0, 0.5, True),
        (30, 0.99, 0.5, False),  # the slower ones of its calls have not ended yet
    ],
)
def test_a_window_has_enough_calls_and_lasts_long_enough(calls: int, seconds: float, took: float, is_over: bool):
    driven = Driven()
    driven.now = 100.0
    first_began = driven.now - took
    changes = []
    for number in range(calls):
        driven.now = first_began + took + (seconds - took) * number / (calls - 1)
        changes.append(driven.call(took))
    assert changes == [False] * (calls - 1) + [is_over]


def test_calls_that_began_before_the_limit_changed_say_nothing_of_the_new_one():
    driven = Driven()
    assert driven.window(0.05) == 24
    changed_at = driven.estimate._epoch
    driven.now = changed_at + 0.3
    for _ in range(100):
        driven.call(took=0.31, dropped=True)  # of the epoch before
    assert driven.estimate._window.calls == 0
    driven.call(took=0.29)
    assert driven.estimate._window.calls == 1


def test_a_clock_that_is_set_back_begins_anew():
    driven = Driven()
    driven.now = 1000.0
    driven.window(0.05)
    driven.now = 0.0
    assert driven.window(0.05) == 29


# -- the limit ---------------------------------------------------------------------------------------------------------


def test_it_grows_by_its_square_root_while_calls_take_as_long_as_before():
    driven = Driven(start=100)
    assert [driven.window(0.05) for _ in range(2)] == [110, 120]


def test_it_grows_only_where_half_of_it_was_in_use():
    assert Driven().window(0.05, in_flight=9) == 20
    assert Driven().window(0.05, in_flight=10) == 24


def test_it_tolerates_twice_the_baseline_and_shrinks_in_proportion_beyond():
    driven = Driven(start=100)
    driven.window(0.1, in_flight=10)
    assert driven.window(0.199, in_flight=10, waiting=True) == 100
    assert driven.window(0.25, in_flight=100) == 80


def test_it_shrinks_by_half_at_most():
    driven = Driven(start=100)
    driven.window(0.1, in_flight=10)
    assert driven.window(10.0, in_flight=100) == 50


@pytest.mark.parametrize(("dropped", "limit"), [(0, 100), (3, 100), (4, 86), (6, 80), (30, 50)])
def test_a_tenth_may_be_dropped_and_of_more_it_shrinks_by_their_share(dropped: int, limit: int):
    driven = Driven(start=100)
    assert driven.window(0.05, in_flight=10, dropped=dropped) == limit


def test_near_the_limit_at_which_calls_were_dropped_it_grows_by_one_until_it_is_passed():
    driven = Driven(start=100)
    assert driven.window(0.05, in_flight=60, dropped=9) == 70
    assert [driven.window(0.05) for _ in range(3)] == [78, 79, 80]
    driven.estimate._exact = 100.5
    assert [driven.window(0.05) for _ in range(2)] == [101, 111]


def test_it_stays_between_least_and_most():
    driven = Driven(start=20, least=5, most=40)
    for _ in range(10):
        driven.window(0.05)
    assert driven.limit == 40
    for _ in range(10):
        driven.window(0.05, dropped=30)
    assert driven.limit == 5


# -- the baseline ------------------------------------------------------------------------------------------------------


def test_the_baseline_is_the_median_of_the_first_window():
    driven = Driven()
    driven.window(0.08)
    assert driven.estimate.baseline == pytest.approx(0.08)


def test_a_latency_below_a_millisecond_is_one():
    driven = Driven()
    driven.window(0.0001)
    assert driven.estimate.baseline == 0.001
    assert driven.window(0.0019) == 29


def test_it_follows_down_by_a_fifth_and_up_by_a_twentieth():
    driven = Driven()
    driven.window(0.1, in_flight=5)
    driven.window(0.05, in_flight=5)
    assert driven.estimate.baseline == pytest.approx(0.09)
    driven.window(0.13, in_flight=5)
    assert driven.estimate.baseline == pytest.approx(0.092)


@pytest.mark.parametrize("shedding", [{"waiting": True, "in_flight": 5}, {"in_flight": 20}])
def test_it_learns_no_higher_latency_while_calls_wait_or_the_limit_is_reached(shedding: dict[str, int]):
    driven = Driven()
    driven.window(0.1, in_flight=5)
    driven.window(0.15, **shedding)
    assert driven.estimate.baseline == pytest.approx(0.1)


def test_overload_does_not_become_the_baseline_however_long_it_lasts():
    driven = Driven(start=40)
    driven.window(0.05)
    for _ in range(200):
        in_a_queue(driven, capacity=200, base=0.05)
    assert driven.estimate.baseline == pytest.approx(0.05)
    assert 14 <= driven.limit <= 25  # twenty make a latency of twice the baseline


def test_a_latency_that_fewer_calls_do_not_shorten_becomes_the_baseline_and_the_limit_is_given_back():
    driven = Driven(start=100)
    driven.window(0.05, in_flight=60)
    found = [driven.window(0.4) for _ in range(3)]
    assert found == [50 + 5, 27, 13]
    assert driven.window(0.4) == 110
    assert driven.estimate.baseline == pytest.approx(0.4)
    assert driven.window(0.4) > 110


def test_one_cut_in_vain_is_not_enough():
    driven = Driven(start=100)
    driven.window(0.05, in_flight=60)
    for took in (0.4, 0.4, 0.4, 0.2):  # the fourth is shorter, as it would be behind fewer calls
        driven.window(took)
    assert driven.estimate.baseline == pytest.approx(0.05)
    assert driven.limit < 13


def test_cuts_that_hardly_reduce_the_calls_in_flight_prove_nothing():
    driven = Driven(start=100)
    driven.window(0.05, in_flight=20)
    for in_flight in (20, 18, 16, 16):
        driven.window(0.12, in_flight=in_flight, waiting=True)
    assert driven.estimate.baseline == pytest.approx(0.05)


def test_at_the_least_limit_the_latency_is_the_baseline():
    driven = Driven(start=2)
    driven.window(0.05)
    driven.window(0.4)
    assert (driven.limit, driven.estimate.baseline) == (2, pytest.approx(0.05))
    driven.window(0.4)
    assert (driven.limit, driven.estimate.baseline) == (2, pytest.approx(0.4))


def test_after_five_minutes_of_fourfold_latency_all_is_as_before():
    driven = Driven(start=40)
    driven.window(0.05)
    before = driven.limit
    while driven.now < 300:
        driven.window(0.2)
    assert driven.limit >= before
    for _ in range(12):
        driven.window(0.05, in_flight=15)
    assert driven.estimate.baseline == pytest.approx(0.05, rel=0.3)


# -- invariants --------------------------------------------------------------------------------------------------------

LATENCIES = st.sampled_from([0.0, 0.001, 0.05, 0.3, 1.0, 30.0])
CALLS = st.tuples(LATENCIES, st.integers(1, 300), st.booleans(), st.booleans(), st.sampled_from([-5.0, 0.0, 0.01, 0.4]))


@given(st.integers(1, 10), st.integers(0, 50), st.integers(0, 50), st.lists(CALLS, max_size=400))
def test_whatever_happens_it_stays_within_its_bounds_and_changes_only_where_it_says_so(
    least: int, above: int, more: int, calls: list[tuple[float, int, bool, bool, float]]
):
    start, most = least + above, least + above + more
    estimate, now = CapacityEstimate(start, least, most), 10.0
    for took, in_flight, dropped, waiting, later in calls:
        now += later
        before = estimate.limit
        changed = estimate.record(now - took, now, in_flight=in_flight, dropped=dropped, waiting=waiting)
        assert changed == (estimate.limit != before)
        assert least <= estimate.limit <= most
        if changed:  # at once by no more than a half down, or what the cuts in vain have taken up
            assert estimate.limit >= math.floor(before / 2)
        assert estimate.baseline is None or estimate.baseline >= 0.001


@settings(max_examples=30)
@given(st.floats(20, 2000), st.floats(0.01, 0.2), st.floats(1.2, 4))
def test_of_any_dependency_it_finds_the_capacity_and_not_much_more(capacity: float, base: float, factor: float):
    needed = capacity * base  # calls in flight that use all of it
    driven = Driven(start=max(4, min(200, int(needed * factor))))
    driven.window(base, in_flight=max(1, driven.limit // 3))
    limits = [in_a_queue(driven, capacity, base) for _ in range(60)][40:]
    assert min(limits) >= min(max(2, 0.8 * needed), 199 / 1.5)
    assert max(limits) <= max(3 * needed, 15)
