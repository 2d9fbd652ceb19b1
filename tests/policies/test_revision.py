"""``revise``: what fails for its arguments is called again with others."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import pytest

from resilience import (
    Arguments,
    CallReport,
    ErrorCategory,
    StopReason,
    deadline,
    retry_on_category,
    subscribe,
    timeout,
)
from resilience.clock import current_clock
from resilience.testing import virtual_time
from tests.runners import Runner

down = ConnectionResetError("down")


class Wrong(Exception):
    category = ErrorCategory.VALIDATION


class Code(Exception):
    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.category = ErrorCategory(label)


def play(runner: Runner, decorate: Callable, script: list, *args: object, **kwargs: object) -> tuple[object, list]:
    """Call what *decorate* makes of ``def run(code, *, limit=1.0)`` that does the steps of *script*, an error or a
    value each; return the outcome, and the arguments of each call."""
    steps, seen = iter(script), []

    def step(code: str, limit: float) -> object:
        seen.append(code if limit == 1.0 else (code, limit))
        what = next(steps)
        if isinstance(what, Exception):
            raise what
        return what

    @decorate if not runner.is_async else lambda fn: fn
    def run(code: str, *, limit: float = 1.0) -> object:
        return step(code, limit)

    @decorate if runner.is_async else lambda fn: fn
    async def run_async(code: str, *, limit: float = 1.0) -> object:
        return step(code, limit)

    async def asynchronous() -> object:
        return await run_async(*args, **kwargs)

    with virtual_time(patience=60):
        try:
            return runner.run(lambda: run(*args, **kwargs), asynchronous), seen
        except Exception as error:
            return error, seen


def revising(answer: Callable[[Arguments, CallReport], object], **options: object) -> Callable:
    return retry_on_category(revise=answer, **{"base_delay": 1, "jitter": "none"} | options)


def longer(call: Arguments, report: CallReport) -> object:
    return {"code": call["code"] + "!"}


# -- new arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda call, report: {"code": "b"},
        lambda call, report: call.replace(code="b"),
        lambda call, report: Arguments(call.function, ("b",)),
        lambda call, report: Arguments(call.function, (), {"code": "b"}),
    ],
)
def test_new_arguments_are_a_mapping_or_arguments(runner: Runner, answer: Callable):
    assert play(runner, revising(answer), [Wrong(), "ok"], "a") == ("ok", ["a", "b"])


def test_arguments_that_a_revision_does_not_change_stay(runner: Runner):
    assert play(runner, revising(longer), [Wrong(), "ok"], "a", limit=2.0) == ("ok", [("a", 2.0), ("a!", 2.0)])
    answer = revising(lambda call, report: {"limit": 3.0})
    assert play(runner, answer, [Wrong(), "ok"], code="a") == ("ok", ["a", ("a", 3.0)])
    assert play(runner, revising(lambda call, report: {}), [Wrong(), "ok"], "a") == ("ok", ["a", "a"])


def test_each_revision_sees_the_one_before_and_its_failure(runner: Runner):
    errors, seen = [Wrong("1st"), Code("syntax"), "ok"], []

    def look(call: Arguments, report: CallReport) -> object:
        seen.append((call["code"], report.error, report.revisions, report.made))
        return longer(call, report)

    assert play(runner, revising(look), errors, "a") == ("ok", ["a", "a!", "a!!"])
    assert seen == [("a", errors[0], 0, 1), ("a!", errors[1], 1, 2)]


def test_a_revision_may_be_async_where_the_call_is(backend: str):
    async def ask(call: Arguments, report: CallReport) -> object:
        await anyio.lowlevel.checkpoint()
        return longer(call, report)

    assert play(Runner(backend), revising(ask), [Wrong(), "ok"], "a") == ("ok", ["a", "a!"])


def test_an_async_revision_around_a_sync_function_is_refused():
    async def ask(call: Arguments, report: CallReport) -> object: ...

    with pytest.raises(TypeError, match="revise=.*is not async and cannot await it"):
        revising(ask)(lambda: None)


def test_the_next_call_begins_with_its_own_arguments(runner: Runner):
    seen, steps = [], [Wrong(), "ok", Wrong(), "ok"]

    def step(code: str) -> object:
        seen.append(code)
        what = steps.pop(0)
        if isinstance(what, Exception):
            raise what
        return what

    async def step_async(code: str) -> object:
        return step(code)

    run, run_async = revising(longer)(step), revising(longer)(step_async)

    async def twice() -> None:
        await run_async("a")
        await run_async("b")

    runner.run(lambda: (run("a"), run("b")), twice)
    assert seen == ["a", "a!", "b", "b!"]


def test_an_outer_retry_calls_with_the_original_arguments(runner: Runner):
    def stack(fn: Callable) -> Callable:
        return retry_on_category(attempts=2, base_delay=0, retry_exhausted=True)(revising(longer, attempts=1)(fn))

    script = [Wrong(), down, Wrong(), "ok"]
    assert play(runner, stack, script, "a") == ("ok", ["a", "a!", "a", "a!"])
    script = [Wrong("a"), Wrong("b"), down, "ok"]
    assert play(runner, stack, script, "a") == ("ok", ["a", "a!", "a!!", "a"])
    judged = retry_on_category(attempts=2, base_delay=0, retry_if_result=lambda value: value == "again")
    assert play(runner, lambda fn: judged(revising(longer)(fn)), [Wrong(), "again", "ok"], "a") == (
        "ok",
        ["a", "a!", "a"],
    )


def test_a_time_limit_in_between_changes_nothing(runner: Runner):
    for stack in (lambda fn: revising(longer)(timeout(60)(fn)), lambda fn: timeout(60)(revising(longer)(fn))):
        assert play(runner, stack, [Wrong(), "ok"], "a") == ("ok", ["a", "a!"])


def test_fifty_calls_at_once_do_not_see_each_others_arguments(backend: str):
    came: dict[str, list[str]] = {}

    def own(call: Arguments, report: CallReport) -> object:
        return {"code": call["code"] + "!"}

    @revising(own, max_revisions=3)
    async def run(key: str, code: str) -> str:
        await anyio.lowlevel.checkpoint()
        came.setdefault(key, []).append(code)
        if len(code) < len(key) + 3:
            raise Wrong(code)
        return code

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(run, f"k{number}", f"k{number}")

    anyio.run(main, backend=backend)
    assert came == {f"k{n}": [f"k{n}" + "!" * more for more in range(4)] for n in range(50)}


# -- how often ------------------------------------------------------------------------------------------------------


def test_revisions_are_counted_apart_from_attempts(runner: Runner):
    script = [Wrong("a"), down, Wrong("b"), Code("runtime"), down, "ok"]
    answer, seen = play(runner, revising(longer, attempts=3, max_revisions=3), script, "a")
    assert (answer, seen) == ("ok", ["a", "a!", "a!", "a!!", "a!!!", "a!!!"])


def test_revisions_end_at_max_revisions(runner: Runner):
    errors = [Wrong(word) for word in ("one", "two", "three", "four")]
    error, seen = play(runner, revising(longer, max_revisions=2), errors, "a")
    assert error is errors[2]
    assert seen == ["a", "a!", "a!!"]
    assert (error.resilience.reason, error.resilience.revisions) == (StopReason.REVISIONS, 2)
    assert "stopped: no revision left; 2 of them after a revision" in error.__notes__[0]


def test_nothing_is_waited_for_before_a_revision_and_the_backoff_goes_on_as_it_was(runner: Runner):
    story_waits, events = [], []
    with subscribe(events.append):
        play(runner, revising(longer, attempts=4), [down, Wrong("a"), down, Wrong("b"), down, "ok"], "a")
    story_waits = [event.wait for event in events if event.name == "retry.scheduled"]
    assert story_waits == [1, 2, 4]
    revised = [event for event in events if event.name == "call.revised"]
    assert [(event.revision, event.attempt, event.category.label) for event in revised] == [
        (1, 2, "validation"),
        (2, 4, "validation"),
    ]


def test_a_wait_strategy_is_asked_for_the_last_retry_after_a_revision_too(runner: Runner):
    events = []
    with subscribe(events.append):
        play(runner, revising(longer, attempts=2, wait=5, base_delay=None), [Wrong(), down, "ok"], "a")
    assert [event.wait for event in events if event.name == "retry.scheduled"] == [5]


def test_only_failures_that_arguments_can_cause_are_revised(runner: Runner):
    for leaf in ErrorCategory:
        if not leaf.is_leaf:
            continue
        asked = []
        blamed = leaf in ErrorCategory.CODE_RELATED | ErrorCategory.VALIDATION
        policy = revising(lambda call, report: asked.append(1), attempts=1)
        play(runner, policy, [Code(leaf.label)], "a")
        assert bool(asked) == blamed, leaf


def test_revise_on_chooses_the_revised_categories(runner: Runner):
    for leaf in ErrorCategory:
        asked = []
        policy = revising(lambda call, report: asked.append(1), revise_on="security_error|code_related", attempts=1)
        play(runner, policy, [Code(leaf.label)], "a")
        assert bool(asked) == (leaf in ErrorCategory.CODE_RELATED | ErrorCategory.SECURITY), leaf


def test_a_revised_transient_failure_is_retried_without_a_wait(runner: Runner):
    policy = revising(longer, revise_on=ErrorCategory.NETWORK)
    assert play(runner, policy, [down, "ok"], "a") == ("ok", ["a", "a!"])
    error = Wrong("mine")
    assert play(runner, policy, [error, "never"], "a") == (error, ["a"])


def test_the_description_shows_revise_on_unless_it_is_the_default():
    assert "revise_on=security_error" in str(revising(longer, revise_on="security_error"))
    assert "revise_on" not in str(revising(longer))
    assert "revise_on" not in str(revising(longer, revise_on=ErrorCategory.VALIDATION | ErrorCategory.CODE_RELATED))


def test_revise_on_without_revise_is_refused():
    with pytest.raises(TypeError, match="revise_on='network': give it with revise="):
        retry_on_category(revise_on="network")
    with pytest.raises(ValueError, match="revise_on: 'nettwork' is not an ErrorCategory"):
        revising(longer, revise_on="nettwork")


@pytest.mark.parametrize(("k", "calls"), [(None, 3), (1, 1), (2, 2), (4, 4)])
def test_repeated_failures_end_the_revisions_whatever_numbers_they_name(runner: Runner, k: int | None, calls: int):
    errors = [Wrong(f"line {n}: expected 0x{n:x}, got {n}.5") for n in range(10)]
    error, seen = play(runner, revising(longer, max_revisions=9, no_progress=k), errors, "a")
    assert len(seen) == calls
    assert error.resilience.reason is StopReason.NO_PROGRESS


def test_different_failures_do_not_end_the_revisions(runner: Runner):
    errors = [Wrong("one"), Code("syntax"), Wrong("two"), Wrong("one"), Wrong("one"), "ok"]
    assert play(runner, revising(longer, max_revisions=9), errors, "a")[0] == "ok"


def test_the_waits_and_durations_in_a_report_exclude_the_time_of_revisions(runner: Runner):
    def think(call: Arguments, report: CallReport) -> object:
        current_clock().advance(7)
        return {}

    error = ConnectionResetError()
    answer, _ = play(runner, revising(think, attempts=2), [down, Wrong(), error], "a")
    assert answer is error
    assert [(each.wait, each.duration) for each in error.resilience.attempts[1:]] == [(1, 0), (0, 0)]
    assert (error.resilience.slept, error.resilience.made, error.resilience.revisions) == (1, 3, 1)


def test_an_error_that_another_call_exhausts_during_a_revision_is_tried_again(runner: Runner):
    always = ConnectionResetError("the same object")

    def fail() -> None:
        raise always

    def think(call: Arguments, report: CallReport) -> object:
        with pytest.raises(ConnectionResetError):
            retry_on_category(attempts=2, base_delay=0)(fail)()
        return {}

    assert play(runner, revising(think), [Wrong(), always, "ok"], "a") == ("ok", ["a", "a", "a"])


# -- giving up ------------------------------------------------------------------------------------------------------


def fails(call: Arguments, report: CallReport) -> object:
    raise RuntimeError("no idea")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda call, report: None, StopReason.NOT_REVISED),
        (fails, StopReason.STRATEGY_FAILED),
        (lambda call, report: "b", StopReason.STRATEGY_FAILED),
        (lambda call, report: ("b",), StopReason.STRATEGY_FAILED),
        (lambda call, report: False, StopReason.STRATEGY_FAILED),
        (lambda call, report: {"cod": "b"}, StopReason.STRATEGY_FAILED),
        (lambda call, report: {1: "b"}, StopReason.STRATEGY_FAILED),
    ],
)
def test_without_new_arguments_the_failure_reaches_the_caller(
    runner: Runner, answer: Callable, reason: StopReason, caplog: pytest.LogCaptureFixture
):
    error = Wrong("mine")
    with caplog.at_level(logging.WARNING, "resilience"):
        assert play(runner, revising(answer), [error, "never"], "a") == (error, ["a"])
    assert error.resilience.reason is reason


def test_a_report_names_its_failure_only_while_it_is_revised(runner: Runner):
    reports: list[CallReport] = []

    def keep(call: Arguments, report: CallReport) -> object:
        reports.append(report)
        return longer(call, report)

    error, _ = play(runner, revising(keep, max_revisions=1), [Wrong("a"), Wrong("b")], "a")
    assert reports[0].error.args == ("a",)
    assert error.resilience.error is None
    assert reports[0].made == 1  # not the history that goes on


@pytest.mark.parametrize(("took", "calls"), [(0, 2), (5, 1), (4, 2), (4.5, 1)])
def test_a_revision_that_used_up_the_time_is_not_attempted(runner: Runner, took: float, calls: int):
    def think(call: Arguments, report: CallReport) -> object:
        current_clock().advance(took)
        return {}

    error = Wrong("mine")
    policy = revising(think, min_attempt_time=0.75)
    answer, seen = play(runner, lambda fn: deadline(5)(policy(fn)), [error, "ok"], "a")
    assert len(seen) == calls
    if calls == 1:
        assert answer is error
        assert (error.resilience.reason, error.resilience.revisions) == (StopReason.DEADLINE, 0)


def test_revise_is_not_called_without_time_for_another_attempt(runner: Runner):
    asked = []
    error = Wrong("mine")
    policy = revising(lambda call, report: asked.append(1), min_attempt_time=9)
    assert play(runner, lambda fn: deadline(5)(policy(fn)), [error], "a") == (error, ["a"])
    assert error.resilience.reason is StopReason.DEADLINE
    assert asked == []


def test_revise_leaves_the_retries_of_transient_failures_as_they_are(runner: Runner):
    assert play(runner, revising(longer, attempts=5), [down, down, down, down, "ok"], "a")[0] == "ok"


def test_failures_whose_str_raises_count_as_the_same(runner: Runner):
    class Mute(Wrong):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    error, seen = play(runner, revising(longer, max_revisions=9), [Mute() for _ in range(9)], "a")
    assert (len(seen), error.resilience.reason) == (3, StopReason.NO_PROGRESS)
