from __future__ import annotations

import inspect
import math
from datetime import timedelta

import pytest
import tenacity

from resilience import ErrorCategory, retry_on_category
from resilience.policies._retry_config import RetryConfig, RetryOptions
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

LOGGED_ONCE = "(logged once; further occurrences suppressed)"

down = ConnectionResetError("down")


class Busy(Exception):
    category = ErrorCategory.RATE_LIMIT

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


def test_type_checkers_see_the_options_that_a_retry_takes():
    seen = {name: kind.__forward_arg__ for name, kind in RetryOptions.__annotations__.items()}
    _, _, *taken = inspect.signature(RetryConfig.__init__).parameters.values()
    assert seen == {option.name: option.annotation for option in taken}


def test_a_transient_failure_is_tried_again_until_it_succeeds(runner: Runner):
    story = runner.play(retry_on_category(base_delay=1, jitter="none"), down, down, "ok")
    assert story.answer == "ok"
    assert story.reached == 3
    assert story.waits == [1, 2]
    assert story.now == 3
    assert story.names == ["attempt.failed", "retry.scheduled", "attempt.failed", "retry.scheduled"]


def test_the_last_error_is_raised_as_the_same_object_with_what_was_tried_in_its_notes(runner: Runner):
    last = TimeoutError("third")
    story = runner.play(retry_on_category(base_delay=1, jitter="none"), down, down, last)
    assert story.answer is last
    assert last.__notes__ == [
        (
            f"resilience: {story.events[0].target} failed 3 times (network, network, timeout), 3 s waited in between"
            "\n  stopped: no attempt left; the first failure was ConnectionResetError; the last failure took 0 s"
        )
    ]
    assert last.__cause__ is None
    assert last.__context__ is None
    assert story.names[-1] == "retry.exhausted"
    assert story.events[-1].reason == "attempts"


def test_an_error_raised_again_and_again_keeps_one_note(runner: Runner):
    error = ConnectionResetError("always the same object")
    story = runner.play(retry_on_category(base_delay=0), *[error] * 9, pauses=(0, 0))
    assert story.reached == 9
    assert len(error.__notes__) == 1


def test_a_note_shows_the_last_five_categories(runner: Runner):
    error = TimeoutError()
    runner.play(retry_on_category(attempts=7, base_delay=0), *[down] * 6, error)
    assert "failed 7 times (..., network, network, network, network, timeout), 0 s" in error.__notes__[0]
    error = TimeoutError()
    runner.play(retry_on_category(attempts=5, base_delay=0), *[down] * 4, error)
    assert "failed 5 times (network, network, network, network, timeout), 0 s" in error.__notes__[0]


def test_an_error_whose_notes_are_no_list_is_raised_all_the_same(runner: Runner):
    error = ConnectionResetError()
    error.__notes__ = "not a list"
    assert runner.play(retry_on_category(base_delay=0), error, error, error).answer is error


def test_decorrelated_waits_grow_from_the_one_before(runner: Runner):
    story = runner.play(retry_on_category(attempts=4, base_delay=1, jitter="decorrelated"), *[down] * 4)
    first, second, third = story.waits
    assert 1 <= first <= 3
    assert 1 <= second <= 3 * first
    assert 1 <= third <= 3 * second


def test_notes_of_the_users_own_stay(runner: Runner):
    error = ConnectionResetError()
    error.add_note("seen on host 3")
    runner.play(retry_on_category(base_delay=0), error, error, error)
    assert error.__notes__[0] == "seen on host 3"
    assert len(error.__notes__) == 2


def test_a_failure_of_another_category_is_not_tried_again_and_gets_no_note(runner: Runner):
    error = ValueError("bug")
    story = runner.play(retry_on_category(base_delay=0), error, "never")
    assert story.answer is error
    assert story.reached == 1
    assert not hasattr(error, "__notes__")
    assert story.names == ["attempt.failed"]


def test_a_failure_that_is_no_longer_transient_stops_the_retries_and_says_so(runner: Runner):
    error = ValueError("bug")
    runner.play(retry_on_category(base_delay=0), down, error, "never")
    note = error.__notes__[0]
    assert "failed 2 times (network, unknown), 0 s waited in between\n" in note
    assert "\n  stopped: the last failure is not retryable" in note


@pytest.mark.parametrize(
    "on",
    [
        ["network"],
        ["NETWORK", ErrorCategory.TIMEOUT],
        [ErrorCategory.INFRASTRUCTURE],
        [ErrorCategory.NETWORK | ErrorCategory.VALIDATION],
    ],
)
def test_categories_are_given_as_members_groups_labels_or_names(runner: Runner, on: list[object]):
    assert runner.play(retry_on_category(*on, base_delay=0), down, "ok").answer == "ok"


def test_categories_that_were_not_named_are_not_tried_again(runner: Runner):
    assert runner.play(retry_on_category("timeout", base_delay=0), down, "never").reached == 1


def test_the_decorator_works_without_parentheses(runner: Runner):
    story = runner.play(retry_on_category, down, down, "ok")
    assert story.answer == "ok"
    assert all(0.05 <= wait <= 0.2 for wait in story.waits)


@pytest.mark.parametrize(("attempts", "calls"), [(1, 1), (2, 2), (5, 5)])
def test_attempts_counts_all_calls(runner: Runner, attempts: int, calls: int):
    assert runner.play(retry_on_category(attempts=attempts, base_delay=0), *[down] * 9).reached == calls


@pytest.mark.parametrize(("max_retries", "calls"), [(0, 1), (1, 2), (4, 5)])
def test_max_retries_counts_the_calls_after_the_first(runner: Runner, max_retries: int, calls: int):
    assert runner.play(retry_on_category(max_retries=max_retries, base_delay=0), *[down] * 9).reached == calls


def test_no_wait_follows_the_last_attempt(runner: Runner):
    story = runner.play(retry_on_category(attempts=2, base_delay=10, jitter="none"), down, down)
    assert story.now == 10


def test_the_first_wait_is_the_categorys_own_unless_given(runner: Runner):
    story = runner.play(retry_on_category(attempts=4, jitter="none"), Busy(), down, Busy(), "ok")
    assert story.waits == [1.0, 0.2, 4.0]  # rate_limit starts at 1 s, network at 0.1 s


def test_a_category_without_a_wait_of_its_own_starts_at_a_tenth_of_a_second(runner: Runner):
    story = runner.play(retry_on_category("unknown", jitter="none"), ValueError(), ValueError(), "ok")
    assert story.waits == [0.1, 0.2]


def test_a_row_of_the_table_can_be_read_differently_by_one_policy(runner: Runner):
    policy = retry_on_category(jitter="none", profiles={"network": {"base": 7.0}})
    assert runner.play(policy, down, "ok").waits == [7.0]


def test_the_table_decides_what_is_retried_by_default(runner: Runner):
    from resilience import override_profiles

    class Taken(Exception):
        category = ErrorCategory.CONFLICT

    policy = retry_on_category(base_delay=0)
    assert runner.play(policy, Taken(), "never").reached == 1
    with override_profiles({"conflict": {"retry": True}, "network": {"retry": False}}):
        assert runner.play(policy, Taken(), "ok").answer == "ok"
        assert runner.play(policy, down, "never").reached == 1
        assert runner.play(retry_on_category("network", base_delay=0), down, "ok").answer == "ok"
    assert runner.play(policy, down, "ok").answer == "ok"


def test_the_table_as_shipped_retries_what_is_transient():
    from resilience.profiles import PROFILES

    assert {leaf for leaf, row in PROFILES.items() if row.retry} == set(ErrorCategory.TRANSIENT)


def test_waits_stop_growing_at_max_delay(runner: Runner):
    policy = retry_on_category(attempts=6, base_delay=1, max_delay=5, exponential_base=3, jitter="none")
    assert runner.play(policy, *[down] * 6).waits == [1, 3, 5, 5, 5]


def test_durations_may_be_timedeltas(runner: Runner):
    policy = retry_on_category(base_delay=timedelta(seconds=2), max_delay=timedelta(minutes=1), jitter="none")
    assert runner.play(policy, down, "ok").waits == [2.0]


def test_a_servers_hint_wins_over_a_shorter_backoff_with_up_to_a_tenth_on_top(runner: Runner):
    story = runner.play(retry_on_category(base_delay=1, jitter="none"), Busy(20), "ok")
    (wait,) = story.waits
    assert 20 <= wait <= 22


def test_a_longer_backoff_wins_over_a_servers_hint(runner: Runner):
    (wait,) = runner.play(retry_on_category(base_delay=30, jitter="none"), Busy(20), "ok").waits
    assert 30 <= wait <= 32


def test_a_hint_of_zero_means_no_wait_beyond_the_backoff(runner: Runner):
    assert runner.play(retry_on_category(base_delay=0), Busy(0), "ok").waits == [0.0]


def test_a_hint_longer_than_max_delay_stops_the_retries(runner: Runner):
    busy = Busy(61)
    story = runner.play(retry_on_category(), busy, "never")
    assert story.answer is busy
    assert story.reached == 1
    assert story.events[-1].reason == "pushback"
    assert "longer wait" in busy.__notes__[0]


def test_a_hint_of_exactly_max_delay_is_heeded(runner: Runner):
    (wait,) = runner.play(retry_on_category(max_delay=30), Busy(30), "ok").waits
    assert 30 <= wait <= 33


def test_a_pushback_on_the_first_attempt_is_noted_without_a_wait(runner: Runner):
    busy = Busy(3600)
    runner.play(retry_on_category(), busy)
    assert busy.__notes__[0].endswith(
        "failed 1 time (rate_limit)\n  stopped: the server asks for a longer wait than allowed"
    )


def test_strategies_see_the_call_as_tenacity_would_show_it(runner: Runner):
    seen = []

    def look(state: tenacity.RetryCallState) -> bool:
        seen.append((state.attempt_number, state.idle_for, state.upcoming_sleep, state.seconds_since_start))
        return state.attempt_number == 3

    runner.play(retry_on_category(wait=2, stop=look), *[Takes(1, down)] * 9)
    assert seen == [(1, 0, 2, 1), (2, 2, 2, 4), (3, 4, 2, 7)]


def test_a_negative_pushback_stops_the_retries(runner: Runner):
    class Pushback(Busy):
        def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
            return (("grpc-retry-pushback-ms", "-1"),)

    assert runner.play(retry_on_category(), Pushback(), "never").reached == 1


def test_on_retry_is_called_before_each_wait(runner: Runner):
    heard: list[tuple[float, int, str]] = []
    policy = retry_on_category(
        base_delay=1,
        jitter="none",
        on_retry=lambda event: heard.append((event.wait, event.attempt, event.category.label)),
    )
    runner.play(policy, down, down, "ok")
    assert heard == [(1, 1, "network"), (2, 2, "network")]


def test_on_retry_that_raises_changes_nothing_and_is_reported_once(runner: Runner, caplog: pytest.LogCaptureFixture):
    def broken(event: object) -> None:
        raise RuntimeError("hook")

    broken.__qualname__ = f"broken_on_{runner}"
    story = runner.play(retry_on_category(base_delay=0, on_retry=broken), down, down, "ok")
    assert story.answer == "ok"
    assert [record.message for record in caplog.records] == [
        f"on_retry callback broken_on_{runner} raised RuntimeError; the call goes on without it {LOGGED_ONCE}"
    ]


def test_on_retry_may_be_async_where_the_function_is(backend: str):
    heard: list[float] = []

    async def hear(event: object) -> None:
        heard.append(event.wait)

    Runner(backend).play(retry_on_category(base_delay=1, jitter="none", on_retry=hear), down, "ok")
    assert heard == [1]


def test_an_async_on_retry_around_a_sync_function_is_refused_where_it_is_written():
    async def hear(event: object) -> None: ...

    with pytest.raises(TypeError, match="on_retry=.*is not async and cannot await it"):
        retry_on_category(on_retry=hear)(lambda: None)


def test_an_exception_group_is_tried_again_only_if_every_member_would_be(runner: Runner):
    policy = retry_on_category("network", base_delay=0)
    both = ExceptionGroup("both", [ConnectionResetError(), ConnectionRefusedError()])
    assert runner.play(policy, both, "ok").answer == "ok"
    for other in (TimeoutError(), ValueError()):
        mixed = ExceptionGroup("mixed", [ConnectionResetError(), other])
        assert runner.play(policy, mixed, "never").reached == 1
    for on in ("network", "timeout"):  # whichever of the two stands for the group
        mixed = ExceptionGroup("mixed", [ConnectionResetError(), TimeoutError()])
        assert runner.play(retry_on_category(on, base_delay=0), mixed, "never").reached == 1


# -- tenacity -------------------------------------------------------------------------------------------------------


def test_a_tenacity_wait_replaces_the_backoff(runner: Runner):
    policy = retry_on_category(wait=tenacity.wait_fixed(3) + tenacity.wait_incrementing(0, 1))
    assert runner.play(policy, down, down, "ok").waits == [3, 4]


def test_a_number_as_wait_waits_that_long(runner: Runner):
    assert runner.play(retry_on_category(wait=2.5), down, down, "ok").waits == [2.5, 2.5]


def test_a_servers_hint_wins_over_a_shorter_tenacity_wait(runner: Runner):
    (wait,) = runner.play(retry_on_category(wait=tenacity.wait_none()), Busy(20), "ok").waits
    assert 20 <= wait <= 22


def test_a_tenacity_stop_replaces_the_default_of_three_attempts(runner: Runner):
    story = runner.play(retry_on_category(wait=1, stop=tenacity.stop_after_attempt(5)), *[down] * 9)
    assert story.reached == 5
    assert story.events[-1].reason == "stopped"


def test_attempts_and_stop_given_together_end_at_whichever_comes_first(runner: Runner):
    policy = retry_on_category(attempts=2, wait=1, stop=tenacity.stop_after_attempt(5))
    assert runner.play(policy, *[down] * 9).reached == 2


def test_stop_after_delay_measures_virtual_time_from_the_start_of_the_call(runner: Runner):
    policy = retry_on_category(wait=4, stop=tenacity.stop_after_delay(10))
    story = runner.play(policy, *[Takes(1, down)] * 9)
    assert story.reached == 3  # over at 1, 6 and 11 s
    assert story.now == 11


def test_stop_before_delay_sees_the_wait_that_would_follow(runner: Runner):
    policy = retry_on_category(wait=4, stop=tenacity.stop_before_delay(10))
    story = runner.play(policy, *[down] * 9)
    assert story.reached == 3  # 0, 4, 8; a fourth would begin at 12
    assert story.now == 8


def test_retry_if_retries_more_than_the_category_does(runner: Runner):
    policy = retry_on_category("timeout", wait=0, retry_if=tenacity.retry_if_exception_type(KeyError))
    assert runner.play(policy, KeyError(), TimeoutError(), "ok").answer == "ok"


def test_retry_if_may_judge_results(runner: Runner):
    policy = retry_on_category(wait=0, retry_if=tenacity.retry_if_result(lambda value: value == "pending"))
    assert runner.play(policy, "pending", "pending", "ok").answer == "ok"


def test_a_result_that_retry_if_never_accepts_is_returned_unchanged(runner: Runner):
    policy = retry_on_category(wait=0, retry_if=tenacity.retry_if_result(lambda value: value == "pending"))
    story = runner.play(policy, "pending", "pending", "pending", "never")
    assert story.answer == "pending"
    assert story.reached == 3


def test_a_strategy_that_raises_ends_the_retries_with_the_callers_error(runner: Runner):
    def broken(state: object) -> bool:
        raise RuntimeError("strategy")

    for parameter in ("wait", "stop", "retry_if"):
        error = KeyError("mine") if parameter == "retry_if" else ConnectionResetError("mine")
        assert runner.play(retry_on_category(**{parameter: broken}), error, "never").answer is error


@pytest.mark.parametrize("answer", [None, math.nan, -1.0, "soon", math.inf])
def test_a_wait_that_is_no_duration_ends_the_retries_with_the_callers_error(runner: Runner, answer: object):
    error = ConnectionResetError("mine")
    story = runner.play(retry_on_category(wait=lambda state: answer), error, "never")
    assert story.answer is error
    assert story.events[-1].reason == "strategy_failed"


def test_a_cancelled_future_is_never_tried_again_whatever_a_predicate_says(runner: Runner):
    from concurrent.futures import CancelledError

    policy = retry_on_category(wait=0, retry_if=tenacity.retry_if_not_exception_type(ValueError))
    assert runner.play(policy, CancelledError(), "never").reached == 1


@pytest.mark.parametrize(("multiplies", "calls"), [(False, 3), (True, 6)])
def test_two_stacked_retries_multiply_only_with_retry_exhausted(runner: Runner, multiplies: bool, calls: int):
    outer = retry_on_category(attempts=2, base_delay=0, retry_exhausted=multiplies)
    story = runner.play(lambda fn: outer(retry_on_category(attempts=3, base_delay=0)(fn)), *[down] * 9)
    assert story.reached == calls


def test_jitter_is_drawn_from_the_clocks_seed():
    def waits(seed: int) -> list[float]:
        from resilience import subscribe

        heard = []
        with virtual_time(seed=seed), subscribe(heard.append), pytest.raises(ConnectionResetError):

            @retry_on_category
            def always_down() -> None:
                raise down

            always_down()
        return [event.wait for event in heard if event.name == "retry.scheduled"]

    assert waits(1) == waits(1) != waits(2)


def test_the_description_of_a_retry_shows_its_options():
    assert repr(retry_on_category()) == (
        "retry_on_category(transient, attempts=3, base_delay=by category, max_delay=60, jitter=equal)"
    )
    assert repr(retry_on_category("timeout", base_delay=0.5, stop=tenacity.stop_after_delay(30))) == (
        "retry_on_category(timeout, attempts=unlimited, base_delay=0.5, max_delay=60, jitter=equal,"
        " stop=stop_after_delay)"
    )
    assert repr(retry_on_category(attempts=2, wait=tenacity.wait_fixed(1), retry_if=tenacity.retry_always)) == (
        "retry_on_category(transient, attempts=2, wait=wait_fixed, retry_if=_retry_always)"
    )


def test_callbacks_that_need_not_know_of_successes_leave_a_retry_on_the_fast_path():
    given = {"on_retry": lambda event: None, "revise": lambda arguments, report: None}
    for names in (["on_retry"], ["revise"], ["on_retry", "revise"]):
        assert retry_on_category(**{name: given[name] for name in names}).fast_path
    assert not retry_on_category(on_success=lambda report: None).fast_path
