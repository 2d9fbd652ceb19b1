"""Waits of a retry: by category, as a number, a `Backoff`, a tenacity wait or a function."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from resilience import Backoff, ErrorCategory, RetryBudget, StopReason, retry_on_category
from resilience.policies.backoff import JITTERS
from resilience.testing import VirtualClock
from tests.runners import Runner

down, slow = ConnectionResetError("down"), TimeoutError("slow")


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


def waits(runner: Runner, *script: object, **options: object) -> list[float]:
    return runner.play(retry_on_category(attempts=len(script) + 1, jitter="none", **options), *script, "ok").waits


# -- by category ----------------------------------------------------------------------------------------------------


def test_a_category_may_have_a_fixed_wait_and_the_others_keep_the_backoff(runner: Runner):
    assert waits(runner, slow, down, slow, waits={"timeout": 7}) == [7, 0.2, 7]


def test_a_category_may_have_a_backoff_of_its_own(runner: Runner):
    own = Backoff(base_delay=3, exponential_base=3, jitter="none")
    assert waits(runner, slow, down, slow, slow, waits={"timeout": own}) == [3, 0.2, 27, 60]


def test_a_backoff_without_a_base_begins_with_the_categorys(runner: Runner):
    assert waits(runner, Busy(), Busy(), waits={"rate_limit": Backoff(exponential_base=5, jitter="none")}) == [1, 5]


def test_a_category_may_have_a_tenacity_wait(runner: Runner):
    assert waits(runner, slow, down, slow, waits={"timeout": tenacity.wait_incrementing(10, 5)}) == [10, 0.2, 20]


def test_a_category_may_have_a_function(runner: Runner):
    assert waits(runner, slow, down, slow, waits={"timeout": lambda state: state.attempt_number * 2.0}) == [2, 0.2, 6]


def test_a_number_of_a_category_may_be_a_timedelta(runner: Runner):
    assert waits(runner, slow, waits={"timeout": timedelta(minutes=1)}) == [60]


@pytest.mark.parametrize("wait", [timedelta(seconds=2.5), 2.5])
def test_the_wait_for_all_may_be_a_number_or_a_timedelta(runner: Runner, wait: object):
    assert waits(runner, slow, down, wait=wait) == [2.5, 2.5]


@pytest.mark.parametrize("key", ["timeout", "TIMEOUT", ErrorCategory.TIMEOUT, ErrorCategory.ANY_TIMEOUT])
def test_a_key_is_a_category_its_label_or_its_name(runner: Runner, key: object):
    assert waits(runner, slow, waits={key: 7}) == [7]


@pytest.mark.parametrize("key", ["transient", ErrorCategory.TRANSIENT, ErrorCategory.TIMEOUT | ErrorCategory.NETWORK])
def test_a_key_that_is_a_group_stands_for_every_category_in_it(runner: Runner, key: object):
    assert waits(runner, slow, down, slow, waits={key: 7}) == [7, 7, 7]


def test_of_two_keys_the_narrower_holds_for_what_both_name(runner: Runner):
    assert waits(runner, slow, down, waits={"transient": 7, "timeout": 1}) == [1, 7]
    assert waits(runner, slow, down, waits={"timeout": 1, "transient": 7}) == [1, 7]


def test_the_wait_for_all_holds_where_a_category_has_none_of_its_own(runner: Runner):
    own = {"timeout": Backoff(base_delay=3, jitter="none"), "network": 1, "rate_limit": lambda state: 5}
    assert waits(runner, slow, down, Busy(), waits=own, wait=9) == [3, 1, 5]
    assert waits(runner, slow, down, Busy(), waits={"network": 1}, wait=9) == [9, 1, 9]


def test_a_servers_hint_wins_over_a_categorys_shorter_wait(runner: Runner):
    (wait,) = waits(runner, Busy(20), waits={"rate_limit": 3})
    assert 20 <= wait <= 22
    (wait,) = waits(runner, Busy(20), waits={"rate_limit": lambda state: 30})
    assert 30 <= wait <= 32


def test_a_hint_is_measured_against_the_cap_of_the_categorys_own_backoff(runner: Runner):
    own = Backoff(max_delay=300)
    story = runner.play(retry_on_category(waits={"rate_limit": own}), Busy(200), "ok")
    assert 200 <= story.waits[0] <= 220
    policy = retry_on_category(waits={"rate_limit": Backoff(max_delay=10)})
    assert runner.play(policy, Busy(11), "never").events[-1].reason == "pushback"


def test_a_wait_for_a_category_does_not_make_it_retried(runner: Runner):
    assert runner.play(retry_on_category("network", waits={"timeout": 7}), slow, "never").reached == 1


# -- the backoff ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", JITTERS)
@pytest.mark.parametrize("base", [1.0, 2.0, 10.0])
def test_no_wait_is_negative_or_above_the_cap_at_attempt_10_000(jitter: str, base: float):
    backoff = Backoff(base_delay=0.1, max_delay=60, exponential_base=base, jitter=jitter)
    for retry in (0, 1, 1_022, 1_023, 1_024, 9_999, 10**6):
        for chance in (0.0, 0.5, math.nextafter(1, 0)):
            assert 0 <= backoff.delay(retry, 5.0, 60.0, lambda: chance) <= 60


def test_ten_thousand_attempts_wait_no_longer_than_the_cap(runner: Runner):
    if runner.is_async:
        pytest.skip("the same policy, and every virtual wait takes rounds of the event loop")
    story = runner.play(retry_on_category(attempts=10_001, base_delay=1, jitter="none"), *[down] * 10_000, "ok")
    assert story.answer == "ok"
    assert story.now == 1 + 2 + 4 + 8 + 16 + 32 + 60 * (10_000 - 6)
    assert story.reached == 10_001


@pytest.mark.parametrize("jitter", ["equal", "full", "decorrelated"])
def test_a_hundred_thousand_waits_near_the_cap_are_all_different(jitter: str):
    backoff, clock = Backoff(base_delay=1, max_delay=60, jitter=jitter), VirtualClock(seed=7)
    drawn = [backoff.delay(20, 1.0, 60.0, clock.random) for _ in range(100_000)]
    assert max(drawn) < 60
    assert sum(wait > 59.9 for wait in drawn) < 1_000  # 0.17 to 0.33 % of an even spread
    assert len(set(drawn)) > 99_000
    assert min(drawn) < {"equal": 30.01, "full": 0.01, "decorrelated": 1.01}[jitter]


def test_a_decorrelated_wait_that_reaches_the_cap_is_spread_over_its_upper_half():
    backoff, clock = Backoff(base_delay=1, max_delay=60, jitter="decorrelated"), VirtualClock(seed=7)
    # From 60 the next is drawn from 1 to 180: two thirds of them get to the cap.
    drawn = [backoff.delay(20, 1.0, 60.0, clock.random) for _ in range(100_000)]
    share = [sum(low <= wait < low + 10 for wait in drawn) / 100_000 for low in (0, 10, 20, 30, 40, 50)]
    below, again = 10 / 179, (120 / 179) / 3
    expected = [below * 0.9, below, below, below + again, below + again, below + again]
    assert share == pytest.approx(expected, abs=0.006)


@given(
    st.sampled_from(JITTERS),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(1, 1e3),
    st.integers(0, 10**4),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_what_the_formula_says(jitter: str, base: float, cap: float, factor: float, retry: int, u: float):
    backoff = Backoff(max_delay=cap, exponential_base=factor, jitter=jitter)
    wait = backoff.delay(retry, base, 0.0, lambda: u)
    first = min(base, cap)
    try:
        value = min(cap, first * factor**retry)
    except OverflowError:  # the power alone is beyond all floats
        value = cap if first else 0.0
    if jitter != "decorrelated":
        assert wait == pytest.approx(value * {"equal": 0.5 + 0.5 * u, "full": u, "none": 1.0}[jitter])
    else:
        assert min(first, cap / 2) <= wait <= cap


# -- tenacity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (tenacity.wait_fixed(2), [2, 2, 2, 2]),
        (tenacity.wait_fixed(timedelta(seconds=2)), [2, 2, 2, 2]),
        (tenacity.wait_none(), [0, 0, 0, 0]),
        (tenacity.wait_incrementing(1, 2, 6), [1, 3, 5, 6]),
        (tenacity.wait_exponential(1, max=5), [1, 2, 4, 5]),
        (tenacity.wait_fixed(2) + tenacity.wait_incrementing(0, 1), [2, 3, 4, 5]),
        (sum([tenacity.wait_fixed(1), tenacity.wait_fixed(2)]), [3, 3, 3, 3]),
        (tenacity.wait_combine(tenacity.wait_fixed(1), tenacity.wait_fixed(4)), [5, 5, 5, 5]),
        (tenacity.wait_chain(*map(tenacity.wait_fixed, [1, 5, 9])), [1, 5, 9, 9]),
        (tenacity.wait_chain(tenacity.wait_none(), tenacity.wait_fixed(1) + tenacity.wait_fixed(2)), [0, 3, 3, 3]),
        (lambda state: 1.5 * state.attempt_number, [1.5, 3, 4.5, 6]),
        (lambda state: state.idle_for + 1, [1, 2, 4, 8]),
        (lambda state: 3 if isinstance(state.outcome.exception(), TimeoutError) else 1, [1, 1, 1, 1]),
    ],
)
def test_a_wait_of_tenacity_or_a_function_waits_what_tenacity_would(
    runner: Runner, wait: object, expected: list[float]
):
    assert waits(runner, *[down] * 4, wait=wait) == expected
    assert waits(runner, *[down] * 4, waits={"network": wait}) == expected


@pytest.mark.parametrize(
    "wait",
    [
        tenacity.wait_random(1, 3),
        tenacity.wait_random_exponential(2, max=3),
        tenacity.wait_exponential_jitter(1, 3),
        tenacity.wait_fixed(1) + tenacity.wait_random(0, 2),
    ],
)
def test_tenacitys_waits_by_chance_stay_within_their_bounds(runner: Runner, wait: object):
    assert all(0 <= each <= 3 for each in waits(runner, *[down] * 8, wait=wait))


def test_a_function_may_be_async_where_the_call_is(backend: str):
    async def ask(state: object) -> float:
        return 4.0

    assert waits(Runner(backend), down, slow, wait=ask, waits={"timeout": ask}) == [4, 4]


def test_an_async_wait_of_one_category_is_refused_around_a_sync_function():
    async def ask(state: object) -> float: ...

    with pytest.raises(TypeError, match=r"waits\['timeout'\]=.*is not async and cannot await it"):
        retry_on_category(waits={"timeout": ask})(lambda: None)


def test_a_wait_is_asked_once_for_each_retry_and_not_after_the_last_attempt(runner: Runner):
    asked: list[int] = []

    def ask(state: tenacity.RetryCallState) -> float:
        asked.append(state.attempt_number)
        return 0

    runner.play(retry_on_category(attempts=3, wait=ask), *[down] * 3)
    assert asked == [1, 2]


@pytest.mark.parametrize(
    ("options", "asks"),
    [({"idempotent": False}, 0), ({"no_progress": 2}, 1), ({"max_attempts": {"network": 1}}, 0)],
    ids=["not idempotent", "no progress", "attempts of its category"],
)
def test_a_wait_is_not_asked_where_no_attempt_may_follow(runner: Runner, options: dict[str, Any], asks: int):
    asked: list[int] = []

    def ask(state: tenacity.RetryCallState) -> float:
        asked.append(state.attempt_number)
        return 0

    story = runner.play(retry_on_category(wait=ask, attempts=9, **options), *[down] * 3)
    assert story.answer is down
    assert len(asked) == asks == story.reached - 1


# -- waits that are none --------------------------------------------------------------------------------------------


def fails(state: object) -> float:
    raise RuntimeError("no idea")


NONE = {
    "nothing": lambda state: None,
    "nan": lambda state: math.nan,
    "negative": lambda state: -0.001,
    "infinity": lambda state: math.inf,
    "truth": lambda state: True,
    "text": lambda state: "1",
    "a number too long for a float": lambda state: 2**2000,
    "a number too long to be shown": lambda state: 2**200_000,
    "a complex number": lambda state: 1j,
    "an error": fails,
}


@pytest.mark.parametrize("wait", NONE.values(), ids=NONE)
@pytest.mark.parametrize("where", ["wait", "waits"])
def test_an_invalid_wait_ends_the_retries_with_the_callers_error(runner: Runner, wait: Callable, where: str):
    given: dict = {"wait": wait} if where == "wait" else {"waits": {"network": wait}}
    error, budget = ConnectionResetError("mine"), RetryBudget(tokens=20)
    story = runner.play(retry_on_category(**given, budget=budget), error, "never")
    assert story.answer is error
    assert story.reached == 1
    assert story.events[-1].reason == "strategy_failed"
    assert error.resilience.reason is StopReason.STRATEGY_FAILED
    assert "stopped: a strategy failed" in error.__notes__[0]
    assert budget.left() == 20


def test_an_invalid_wait_is_logged_once(caplog: pytest.LogCaptureFixture):
    def sleepy_strategy(state: object) -> object:
        return "soon"

    with caplog.at_level(logging.WARNING, "resilience"):
        for _ in range(3):
            Runner("sync").play(retry_on_category(wait=sleepy_strategy), ConnectionResetError(), "never")
    (record,) = caplog.records
    assert "wait strategy" in record.message
    assert "sleepy_strategy" in record.message
    assert "'soon'" in str(record.exc_info[1])


def test_a_stop_or_a_wait_that_raises_leaves_a_later_call_alone(runner: Runner):
    answers = iter([RuntimeError(), 1.0])

    def once(state: object) -> float:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    story = runner.play(retry_on_category(wait=once), ConnectionResetError("first"), down, "ok", pauses=(0,))
    assert [str(answer) for answer in story.answers] == ["first", "ok"]


# -- configuration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"timeout": -1}, ValueError, r"waits\['timeout'\]=-1: give seconds"),
        ({"timeout": math.nan}, ValueError, r"waits\['timeout'\]=nan: give seconds"),
        ({"timeout": math.inf}, ValueError, r"waits\['timeout'\]=inf: give seconds"),
        ({"timeout": True}, TypeError, r"waits\['timeout'\]=True: give seconds"),
        ({"timeout": "1"}, TypeError, r"waits\['timeout'\]='1': give seconds"),
        ({"timeout": None}, TypeError, r"waits\['timeout'\]=None: give seconds"),
        ({"timeout": 61}, ValueError, r"waits\['timeout'\]=61.*: give at most max_delay=60"),
        ({"timeout": timedelta(-1)}, ValueError, r"waits\['timeout'\]=-86400.0: give seconds"),
        ({"timeout": lambda: 1}, TypeError, r"waits\['timeout'\]=.*function of one argument, its RetryCallState"),
        ({"timeout": tenacity.wait_fixed}, TypeError, r"waits\['timeout'\]=.*such as tenacity.wait_fixed\(1\)"),
        ({"tiemout": 1}, ValueError, "waits: 'tiemout' is not an ErrorCategory; did you mean 'timeout'"),
        ({3: 1}, TypeError, "waits=3: give an ErrorCategory or its label"),
        ({ErrorCategory(0): 1}, ValueError, "an empty category matches nothing"),
    ],
)
def test_invalid_waits_are_refused(wrong: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=says):
        retry_on_category(waits=wrong)


@pytest.mark.parametrize("wrong", [timedelta(-1), -1, math.nan, math.inf])
def test_an_invalid_wait_for_all_categories_is_refused(wrong: object):
    with pytest.raises(ValueError, match="wait=.*: give seconds of 0 or more"):
        retry_on_category(wait=wrong)
