"""The JSON of each kind of failure has the keys and the values that agents were promised."""

from __future__ import annotations

import dataclasses
import json

import pytest

from resilience.categories import ErrorCategory as C
from resilience.report import Failure
from resilience.report._explain import explain
from resilience.report._level_fields import detail_keys
from tests.report.failures import FAILURES, NOON, of_source

COMMON = ["error_type", "error_message", "line_number", "column_number"]
FOUND_OUT = ["context", "suggestions", "immediate_cause", "contributing_factors", "execution_context"]


def details(name: str, level: int = 3) -> dict[str, object]:
    return explain(FAILURES[name]).to_dict(level)["error_details"]


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("syntax", ["problematic_code"]),
        ("runtime", ["function_name", "local_variables"]),
        ("import", ["attempted_import", "available_modules"]),
        ("security", ["violation_type", "attempted_action", "security_level"]),
        ("timeout", ["timeout_limit", "execution_time", "last_executed_line", "partial_output"]),
        ("memory", ["memory_limit", "memory_used"]),
        ("network", []),
    ],
)
def test_the_details_of_each_category_have_exactly_its_keys(name: str, own: list[str]):
    assert list(details(name)) == [*COMMON, *own, *FOUND_OUT]


def test_an_undefined_variable():
    found = explain(FAILURES["runtime"]).to_dict()
    assert found["success"] is False
    assert found["error_category"] == "runtime_error"
    assert found["timestamp"] == "2026-01-01T12:00:00Z"
    assert found["error_summary"] == "NameError on line 3: undefined variable"
    inner = found["error_details"]
    assert (inner["error_type"], inner["line_number"], inner["column_number"]) == ("NameError", 3, 6)
    assert inner["error_message"] == "name 'undefined_variable' is not defined"
    assert inner["local_variables"] == {"x": 10, "y": 15}
    assert inner["function_name"] == "<module>"
    assert inner["suggestions"]
    assert inner["immediate_cause"]
    assert inner["execution_context"] == {
        "variables_in_scope": ["x", "y"],
        "last_successful_line": 2,
        "execution_path": ["line 1", "line 2", "line 3 (failed)"],
    }
    raised = found["exception_info"]
    assert raised["traceback"][-1] == {
        "filename": "<string>",
        "line_number": 3,
        "function_name": "<module>",
        "code_line": "print(undefined_variable)",
        "local_vars": {"x": 10, "y": 15},
    }
    assert raised["full_traceback"] == (
        "Traceback (most recent call last):\n"
        '  File "<string>", line 3, in <module>\n'
        "    print(undefined_variable)\n"
        "          ^^^^^^^^^^^^^^^^^^\n"
        "NameError: name 'undefined_variable' is not defined\n"
    )


def test_the_completed_statements_are_reported_and_runnable():
    found = explain(FAILURES["runtime"]).to_dict()
    assert found["partial_results"] == {
        "completed_lines": 2,
        "total_lines": 4,
        "stdout_before_error": "ready\n",
        "variables_before_error": {"x": 10, "y": 15},
        "successful_operations": ["x = 10", "y = x + 5"],
    }
    options = {option["option"]: option for option in found["recovery_options"]}
    assert list(options) == ["fix_and_retry", "partial_execution", "debug_mode"]
    namespace: dict[str, object] = {}
    exec(options["partial_execution"]["code_snippet"], namespace)
    assert namespace["y"] == 15
    assert options["debug_mode"]["next_steps"]
    assert "suggested_fix" in options["fix_and_retry"]


def test_a_syntax_error():
    inner = details("syntax")
    assert (inner["line_number"], inner["column_number"], inner["problematic_code"]) == (2, 3, "if x = 5:")
    assert inner["error_message"].startswith("invalid syntax")


def test_an_import_that_is_not_there():
    inner = details("import")
    assert inner["error_type"] == "ModuleNotFoundError"
    assert inner["attempted_import"] == "numpyy"
    assert inner["available_modules"] == ["math", "json"]


def test_a_forbidden_import():
    found = explain(FAILURES["security"]).to_dict()
    inner = found["error_details"]
    assert (inner["violation_type"], inner["attempted_action"]) == ("blocked_import", "import os")
    assert (inner["security_level"], inner["line_number"]) == ("strict", 2)
    assert found["security_violation"] == {
        "attempted_operation": "import os",
        "blocked_code": "import os",
        "reason": "importing os is denied at level strict",
        "alternative_approaches": ["Use pathlib at level moderate."],
    }


def test_a_time_limit():
    inner = details("timeout")
    assert (inner["timeout_limit"], inner["execution_time"]) == (30.0, 30.1)
    assert (inner["last_executed_line"], inner["partial_output"]) == (3, "begun\n")


def test_a_memory_limit_and_what_else_is_known():
    found = explain(FAILURES["memory"]).to_dict()
    assert found["error_details"]["memory_limit"] == "100MB"
    assert found["error_details"]["memory_used"] == "105MB"
    assert found["specifics"] == {"signal": "SIGKILL"}


@pytest.mark.parametrize("category", [each for each in C if each.is_leaf], ids=str)
def test_every_category_has_a_report_even_where_nothing_else_is_known(category: C):
    report = explain(Failure(category=category, error_type="Odd", message="", timestamp=NOON))
    found = report.to_dict(4)
    assert found["error_category"] == category.label
    assert tuple(found["error_details"]) == detail_keys(category, 4)
    assert found["error_details"]["suggestions"]
    assert found["recovery_options"]
    assert str(report)
    assert report.to_llm()


def test_a_failure_outside_of_the_code_advises_to_run_the_same_code_again():
    (option,) = explain(FAILURES["network"]).to_dict()["recovery_options"]
    assert option["option"] == "retry"


def test_the_place_is_the_programs_own_and_not_in_a_library():
    failure = of_source("import json\n\ndef read(text):\n    return json.loads(text)\n\nread('{')\n", C.RUNTIME)
    report = explain(failure)
    assert (report.line_number, report.function_name, report.filename) == (4, "read", "<string>")
    assert report.local_variables == {"text": "{"}
    names = {frame.filename for frame in report.exception.traceback}
    assert names == {"<string>", "json/__init__.py", "json/decoder.py"}


def test_secrets_and_paths_are_in_no_part_of_a_report():
    source = (
        'password = "canary-1"\n'
        "class Client:\n    def __init__(self): self.api_key = 'canary-2'\n"
        "    def __repr__(self): return f'Client(token={self.api_key})'\n"
        "client = Client()\n"
        "settings = {'url': 'https://ada:canary-3@example.org/', 'db_password': 'canary-4'}\n"
        "print(password)\n"
        "def login(client, secret_key='canary-5'):\n"
        "    raise ValueError(f'{secret_key} refused; see /home/ada/log, password=canary-6')\n"
        "login(client)\n"
    )
    failure = of_source(source, C.RUNTIME)
    progress = dataclasses.replace(FAILURES["runtime"].progress, stdout="canary-1\n", snippet='password = "canary-1"')
    failure = dataclasses.replace(
        failure,
        progress=progress,
        system={"HOME": "/home/ada", "DB_PASSWORD": "canary-9"},
        specifics={"token": "canary-8"},
    )
    report = explain(failure)
    for text in (report.to_json(4), str(report), report.to_llm(5000), json.dumps(report.to_mcp(4))):
        assert "canary" not in text
        assert "/home/ada" not in text
        assert "[redacted]" in text


def test_a_report_is_made_again_the_same():
    for failure in FAILURES.values():
        first, second = explain(failure), explain(failure)
        assert first.to_json(4) == second.to_json(4)
        assert first.to_llm() == second.to_llm()
        assert str(first) == str(second)


def test_a_report_without_a_time_is_of_now():
    from resilience.testing import virtual_time

    with virtual_time():
        report = explain(Failure(category=C.UNKNOWN, error_type="Odd", message=""))
        assert report.timestamp == explain(Failure(category=C.UNKNOWN, error_type="Odd", message="")).timestamp
    assert report.to_dict()["timestamp"].endswith("Z")
