"""The failures an agent has to repair, each run for real: every field of its document, with true values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from resilience.execution import ErrorHistory, ExecutionReport, ExecutionRequest, StreamEvent, SubprocessExecutor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")

EVERY = {"error_type", "error_message", "context", "suggestions"}


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


def document(executor: SubprocessExecutor, code: str, level: int = 3, **limits: Any) -> dict[str, Any]:
    return executor.execute_sync(ExecutionRequest(code, **limits)).to_dict(level)


def details(found: dict[str, Any], category: str) -> dict[str, Any]:
    assert found["success"] is False
    assert found["error_category"] == category
    shown = found["error_details"]
    assert shown.keys() >= EVERY
    assert shown["context"]
    assert shown["suggestions"] and all(isinstance(each, str) and each for each in shown["suggestions"])
    return shown


def test_a_complete_report(executor: SubprocessExecutor):
    found = document(executor, "x = 10\nprint('Starting')\nprint(undefined_variable)\n")
    assert {
        "success",
        "execution_result",
        "error_category",
        "error_details",
        "timestamp",
        "assigned_by",
    } <= found.keys()
    assert found["assigned_by"] == "ray"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["timestamp"])
    assert found["error_summary"] == "NameError on line 3: undefined variable"

    result = found["execution_result"]
    assert result["stdout"] == "Starting\n"
    assert result["return_value"] is None
    assert result["variables"] == {"x": 10}
    assert result["exit_code"] == 1
    assert isinstance(result["execution_time"], float) and 0 < result["execution_time"] < 5
    assert re.fullmatch(r"\d+(\.\d)?MB", result["memory_used"])

    shown = details(found, "runtime_error")
    assert (shown["error_type"], shown["error_message"]) == ("NameError", "name 'undefined_variable' is not defined")
    assert (shown["line_number"], shown["column_number"]) == (3, 6)  # lines from 1, columns from 0

    info = result["exception_info"]
    assert (info["type"], info["message"]) == ("NameError", "name 'undefined_variable' is not defined")
    (frame,) = info["traceback"]
    assert frame["filename"] == "<string>"
    assert (frame["line_number"], frame["function_name"]) == (3, "<module>")
    assert frame["code_line"] == "print(undefined_variable)"
    traceback = (
        "Traceback (most recent call last):\n"
        '  File "<string>", line 3, in <module>\n'
        "    print(undefined_variable)\n"
        "          ^^^^^^^^^^^^^^^^^^\n"
        "NameError: name 'undefined_variable' is not defined\n"
    )
    assert info["full_traceback"] == traceback
    assert traceback.rstrip() in result["stderr"]


def test_a_syntax_error(executor: SubprocessExecutor):
    found = document(executor, "x = 1\nif x = 5:\n    print(x)\n")
    shown = details(found, "syntax_error")
    assert shown["error_type"] == "SyntaxError"
    assert shown["error_message"] == "invalid syntax. Maybe you meant '==' or ':=' instead of '='?"
    assert (shown["line_number"], shown["column_number"]) == (2, 3)
    assert shown["problematic_code"] == "if x = 5:"
    assert found["execution_result"]["stdout"] == ""
    assert found["execution_result"]["variables"] == {}


def test_a_runtime_error_in_a_function(executor: SubprocessExecutor):
    code = """\
def calculate_average(numbers, count):
    total = sum(numbers)
    return total / count

calculate_average([10, 20, 30, 40], 0)
"""
    shown = details(document(executor, code), "runtime_error")
    assert (shown["error_type"], shown["error_message"]) == ("ZeroDivisionError", "division by zero")
    assert (shown["line_number"], shown["column_number"]) == (3, 11)
    assert shown["function_name"] == "calculate_average"
    assert shown["local_variables"] == {"numbers": "[10, 20, 30, 40]", "count": 0, "total": 100}


def test_an_import_error(executor: SubprocessExecutor):
    shown = details(document(executor, "import data_helpers_not_installed\n"), "import_error")
    assert shown["error_type"] == "ModuleNotFoundError"
    assert shown["attempted_import"] == "data_helpers_not_installed"
    assert shown["available_modules"] == ["math", "json", "datetime", "random"]
    assert any("math, json, datetime and random" in each for each in shown["suggestions"])


def test_a_violation_of_the_policy(executor: SubprocessExecutor):
    shown = details(document(executor, "import os\nprint(os.listdir('/'))\n"), "security_error")
    assert shown["error_type"] == "SecurityViolation"
    assert shown["error_message"] == "Attempted to access restricted module 'os'"
    assert (shown["violation_type"], shown["attempted_action"]) == ("blocked_import", "import os")
    assert shown["security_level"] == "strict"


def test_the_details_of_a_violation(executor: SubprocessExecutor):
    found = document(executor, "open('/etc/passwd', 'w')\n")
    violation = found["security_violation"]
    assert violation["attempted_operation"] == "file_write"
    assert violation["blocked_code"] == "open('/etc/passwd', 'w')"
    assert violation["reason"].endswith("denied in strict mode")
    assert violation["alternative_approaches"]


def test_a_program_that_takes_too_long(executor: SubprocessExecutor):
    code = "print('working')\nn = 0\nwhile True:\n    n += 1\n"
    shown = details(document(executor, code, timeout=0.5), "timeout_error")
    assert shown["error_type"] == "ExecutionTimeout"
    assert shown["error_message"] == "Code execution exceeded 0.5 second timeout"
    assert shown["timeout_limit"] == 0.5
    assert 0.5 <= shown["execution_time"] < 5
    assert shown["last_executed_line"] in (3, 4)
    assert shown["partial_output"] == "working\n"


def test_a_program_that_takes_too_much_memory(executor: SubprocessExecutor):
    found = document(executor, "kept = []\nwhile True:\n    kept.append('x' * 10**6)\n", memory_limit="100MB")
    shown = details(found, "memory_error")
    assert shown["error_type"] == "MemoryError"
    assert shown["error_message"] == "Memory limit of 100MB exceeded"
    assert shown["memory_limit"] == "100MB"
    used = float(shown["memory_used"].removesuffix("MB"))
    assert 90 < used < 150


def test_details_come_by_levels(executor: SubprocessExecutor):
    code = "a = 1\nb = 2\nprint(c)\n"
    one, two, three, four = (document(executor, code, level) for level in (1, 2, 3, 4))
    assert one["error_summary"] == "NameError on line 3: undefined variable"
    assert "exception_info" not in str(one.keys())
    assert two["execution_result"]["exception_info"]["type"] == "NameError"
    context = three["error_details"]["execution_context"]
    assert set(context["variables_in_scope"]) == {"a", "b"}
    assert context["last_successful_line"] == 2
    assert context["execution_path"] == ["line 1", "line 2", "line 3 (failed)"]
    assert "'c'" in three["error_details"]["immediate_cause"]
    assert isinstance(three["error_details"]["contributing_factors"], list)
    assert four["system_state"]["memory_limit"] == "100MB"
    assert one.keys() <= two.keys() <= three.keys() <= four.keys()


def test_what_worked_and_what_can_be_done_now(executor: SubprocessExecutor):
    code = "import math\narea = math.pi * 2 ** 2\nprint('area', area)\nprint(aera)\n"
    found = document(executor, code)
    partial = found["partial_results"]
    assert (partial["completed_lines"], partial["total_lines"]) == (3, 4)
    assert partial["stdout_before_error"].startswith("area 12.56")
    assert partial["variables_before_error"]["area"] == pytest.approx(12.566, abs=0.001)
    assert len(partial["successful_operations"]) == 3

    options = {each["option"]: each for each in found["recovery_options"]}
    assert options["fix_and_retry"]["suggested_fix"] == "print(area)"
    assert options["debug_mode"]["next_steps"]
    snippet = options["partial_execution"]["code_snippet"]
    again = executor.execute_sync(snippet)
    assert again.success
    assert again.execution_result.stdout == partial["stdout_before_error"]
    fixed = executor.execute_sync(code.replace("print(aera)", options["fix_and_retry"]["suggested_fix"]))
    assert fixed.success


def test_events_arrive_before_the_end(executor: SubprocessExecutor):
    shown: list[StreamEvent] = []
    executor.execute_sync("print('one')\n1 / 0\n", on_event=shown.append)
    errors = [event.to_dict() for event in shown if event.level == "error"]
    assert [event["level"] for event in errors] == ["error"]
    assert "ZeroDivisionError" in str(errors[0]["message"])
    assert [event.timestamp for event in shown] == sorted(event.timestamp for event in shown)


def test_a_history_of_failures_and_what_was_learnt(executor: SubprocessExecutor):
    history = ErrorHistory()

    def failing(code: str) -> ExecutionReport:
        report = executor.execute_sync(code)
        history.record(report)
        return report

    first = failing("print(undefined_variable)")
    failing("print(another_variable)")
    history.resolve(first.execution_id, "defined the variable", "define variables before they are used")
    found: dict[str, Any] = history.to_dict()
    entry = found["error_history"][0]
    assert entry["execution_id"] == first.execution_id
    assert entry["error_type"] == "NameError"
    assert (entry["resolution"], entry["learning"]) == ("defined the variable", "define variables before they are used")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["timestamp"])
    (common,) = found["common_errors"]
    assert common["frequency"] == 2
    assert common["error_pattern"] and common["typical_causes"]


def test_code_that_is_refused_has_done_nothing(executor: SubprocessExecutor):
    partial = document(executor, "import os\nx = 1\nx\n")["partial_results"]
    assert (partial["completed_lines"], partial["total_lines"]) == (0, 3)
    assert partial["successful_operations"] == []
    options = document(executor, "import os\nx = 1\nx\n")["recovery_options"]
    assert "partial_execution" not in [each["option"] for each in options]
