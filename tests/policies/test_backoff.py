from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.policies.backoff import JITTERS, Backoff, hint_jitter

chances = st.floats(0, 1, exclude_max=True)


def delays(backoff: Backoff, chance: float, retries: int = 12, base: float = 0.1) -> list[float]:
    waits, previous = [], 0.0
    for retry in range(retries):
        previous = backoff.delay(retry=retry, base=base, previous=previous, draw=lambda: chance)
        waits.append(previous)
    return waits


def test_without_jitter_waits_double_up_to_the_cap():
    assert delays(Backoff(1, 10, jitter="none"), 0.5, 6) == [1, 2, 4, 8, 10, 10]


def test_equal_jitter_draws_from_the_upper_half():
    assert delays(Backoff(1, 10), 0.0, 5) == [0.5, 1, 2, 4, 5]
    assert delays(Backoff(1, 10), 0.5, 5) == [0.75, 1.5, 3, 6, 7.5]


def test_full_jitter_draws_from_nothing_to_all():
    assert delays(Backoff(1, 10, jitter="full"), 0.0, 3) == [0, 0, 0]
    assert delays(Backoff(1, 10, jitter="full"), 0.5, 5) == [0.5, 1, 2, 4, 5]


def test_decorrelated_jitter_grows_from_the_wait_before():
    assert delays(Backoff(1, 100, jitter="decorrelated"), 0.5, 3) == [2.0, 3.5, 5.75]
    assert delays(Backoff(1, 100, jitter="decorrelated"), 0.0, 3) == [1, 1, 1]


def test_decorrelated_jitter_is_drawn_again_from_the_upper_half_of_the_cap_when_it_gets_there():
    backoff = Backoff(1, 10, jitter="decorrelated")
    assert backoff.delay(retry=9, base=1, previous=8, draw=lambda: 0.5) == 7.5  # 12.5 would be over
    exactly = backoff.delay(retry=9, base=1, previous=7, draw=lambda: 0.45)  # 10, that is
    assert exactly == 10 * (0.5 + 0.5 * 0.45)


def test_a_first_wait_of_less_than_a_second_grows_to_the_same_cap():
    assert delays(Backoff(0.25, 3, jitter="none"), 0.5, 6) == [0.25, 0.5, 1, 2, 3, 3]


def test_the_first_wait_may_be_the_longest():
    assert delays(Backoff(5, 5, jitter="none"), 0.5, 3) == [5, 5, 5]
    assert delays(Backoff(None, 0.05, jitter="none"), 0.5, 2) == [0.05, 0.05]  # a category's own, capped


@pytest.mark.parametrize("jitter", ["equal", "full", "decorrelated"])
def test_no_wait_is_exactly_the_cap(jitter: str):
    import random

    draw = random.Random(1).random
    at_cap = 0
    for _ in range(2000):
        previous = 0.0
        for retry in range(10):
            previous = Backoff(0.1, 5, jitter=jitter).delay(retry=retry, base=0.1, previous=previous, draw=draw)
        at_cap += previous == 5
    assert at_cap == 0


@given(
    st.sampled_from(JITTERS),
    st.floats(0, 1e6),
    st.floats(1, 100),
    st.integers(0, 10**9),
    st.floats(0, 1e6),
    chances,
)
def test_a_wait_is_never_negative_nor_above_the_cap(
    jitter: str, cap: float, factor: float, retry: int, previous: float, chance: float
):
    backoff = Backoff(None, cap, factor, jitter)
    wait = backoff.delay(retry=retry, base=0.1, previous=min(previous, cap), draw=lambda: chance)
    assert 0 <= wait <= cap


@given(chances)
def test_the_ten_thousandth_retry_does_not_overflow(chance: float):
    assert 15 <= Backoff(0.1, 30).delay(retry=10_000, base=1, previous=0, draw=lambda: chance) < 30.0000001


def test_a_base_of_zero_never_waits():
    assert delays(Backoff(0), 0.9) == [0] * 12


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 30.0), (0.5, 31.5), (1.0, 33.0)])
def test_a_hint_of_the_server_is_waited_out_and_exceeded_by_a_tenth_at_most(chance: float, expected: float):
    assert hint_jitter(1.0, asked=30.0, chance=chance) == expected


def test_a_backoff_longer_than_the_hint_is_kept():
    assert hint_jitter(40.0, asked=30.0, chance=0.0) == 40.0
