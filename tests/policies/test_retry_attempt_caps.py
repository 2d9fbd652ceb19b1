"""``max_attempts``: a limit on the failures of each category."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import ErrorCategory, StopReason, retry_on_category
from resilience.testing import virtual_time
from tests.runners import Runner

MAKE = {
    "network": ConnectionResetError,
    "timeout": TimeoutError,
    "unavailable": lambda: type("Gone", (Exception,), {"category": ErrorCategory.UNAVAILABLE})(),
    "unknown": ValueError,
}


def failures(*labels: str) -> list[Exception]:
    return [MAKE[label]() for label in labels]


def test_a_category_may_fail_so_many_times_and_no_more(runner: Runner):
    policy = retry_on_category(attempts=9, base_delay=0, max_attempts={"timeout": 2})
    story = runner.play(policy, *failures("network", "timeout", "network", "timeout"), "never")
    assert isinstance(story.answer, TimeoutError)
    assert story.reached == 4
    assert story.answer.resilience.reason is StopReason.ATTEMPTS
    assert story.events[-1].reason == "attempts"


def test_other_categories_have_all_attempts(runner: Runner):
    policy = retry_on_category(attempts=5, base_delay=0, max_attempts={"timeout": 2})
    assert runner.play(policy, *failures(*["network"] * 9)).reached == 5


def test_a_category_worth_one_attempt_is_not_tried_again(runner: Runner):
    policy = retry_on_category(attempts=5, base_delay=0, max_attempts={"timeout": 1})
    assert runner.play(policy, TimeoutError(), "never").reached == 1
    assert runner.play(policy, ConnectionResetError(), TimeoutError(), "never").reached == 2


def test_attempts_limit_a_category_with_a_larger_cap(runner: Runner):
    policy = retry_on_category(attempts=2, base_delay=0, max_attempts={"timeout": 9})
    assert runner.play(policy, *failures(*["timeout"] * 9)).reached == 2


@pytest.mark.parametrize("key", ["transient", ErrorCategory.TRANSIENT, ErrorCategory.TIMEOUT | ErrorCategory.NETWORK])
def test_each_category_of_a_group_has_its_own_cap(runner: Runner, key: object):
    policy = retry_on_category(attempts=9, base_delay=0, max_attempts={key: 2})
    story = runner.play(policy, *failures("network", "timeout", "timeout"), "never")
    assert story.reached == 3  # one of the network and two timeouts: not three of a group


@pytest.mark.parametrize("most", [{"transient": 4, "timeout": 1}, {"timeout": 1, "transient": 4}])
def test_the_narrower_key_holds_for_what_both_name(runner: Runner, most: dict[str, int]):
    policy = retry_on_category(attempts=9, base_delay=0, max_attempts=most)
    assert runner.play(policy, TimeoutError(), "never").reached == 1
    assert runner.play(policy, *failures(*["network"] * 9)).reached == 4


def test_each_call_counts_its_own_failures(runner: Runner):
    policy = retry_on_category(attempts=9, base_delay=0, max_attempts={"timeout": 2})
    story = runner.play(policy, *failures("timeout", "timeout") * 3, pauses=(0, 0))
    assert story.reached == 6


def test_a_cap_does_not_make_a_category_retried(runner: Runner):
    policy = retry_on_category("network", base_delay=0, max_attempts={"timeout": 5})
    assert runner.play(policy, TimeoutError(), "never").reached == 1


def test_a_cap_limits_a_retry_without_a_limit_of_attempts(runner: Runner):
    policy = retry_on_category(stop=lambda state: False, wait=0, max_attempts={"timeout": 4})
    assert runner.play(policy, *failures(*["timeout"] * 9)).reached == 4


def test_the_description_of_a_retry_shows_its_caps():
    assert "max_attempts={timeout: 2}" in repr(retry_on_category(max_attempts={"timeout": 2}))


@given(
    st.lists(st.sampled_from(["network", "timeout", "unavailable"]), min_size=12, max_size=12),
    st.integers(1, 12),
    st.dictionaries(st.sampled_from(["network", "timeout", "unavailable"]), st.integers(1, 6)),
)
def test_the_number_of_calls_is_that_of_a_counting_model(labels: list[str], attempts: int, caps: dict[str, int]):
    def model() -> int:
        seen: dict[str, int] = {}
        for made, label in enumerate(labels, 1):
            seen[label] = seen.get(label, 0) + 1
            if made >= attempts or seen[label] >= caps.get(label, 99):
                return made
        return len(labels) + 1

    reached = 0
    script = iter(labels)

    @retry_on_category(attempts=attempts, base_delay=0, max_attempts=caps)
    def call() -> None:
        nonlocal reached
        reached += 1
        label = next(script, None)
        if label is not None:
            error = MAKE[label]()
            raise error

    with virtual_time():
        try:
            call()
        except Exception:
            pass
    assert reached == min(model(), 13)


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"timeout": 0}, ValueError, r"max_attempts\['timeout'\]=0: give a whole number of 1 or more"),
        ({"timeout": 2.0}, TypeError, r"max_attempts\['timeout'\]=2.0: give a whole number"),
        ({"timeout": True}, TypeError, r"max_attempts\['timeout'\]=True: give a whole number"),
        ({"timeout": None}, TypeError, r"max_attempts\['timeout'\]=None: give a whole number"),
        ({"any_timeout": -1}, ValueError, r"max_attempts\['timeout'\]=-1: give a whole number"),
        ({"tiemout": 1}, ValueError, "max_attempts: 'tiemout' is not an ErrorCategory; did you mean 'timeout'"),
        ({None: 1}, TypeError, "max_attempts=None: give an ErrorCategory"),
    ],
)
def test_invalid_caps_are_refused(wrong: dict, kind: type[Exception], says: str):
    with pytest.raises(kind, match=says):
        retry_on_category(max_attempts=wrong)
