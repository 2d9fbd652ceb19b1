from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.policies._sliding_window import CountWindow, RecentCalls, TimeWindow, WindowSnapshot

outcomes = st.sampled_from(["ok", "ok", "ok", "slow", "fail", "heavy"])
WEIGHTS = {"fail": 1, "heavy": 3}


def share_of(calls: list[str]) -> WindowSnapshot:
    return WindowSnapshot(len(calls), sum(WEIGHTS.get(call, 0) for call in calls), calls.count("slow"))


@given(size=st.integers(1, 12), calls=st.lists(outcomes, max_size=60), looks=st.sets(st.integers(0, 60)))
def test_a_count_window_agrees_with_a_list_of_the_last_calls(size: int, calls: list[str], looks: set[int]):
    window = CountWindow(size)
    for number, call in enumerate(calls, start=1):
        if call in WEIGHTS:
            window.record(number, 0.0, weight=WEIGHTS[call])
        elif call == "slow":
            window.record(number, 0.0, slow=True)
        if number in looks or number == len(calls):
            assert window.snapshot(number, 0.0) == share_of(calls[:number][-size:])


def test_a_new_window_is_empty():
    assert CountWindow(5).snapshot(0, 0.0) == TimeWindow(5.0).snapshot(0, 0.0) == WindowSnapshot(0, 0, 0)


def test_a_window_of_one_call_knows_the_last_one():
    window = CountWindow(1)
    window.record(1, 0.0, weight=1)
    assert window.snapshot(1, 0.0) == WindowSnapshot(1, 1, 0)
    window.record(2, 0.0, slow=True)
    assert window.snapshot(2, 0.0) == WindowSnapshot(1, 0, 1)
    assert window.snapshot(3, 0.0) == WindowSnapshot(1, 0, 0)


class Counting(deque):
    """A deque that counts what is taken from it and how long it ever was."""

    taken = longest = 0

    def append(self, item) -> None:
        super().append(item)
        self.longest = max(self.longest, len(self))

    def popleft(self):
        self.taken += 1
        return super().popleft()


@pytest.mark.parametrize("kind", ["fail", "slow"])
def test_a_million_outcomes_cost_a_window_of_calls_one_step_each_and_no_memory(kind: str):
    window = CountWindow(100)
    window._events = events = Counting()
    outcome = {"weight": 1} if kind == "fail" else {"slow": True}
    for number in range(1, 1_000_001, 2):  # every other one
        window.record(number, 0.0, **outcome)
    assert window.snapshot(1_000_000, 0.0) == WindowSnapshot(100, 50 * (kind == "fail"), 50 * (kind == "slow"))
    assert events.taken == 500_000 - 50  # one step for each failure, none for a success
    assert events.longest == 50


def test_a_million_outcomes_cost_a_window_of_time_ten_buckets():
    window = TimeWindow(10.0)
    window._buckets = buckets = Counting()
    for number in range(1_000_000):
        window.bucket_for(number * 0.001).calls += 1
    assert buckets.longest == 10
    assert buckets.taken == 1000 - 10
    assert window.snapshot(0, 999.999).calls == 10_000


@given(
    waits=st.lists(st.tuples(st.integers(0, 40), outcomes), min_size=1, max_size=60),
    looks=st.lists(st.integers(0, 120), min_size=60, max_size=60),
)
def test_a_time_window_agrees_with_a_list_of_calls_to_a_tenth(waits: list[tuple[int, str]], looks: list[int]):
    window = TimeWindow(10.0)
    now, calls = 100.0, []
    for (wait, call), look in zip(waits, looks, strict=False):
        now += wait / 8
        bucket = window.bucket_for(now)
        bucket.calls += 1
        bucket.failed += WEIGHTS.get(call, 0)
        bucket.slow += call == "slow"
        calls.append((now, call))
        later = now + look / 8
        if look % 3 == 0:
            found = window.snapshot(0, later)
            at_least = share_of([call for at, call in calls if at > later - 9.0])
            at_most = share_of([call for at, call in calls if at > later - 10.0])
            assert all(low <= is_ <= high for low, is_, high in zip(at_least, found, at_most, strict=True))
            now = later


def test_a_bucket_is_a_tenth_and_goes_when_its_first_call_is_over_the_time():
    window = TimeWindow(10.0)
    for now in (3.0, 3.999, 4.0):
        window.bucket_for(now).calls += 1
    assert len(window._buckets) == 2
    assert [window.snapshot(0, now).calls for now in (12.999, 13.0, 13.999, 14.0)] == [3, 1, 1, 0]


def test_calls_that_end_at_the_same_moment_fall_into_one_bucket():
    window = TimeWindow(10.0)
    for now in [3.0] * 100 + [3.5] * 100:
        window.bucket_for(now).calls += 1
    assert len(window._buckets) == 1
    assert window.snapshot(0, 3.5).calls == 200


@pytest.mark.parametrize("looked", [False, True])
def test_a_clock_that_is_set_back_starts_a_window_of_time_again(looked: bool):
    window = TimeWindow(10.0)
    for now in (100.0, 105.0):
        window.bucket_for(now).failed += 1
    if looked:
        window.snapshot(0, 300.0)
    window.bucket_for(3.0).failed += 5
    assert window.snapshot(0, 3.0).failed == 5


def test_a_bucket_that_expired_by_one_clock_takes_no_calls_of_another():
    window = TimeWindow(10.0)
    window.bucket_for(3.0).calls += 1
    assert window.snapshot(0, 300.0).calls == 0
    for number, now in enumerate((3.5, 0.0, 0.5)):
        window.snapshot(0, 300.0 + number)
        window.bucket_for(now).calls += 1
        assert window.snapshot(0, now).calls == 1


@given(
    size=st.integers(1, 12),
    calls=st.lists(st.tuples(outcomes, st.sampled_from([0.0, 0.25, 1.0, 4.0])), max_size=60),
    looks=st.sets(st.integers(0, 60)),
)
def test_a_window_of_recent_calls_agrees_with_a_list_of_them(
    size: int, calls: list[tuple[str, float]], looks: set[int]
):
    window, now, ended = RecentCalls(size, 10.0), 0.0, []
    for number, (call, seconds) in enumerate(calls, start=1):
        now += seconds
        ended.append((now, call))
        if call in WEIGHTS:
            window.record(number, now, weight=WEIGHTS[call])
        elif call == "slow":
            window.record(number, now, slow=True)
        if number in looks or number == len(calls):
            old = [place for place, (when, what) in enumerate(ended, 1) if what != "ok" and when <= now - 10]
            recent = [what for _, what in ended[max(old, default=0) :]]
            assert window.snapshot(number, now) == share_of(recent[-size:])


def test_a_clock_that_is_set_back_leaves_a_window_of_recent_calls_empty():
    window = RecentCalls(10, 10.0)
    window.record(1, 100.0, weight=1)
    assert window.snapshot(3, 50.0) == WindowSnapshot(2, 0, 0)


def test_many_failures_cost_a_window_of_recent_calls_its_size():
    window = RecentCalls(100, 10.0)
    window._events = events = Counting()
    for number in range(1, 100_001):
        window.record(number, number * 1e-6, weight=1)
    assert events.longest <= 101
