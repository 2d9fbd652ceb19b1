"""Any exception of any program has a report."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest

import resilience.report
from resilience import CircuitOpenError, ErrorCategory
from resilience.report import ErrorReport, report_schema
from tests.report.failing import raised, taken
from tests.report.hostile import ERRORS

VALIDATOR = jsonschema.Draft202012Validator(report_schema(4))


@pytest.mark.parametrize("name", ERRORS)
def test_no_exception_breaks_it(name: str):
    make = ERRORS[name]
    for error in (make(), taken(make())):
        report = ErrorReport.from_exception(error)
        VALIDATOR.validate(json.loads(report.to_json(4)))
        assert report.error_type == type(error).__name__
        assert str(report)
        assert report.to_llm(50)


def test_the_category_is_what_the_classifier_says():
    assert ErrorReport.from_exception(ConnectionResetError()).category is ErrorCategory.NETWORK
    assert ErrorReport.from_exception(MemoryError()).category is ErrorCategory.MEMORY
    assert ErrorReport.from_exception(CircuitOpenError("billing", retry_after=1.0)).category is ErrorCategory.REJECTED


def test_the_source_comes_from_the_file_that_failed():
    def divide(count: int) -> float:
        return 1 / count

    with pytest.raises(ZeroDivisionError) as caught:
        divide(0)
    report = ErrorReport.from_exception(caught.value)
    assert report.code_line == "return 1 / count"
    assert report.function_name == "divide"
    assert report.local_variables == {"count": 0}
    assert report.excerpt[2].line_number == report.line_number
    assert report.execution_context.execution_path[-1].endswith(f"line {report.line_number} (failed)")


def test_the_source_can_be_handed_in():
    source = "total = 1\nprint(totl)\n"
    report = ErrorReport.from_exception(raised(source), source=source)
    assert report.code_line == "print(totl)"
    assert any("total" in suggestion for suggestion in report.suggestions)


def test_a_report_can_be_made_deep_down():
    def down(depth: int) -> ErrorReport:
        try:
            return down(depth + 1)
        except RecursionError as error:
            if depth > 400:
                raise
            return ErrorReport.from_exception(error)

    report = down(0)
    assert report.error_type == "RecursionError"
    assert report.exception.frames_dropped > 0


def test_threads_can_report_at_the_same_time():
    source = "total = 1\nprint(totl)\n"
    error = raised(source)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ErrorReport.from_exception(error, source=source).to_json(3)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.dumps({**json.loads(each), "timestamp": ""}) for each in found}) == 1


def test_what_is_no_exception_is_refused():
    with pytest.raises(TypeError, match="give an exception"):
        ErrorReport.from_exception("boom")


def test_every_public_name_is_there():
    for name in resilience.report.__all__:
        assert getattr(resilience.report, name) is not None
    assert set(dir(resilience.report)) == set(resilience.report.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Report'"):
        _ = resilience.report.Report


def test_importing_the_package_costs_nothing_that_is_not_used():
    program = "import resilience.report, sys; print([n for n in sys.modules if n.startswith('resilience.report.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_home_directory_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from resilience.report import _path_redaction

    monkeypatch.setenv("HOME", str(tmp_path))
    _path_redaction._home.cache_clear()
    try:
        program = tmp_path / "program.py"
        program.write_text("1 / 0\n")
        with pytest.raises(ZeroDivisionError) as caught:
            exec(compile(program.read_text(), str(program), "exec"), {})
        report = ErrorReport.from_exception(caught.value)
        assert report.filename == "~/program.py"
        assert str(tmp_path) not in report.to_json(4)
    finally:
        _path_redaction._home.cache_clear()


@pytest.mark.parametrize("leaves", [SystemExit, GeneratorExit])
def test_an_exception_whose_attributes_exit_is_reported_all_the_same(leaves: type[BaseException]):
    class Hostile(Exception):
        def __getattribute__(self, name: str) -> object:
            if name.startswith("__"):
                return super().__getattribute__(name)
            raise leaves("from an attribute")

    report = ErrorReport.from_exception(Hostile("down"))
    assert report.to_dict(1)["error_category"] == "unknown"
    assert "Hostile" in report.error_summary
