"""Modules of the user's own, in the directory that a program runs in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience import ErrorCategory
from resilience.execution import ExecutionReport, ExecutionRequest, SecurityPolicy, SubprocessExecutor, validate


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("def double(x):\n    return 2 * x\n\n\ndef fail():\n    return 1 / 0\n")
    (tmp_path / "json.py").write_text("raise RuntimeError('this is not the json of Python')\n")
    return tmp_path


def run(executor: SubprocessExecutor, code: str, folder: Path, **options: object) -> ExecutionReport:
    return executor.execute_sync(ExecutionRequest(code, working_directory=folder, **options))


@pytest.mark.parametrize("level", ["permissive", "moderate", "strict", "custom"])
def test_a_module_in_the_working_directory_is_imported_where_it_is_allowed(executor, folder, level):
    imports = [] if level == "permissive" else ["helper"]
    request = ExecutionRequest(
        "import helper\nhelper.double(4)", working_directory=folder, security_level=level, allowed_imports=imports
    )
    report = executor.execute_sync(request)
    assert (report.success, report.execution_result.return_value) == (True, 8), report.error
    assert validate(request).import_issues == ()


@pytest.mark.parametrize("level", ["strict", "moderate"])
def test_a_module_in_the_working_directory_has_to_be_allowed(executor, folder, level):
    report = run(executor, "import helper", folder, security_level=level)
    assert report.category is ErrorCategory.SECURITY
    assert any("allowed_imports=['helper']" in each for each in report.error.suggestions)


def test_a_module_in_the_working_directory_hides_none_of_pythons(executor, folder):
    report = run(executor, "import json\njson.dumps(1)", folder, security_level="permissive")
    assert report.execution_result.return_value == "1"


def test_a_module_that_may_be_imported_may_not_be_read_for_that(executor, folder):
    report = run(executor, "import helper\nname = 'helper.py'\nopen(name).read()", folder, allowed_imports=["helper"])
    assert report.category is ErrorCategory.SECURITY and report.error.line_number == 3


def test_what_a_program_could_have_written_itself_is_not_imported(executor, folder):
    policy = SecurityPolicy.custom(modules=["helper"], files="write")
    report = run(executor, "import helper", folder, security_level=policy)
    assert report.category is ErrorCategory.IMPORT
    request = ExecutionRequest("import helper", working_directory=folder, security_level=policy)
    assert [each.message for each in validate(request).import_issues] == ["there is no module 'helper' here"]


def test_a_failure_in_a_module_of_the_working_directory_has_the_line_of_the_program_and_its_own_frame(executor, folder):
    report = run(executor, "import helper\nhelper.fail()", folder, security_level="permissive")
    assert (report.error.error_type, report.error.line_number) == ("ZeroDivisionError", 2)
    assert "helper.py line 6, in fail: return 1 / 0" in report.error.render()
    assert "fails in helper.py line 6: return 1 / 0" in report.to_llm()


def test_a_module_that_is_misspelt_is_found_beside_the_program(executor, folder):
    report = run(executor, "import helpr", folder, security_level="permissive")
    assert report.error.suggested_fix == "import helper"


def test_no_command_installs_a_module_that_is_missing_beside_the_program(executor):
    for level in ("strict", "moderate", "permissive"):
        report = executor.execute_sync(ExecutionRequest("import helper_of_mine", security_level=level))
        assert report.category is ErrorCategory.IMPORT
        assert "pip" not in report.to_json(4) + report.error.to_llm() + report.error.render()
