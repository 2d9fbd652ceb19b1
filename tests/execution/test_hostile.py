"""Scripts that are malicious, or were written in a hurry: each has the verdict it must get."""

from __future__ import annotations

import json
import os
import pathlib
import time
import tomllib
from collections.abc import Iterator

import pytest

from resilience.execution import ExecutionReport, ExecutionRequest, SubprocessExecutor
from resilience.execution.source_decoding import source_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="executions need POSIX")

HERE = pathlib.Path(__file__).parent / "hostile"
VERDICTS = tomllib.loads((HERE / "verdicts.toml").read_text("utf-8"))
KNOWN = {"verdict", "level", "timeout", "memory", "type", "line", "column", "says", "stdout", "truncated", "value"}
KNOWN |= {"exit_code", "leaks"}
GENERATED = {
    "a_megabyte": "".join(f"x{number} = {number}\n" for number in range(65_000)) + "x64999\n",
    "a_megabyte_on_one_line": f"x = '{'a' * 1_000_000}'\nlen(x)\n",
    "deep_attributes": f"x = a{'.b' * 50_000}\n",
    "deep_operators": f"x = {'-' * 100_000}1\n",
}
"""Scripts that are too long to keep as files."""
_MAX_CHARACTERS = 2_000_000
_GRACE = 8.0


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor(spares=0) as executor:
        yield executor


def source(name: str) -> str:
    return GENERATED[name] if name in GENERATED else source_of((HERE / f"{name}.py").read_bytes())


def carried_out(executor: SubprocessExecutor, name: str) -> ExecutionReport:
    wanted = VERDICTS[name]
    request = ExecutionRequest(
        source(name),
        timeout=wanted.get("timeout", 5),
        memory_limit=wanted.get("memory", "100MB"),
        security_level=wanted.get("level", "strict"),
    )
    return executor.execute_sync(request)


def test_every_script_has_a_verdict_and_every_verdict_a_script():
    scripts = {path.stem for path in HERE.glob("*.py")} - {"conftest"}
    assert scripts | set(GENERATED) == set(VERDICTS) and scripts.isdisjoint(GENERATED)
    assert len(VERDICTS) >= 60
    assert set().union(*VERDICTS.values()) <= KNOWN


@pytest.mark.parametrize("name", [name for name in VERDICTS if name != "unknown_cookie"])
def test_it_gets_its_verdict(executor: SubprocessExecutor, name: str):
    wanted = VERDICTS[name]
    began = time.monotonic()
    report = carried_out(executor, name)
    took = time.monotonic() - began
    got = "success" if report.category is None else report.category.label
    assert got in ([wanted["verdict"]] if isinstance(wanted["verdict"], str) else wanted["verdict"]), str(report.error)
    assert report.success == (got == "success")
    assert took < wanted.get("timeout", 5) + _GRACE

    result, error = report.execution_result, report.error
    if "value" in wanted:
        assert result.return_value == wanted["value"]
    if "stdout" in wanted:
        assert wanted["stdout"] in result.stdout
    assert len(result.stdout) + len(result.stderr) < _MAX_CHARACTERS
    if error is None:
        assert result.exit_code == 0
    else:
        assert result.exit_code == wanted.get("exit_code", result.exit_code) != 0
        assert error.error_type == wanted.get("type", error.error_type)
        assert error.line_number == wanted.get("line", error.line_number)
        assert error.column_number == wanted.get("column", error.column_number)
        assert error.suggestions
        assert error.error_summary
    for level in (1, 2, 3, 4):
        text = report.to_json(level)
        assert json.loads(text)["success"] is report.success
        assert len(text) < _MAX_CHARACTERS
        assert wanted.get("leaks", "no canary") not in text
    assert wanted.get("says", "") in json.dumps(report.to_dict(4), ensure_ascii=False)
    assert len(report.to_llm(500)) < 500 * 8
    assert "\x1b" not in ("" if error is None else error.render())


def test_an_unknown_encoding_is_a_syntax_error():
    with pytest.raises(SyntaxError, match="klingon"):
        source_of((HERE / "unknown_cookie.py").read_bytes())


def test_after_all_of_them_an_honest_script_still_runs(executor: SubprocessExecutor):
    assert executor.execute_sync("1 + 1").execution_result.return_value == 2
