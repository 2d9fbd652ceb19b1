from __future__ import annotations

import datetime
import logging
import multiprocessing
import pathlib
import sqlite3
import threading

import pytest

import resilience._callback_errors
from resilience import ErrorCategory
from resilience.execution.executor import ExecutionReport, ExecutionResult
from resilience.execution.history import ErrorHistory, pattern_of
from resilience.report.model import ErrorReport

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def failure(message: str = "name 'pd' is not defined", error_type: str = "NameError", cause: str = "") -> ErrorReport:
    return ErrorReport(
        category=ErrorCategory.RUNTIME,
        error_type=error_type,
        error_message=message,
        error_summary=f"{error_type} on line 1",
        timestamp=NOON,
        immediate_cause=cause,
    )


def execution(error: ErrorReport | None, execution_id: str = "exec_1") -> ExecutionReport:
    return ExecutionReport(
        execution_id=execution_id,
        success=error is None,
        execution_result=ExecutionResult(),
        timestamp=NOON,
        error=error,
    )


@pytest.fixture(params=["memory", "file"])
def history(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> ErrorHistory:
    return ErrorHistory(None if request.param == "memory" else tmp_path / "errors.db", limit=5)


@pytest.fixture
def no_errors_logged_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """No error was logged before: the first one of its kind is logged."""
    monkeypatch.setattr(resilience._callback_errors, "_logged", set())


def test_a_failure_is_kept_with_what_was_done_about_it(history: ErrorHistory):
    history.record(execution(failure(cause="pandas was never imported"), "exec_123"))
    assert history.resolve("exec_123", "added import pandas as pd", "import what is used")
    assert history.to_dict() == {
        "error_history": [
            {
                "execution_id": "exec_123",
                "timestamp": "2026-01-01T12:00:00Z",
                "error_type": "NameError",
                "error_message": "name 'pd' is not defined",
                "resolution": "added import pandas as pd",
                "learning": "import what is used",
            }
        ],
        "common_errors": [
            {
                "error_pattern": "NameError: name '...' is not defined",
                "frequency": 1,
                "typical_causes": ["pandas was never imported"],
            }
        ],
    }


def test_a_success_is_not_kept(history: ErrorHistory):
    history.record(execution(None))
    assert len(history) == 0
    assert history.advice(execution(None)) == ()


def test_what_is_not_there_cannot_be_resolved(history: ErrorHistory):
    history.record(failure(), "exec_1")
    assert not history.resolve("exec_2", "nothing")
    assert history.entries()[0].resolution == ""


def test_the_oldest_entries_are_evicted(history: ErrorHistory):
    for number in range(12):
        history.record(failure(), f"exec_{number}")
    assert [each.execution_id for each in history.entries()] == [f"exec_{number}" for number in range(7, 12)]


def test_common_errors_are_counted_whatever_names_and_numbers_they_have(history: ErrorHistory):
    history.record(failure("name 'a' is not defined", cause="typing error"), "1")
    history.record(failure("list index 4 out of range", "IndexError"), "2")
    history.record(failure("name 'b' is not defined", cause="no import"), "3")
    history.record(failure("name 'c' is not defined", cause="no import"), "4")
    assert [(each.error_pattern, each.frequency, each.typical_causes) for each in history.common_errors()] == [
        ("NameError: name '...' is not defined", 3, ("no import", "typing error")),
        ("IndexError: list index # out of range", 1, ()),
    ]


def test_advice_is_what_resolved_the_same_first_and_then_what_did_most_often(history: ErrorHistory):
    for number, (name, resolution) in enumerate([("a", "one"), ("b", "two"), ("c", "two"), ("d", "")]):
        history.record(failure(f"name '{name}' is not defined"), f"{number}")
        history.resolve(f"{number}", resolution)
    history.record(failure("'a'", "KeyError"), "other")
    history.resolve("other", "three")
    alike = execution(failure("name 'z' is not defined"))
    assert [(each.resolution, each.times) for each in history.advice(alike)] == [("two", 2), ("one", 1)]
    same = failure("name 'a' is not defined")
    assert [(each.resolution, each.times) for each in history.advice(same)] == [("one", 1), ("two", 2)]


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("'lamp'", "E: '...'"),
        ("can't open 'a' and don't", "E: can't open '...' and don't"),
        ('"a b" at 0x7f00aa, 1.5 of 12', "E: '...' at #, # of #"),
        ("it's\n  broken", "E: it's broken"),
        ("", "E: "),
    ],
)
def test_patterns_leave_out_what_differs(message: str, pattern: str):
    assert pattern_of("E", message) == pattern


def test_secrets_of_the_usual_forms_are_taken_out(history: ErrorHistory):
    history.record(failure("no answer from https://ann:hunter2@example.org/"), "exec_1")
    history.resolve("exec_1", "asked https://ann:hunter2@example.org/ again", "Bearer abcdefgh123 had expired")
    assert "hunter2" not in str(history.to_dict())
    assert "abcdefgh123" not in str(history.to_dict())


def test_long_texts_are_cut(history: ErrorHistory):
    history.record(failure("x" * 100_000), "exec_1")
    assert len(history.entries()[0].message) < 600


def test_many_threads_may_record_and_resolve_at_once(tmp_path: pathlib.Path):
    for history in (ErrorHistory(limit=400), ErrorHistory(tmp_path / "errors.db", limit=400)):

        def work(worker: int, history: ErrorHistory = history) -> None:
            for number in range(25):
                history.record(failure(), f"{worker}.{number}")
                assert history.resolve(f"{worker}.{number}", "done")

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(history) == 100
        assert {each.resolution for each in history.entries()} == {"done"}


# -- the file -------------------------------------------------------------------------------------------------------


def write(path: str, worker: int) -> None:
    history = ErrorHistory(path)
    for number in range(20):
        history.record(failure(), f"{worker}.{number}")


def test_several_processes_share_a_file(tmp_path: pathlib.Path):
    path = str(tmp_path / "errors.db")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write, args=(path, worker)) for worker in range(2)]
    for process in processes:
        process.start()
    write(path, 2)
    for process in processes:
        process.join()
        assert process.exitcode == 0
        process.close()
    kept = [each.execution_id for each in ErrorHistory(path).entries()]
    assert sorted(kept) == sorted(f"{worker}.{number}" for worker in range(3) for number in range(20))


def test_another_history_finds_what_one_has_written(tmp_path: pathlib.Path):
    ErrorHistory(tmp_path / "errors.db").record(failure(cause="why"), "exec_1")
    other = ErrorHistory(tmp_path / "errors.db")
    assert other.resolve("exec_1", "done", "learned")
    (entry,) = ErrorHistory(tmp_path / "errors.db").entries()
    assert (entry.timestamp, entry.cause, entry.resolution, entry.learning) == (NOON, "why", "done", "learned")


def broken(path: pathlib.Path) -> None:
    path.write_bytes(b"this is no database, but a text that is long enough to be looked at" * 100)


def of_something_else(path: pathlib.Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE resilience_errors (other)")
    database.commit()
    database.close()


@pytest.mark.usefixtures("no_errors_logged_before")
@pytest.mark.parametrize("spoil", [broken, of_something_else, pathlib.Path.mkdir])
def test_a_file_that_cannot_be_used_is_reported_once_and_the_memory_takes_its_place(
    spoil: object, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "errors.db"
    spoil(path)
    before = path.read_bytes() if spoil is broken else None
    history = ErrorHistory(path)
    with caplog.at_level(logging.WARNING, "resilience"):
        history.record(failure(), "exec_1")
        history.record(failure(), "exec_2")
        assert history.resolve("exec_1", "done")
        assert [each.resolution for each in history.entries()] == ["done", ""]
        assert history.common_errors()[0].frequency == 2
    (record,) = caplog.records
    assert record.message.startswith("error history ErrorHistory raised ")
    assert before is None or path.read_bytes() == before


@pytest.mark.usefixtures("no_errors_logged_before")
def test_a_file_that_stays_locked_delays_no_caller_for_long(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("resilience.execution._history_file._BUSY_TIMEOUT", 0.01)
    path = tmp_path / "errors.db"
    history = ErrorHistory(path)
    history.record(failure(), "exec_1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with caplog.at_level(logging.WARNING, "resilience"):
        history.record(failure(), "exec_2")
        assert [each.execution_id for each in history.entries()] == ["exec_2"]
    other.execute("ROLLBACK")
    other.close()
    assert [each.execution_id for each in history.entries()] == ["exec_1", "exec_2"]
    (record,) = caplog.records
    assert "OperationalError" in record.message


def test_what_is_broken_in_a_file_breaks_no_answer(tmp_path: pathlib.Path):
    path = tmp_path / "errors.db"
    history = ErrorHistory(path)
    history.record(failure(), "exec_1")
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE resilience_errors SET timestamp = 'soon'")
    database.close()
    assert history.entries() == []


def test_an_invalid_limit_is_refused():
    with pytest.raises(ValueError, match="limit=0"):
        ErrorHistory(limit=0)


def test_its_repr_says_where_it_is(tmp_path: pathlib.Path):
    assert repr(ErrorHistory()) == "<ErrorHistory in memory, limit=1000>"
    assert "errors.db" in repr(ErrorHistory(tmp_path / "errors.db"))
