"""The report on a call: ``error.resilience``, `last_call` and the note."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable

import pytest

import resilience
from resilience import (
    AttemptReport,
    CallReport,
    ErrorCategory,
    StopReason,
    circuit_breaker,
    deadline,
    retry_on_category,
)
from resilience.testing import virtual_time
from tests.runners import Runner, Takes

down, slow = ConnectionResetError("down"), TimeoutError("slow")
NETWORK, TIMEOUT = ErrorCategory.NETWORK, ErrorCategory.TIMEOUT


def report_of(error: object) -> CallReport:
    assert isinstance(error, BaseException)
    return error.resilience


def failed(runner: Runner, *script: object, **options: object) -> CallReport:
    given = {"base_delay": 1, "jitter": "none"} | options
    return report_of(runner.play(retry_on_category(**given), *script).answer)


# -- what it says ---------------------------------------------------------------------------------------------------


def test_a_report_has_every_attempt(runner: Runner):
    error = ConnectionResetError("last")
    story = runner.play(
        retry_on_category(base_delay=1, jitter="none"), Takes(0.5, down), Takes(2, slow), Takes(3, error)
    )
    report = report_of(story.answer)
    assert report.target == story.events[0].target
    assert report.reason is StopReason.ATTEMPTS
    assert report.made == 3
    assert report.revisions == 0
    assert report.slept == 3
    assert report.categories == (NETWORK, TIMEOUT, NETWORK)
    assert report.attempts[1:] == (
        AttemptReport(2, TIMEOUT, "TimeoutError", 1.0, 2.0),
        AttemptReport(3, NETWORK, "ConnectionResetError", 2.0, 3.0),
    )
    assert report.attempts[0][:4] == (1, NETWORK, "ConnectionResetError", 0.0)
    assert (report.time_left, report.circuits, report.inner, report.error) == (None, (), None, None)


def test_the_first_attempt_on_the_fast_path_has_no_duration(runner: Runner):
    report = failed(runner, Takes(5, down), Takes(5, down), attempts=2)
    assert [attempt.duration for attempt in report.attempts] == [None, 5.0]
    report = failed(runner, Takes(5, down), Takes(5, down), attempts=2, on_success=lambda report: None)
    assert [attempt.duration for attempt in report.attempts] == [5.0, 5.0]


def test_a_failure_that_is_not_retryable_has_a_report_and_no_note(runner: Runner):
    error = ValueError("bug")
    report = failed(runner, error)
    assert (report.made, report.reason, report.categories) == (1, StopReason.NOT_RETRYABLE, (ErrorCategory.UNKNOWN,))
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize(
    ("script", "options", "text"),
    [
        (
            [down, slow, ValueError()],
            {},
            (
                "failed 3 times (network, timeout, unknown), 3 s waited in between\n"
                "  stopped: the last failure is not retryable; the first failure was ConnectionResetError;"
                " the last failure took 0 s"
            ),
        ),
        (
            [Takes(1, down), Takes(0.0004, ConnectionError())],
            {"attempts": 2, "base_delay": 0.0005},
            (
                "failed 2 times (network, network), less than 1 ms waited in between\n"
                "  stopped: no attempt left; the first failure was ConnectionResetError;"
                " the last failure took less than 1 ms"
            ),
        ),
        (
            [Takes(1234.5678, ConnectionError())],
            {"no_progress": 1},
            "failed 1 time (network)\n  stopped: the same failure again and again; the last failure took 1.23e+03 s",
        ),
        (
            [ConnectionError()],
            {"stop": lambda state: True, "wait": 0, "base_delay": None},
            "failed 1 time (network)\n  stopped: the stop strategy ended the attempts; the last failure took 0 s",
        ),
    ],
)
def test_a_note_has_two_lines(runner: Runner, script: list, options: dict, text: str):
    target = []
    report = failed(runner, *script, **options)
    last = script[-1].step if isinstance(script[-1], Takes) else script[-1]
    target = report.target
    took = text.endswith("1.23e+03 s") and report.attempts[0].duration is None
    assert str(report) == (f"{target} {text}" if not took else f"{target} {text.rpartition(';')[0]}")
    assert last.__notes__[-1] == f"resilience: {report}"
    assert str(report).count("\n") == 1


def test_a_note_names_the_first_failure_where_the_last_one_is_of_another_type(runner: Runner):
    class PendingRollbackError(Exception):
        category = "internal"

    class OperationalError(ConnectionError): ...

    report = failed(runner, OperationalError(), PendingRollbackError())
    assert "the first failure was OperationalError; " in str(report)
    assert str(pickle.loads(pickle.dumps(report))) == str(report)
    assert "the first failure" not in str(failed(runner, OperationalError(), OperationalError(), OperationalError()))
    many = [OperationalError(), *[ConnectionResetError() for _ in range(150)]]
    assert "the first failure was OperationalError" in str(failed(runner, *many, attempts=len(many)))
    assert "the first failure" not in str(succeeded(runner, down, slow, "ok"))


def test_a_report_of_a_success_says_at_which_attempt():
    report = succeeded(Runner("sync"), down, slow, "ok")
    assert str(report) == (
        f"{report.target} succeeded at attempt 3 (network, timeout before), 3 s waited in between\n"
        "  stopped: it succeeded; the last failure took 0 s"
    )
    assert repr(report) == f"<CallReport {report.target}: 3 made, success>"


def succeeded(runner: Runner, *script: object) -> CallReport:
    heard: list[CallReport] = []
    runner.play(retry_on_category(base_delay=1, jitter="none", on_success=heard.append), *script)
    return heard[0]


def test_a_deadline_says_how_much_of_it_was_left(runner: Runner):
    def stack(fn: Callable) -> Callable:
        return deadline(10)(retry_on_category(attempts=9, base_delay=8, jitter="none")(fn))

    error = ConnectionResetError()
    report = report_of(runner.play(stack, Takes(4, error)).answer)
    assert (report.reason, report.time_left) == (StopReason.DEADLINE, 6.0)
    assert error.__notes__[0].endswith(
        "too little time left for another attempt; the last failure took 4 s; 6 s of the deadline left"
    )


def test_a_passed_deadline_is_reported_as_no_time_left():
    with virtual_time() as clock:

        @deadline(5)
        @retry_on_category
        def call() -> None:
            clock.sleep(7)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError) as caught:
            call()
    assert caught.value.resilience.time_left == 0
    assert "0 s of the deadline left" in caught.value.__notes__[0]


def test_a_report_shows_the_state_of_circuits(runner: Runner):
    circuit = circuit_breaker("billing", failure_threshold=2)
    if circuit.circuit.__class__.status is resilience._runtime.protocol.Policy.status:
        pytest.skip("circuits have no status yet")
    story = runner.play(lambda fn: retry_on_category(attempts=2, base_delay=0)(circuit(fn)), down, TimeoutError())
    (status,) = report_of(story.answer).circuits
    assert "billing" in status
    assert story.answer.__notes__[0].endswith(status)


def test_a_hundred_attempts_are_kept_of_many(runner: Runner):
    report = failed(runner, *[down] * 250, attempts=250, base_delay=0)
    assert report.made == 250
    assert [attempt.number for attempt in report.attempts] == list(range(151, 251))
    assert len(report.categories) == 100


# -- the error itself -----------------------------------------------------------------------------------------------


def test_the_error_is_the_same_object_with_its_own_cause(runner: Runner):
    cause, error = KeyError("why"), ConnectionResetError("mine")
    error.__cause__ = cause
    assert runner.play(retry_on_category(base_delay=0), error, error, error).answer is error
    assert error.__cause__ is cause
    assert error.args == ("mine",)
    assert set(vars(error)) == {"resilience", "__notes__"}


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int
    category = NETWORK


class NoSetting(ConnectionError):
    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError("hands off")


class NoDict(ConnectionError):
    @property
    def __dict__(self) -> dict:
        raise RuntimeError("hands off")


class NoNotes(ConnectionError):
    @property
    def __notes__(self) -> list:
        raise RuntimeError("hands off")


class NoCause(ConnectionError):
    @property
    def __cause__(self) -> BaseException:
        raise RuntimeError("hands off")


class OddNotes(ConnectionError):
    def __init__(self) -> None:
        self.__notes__ = [3, None]


class NoAddNote(ConnectionError):
    def add_note(self, note: str) -> None:
        raise RuntimeError("hands off")


HOSTILE = [lambda: Frozen(3), NoSetting, NoDict, NoNotes, NoCause, OddNotes, NoAddNote]


@pytest.mark.parametrize("make", HOSTILE)
@pytest.mark.parametrize("stacked", [False, True])
def test_an_error_that_rejects_attributes_is_raised_unchanged(
    runner: Runner, make: Callable[[], Exception], stacked: bool
):
    errors = [make() for _ in range(3)]
    policy = retry_on_category(base_delay=0)
    story = runner.play(lambda fn: policy(policy(fn)) if stacked else policy(fn), *errors, make())
    assert story.answer is errors[2] or make is NoDict  # whose mark cannot be left, or read
    if make is not NoDict:
        assert story.reached == 3


def test_a_frozen_dataclass_has_its_report_and_its_note(runner: Runner):
    error = Frozen(3)
    assert runner.play(retry_on_category(base_delay=0), error, error, error).answer is error
    assert error.resilience.made == 3
    assert len(error.__notes__) == 1


def test_an_exception_group_has_the_report_and_its_members_none(runner: Runner):
    group = ExceptionGroup("both", [ConnectionResetError(), TimeoutError()])
    report = failed(runner, group, group, group)
    assert report.made == 3
    assert report.attempts[0].error == "ExceptionGroup"
    assert not any(hasattr(member, "resilience") for member in group.exceptions)


def test_the_report_of_a_nested_retry_is_kept_in_that_of_the_outer_one(runner: Runner):
    inner = retry_on_category(attempts=2, base_delay=0)

    class Taken(Exception):
        category = ErrorCategory.CONFLICT

    wide = retry_on_category("transient", "conflict", attempts=5, base_delay=1, jitter="none")
    error = ConnectionResetError()
    story = runner.play(lambda fn: wide(inner(fn)), Taken(), error, error)
    report = report_of(story.answer)
    assert (report.reason, report.made) == (StopReason.NESTED, 2)
    assert (report.inner.reason, report.inner.made) == (StopReason.ATTEMPTS, 2)
    assert report.to_dict()["inner"]["reason"] == "attempts"


# -- copies ---------------------------------------------------------------------------------------------------------


def a_report() -> CallReport:
    error = ConnectionResetError("mine")
    Runner("sync").play(lambda fn: deadline(60)(retry_on_category(attempts=3)(fn)), down, slow, Takes(1, error))
    return error.resilience


@pytest.mark.parametrize("again", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy])
def test_a_report_can_be_copied(again: Callable[[CallReport], CallReport]):
    report = a_report()
    other = again(report)
    assert other == report
    assert hash(other) == hash(report)
    assert str(other) == str(report)
    assert other.to_dict() == report.to_dict()
    assert other != "a report"
    assert other != failed(Runner("sync"), ValueError())


def test_an_error_is_pickled_with_its_report():
    error = ConnectionResetError("mine")
    Runner("sync").play(retry_on_category(base_delay=0), error, error, error)
    other = pickle.loads(pickle.dumps(error))
    assert other.resilience == error.resilience
    assert other.__notes__ == error.__notes__


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_report_keeps_its_exhaustion_number(again: Callable[[CallReport], CallReport]):
    report = a_report()
    assert again(report).exhaustion_number == report.exhaustion_number


def test_a_report_is_json(runner: Runner):
    report = failed(runner, down, Takes(2, slow), "ok", attempts=2)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == {
        "target": report.target,
        "reason": "attempts",
        "made": 2,
        "revisions": 0,
        "slept": 1.0,
        "time_left": None,
        "circuits": [],
        "attempts": [
            {"number": 1, "category": "network", "error": "ConnectionResetError", "wait": 0.0, "duration": None},
            {"number": 2, "category": "timeout", "error": "TimeoutError", "wait": 1.0, "duration": 2.0},
        ],
        "inner": None,
    }
