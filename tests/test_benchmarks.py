"""The benchmarks run, and refuse to measure what does not do what it says. No times are asserted."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import check, table
from benchmarks.__main__ import main
from benchmarks.candidate import CAPABILITIES, OURS, Candidate, candidates
from benchmarks.cases import CASES
from benchmarks.measure import Taken, interleaved
from benchmarks.targets import TARGETS
from benchmarks.terms import DEFAULT, Function

ROOT = Path(__file__).parent.parent


def silent(_: str) -> None:
    """Show no progress."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_quick_run_prints_one_json_document_and_writes_no_file() -> None:
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").glob("*")}
    done = run("--quick", "--json", "--case", "garbage-rejection", "--case", "sync-fallback")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [case["name"] for case in found["cases"]] == ["sync-fallback", "garbage-rejection"]
    assert not found["complete"]
    assert found["versions"]["tenacity"]
    rows = {row["candidate"]: row for row in found["cases"][0]["rows"]}
    assert rows["empty decorator"]["ratio"] == 1
    low, high = rows[OURS]["spread"]
    assert low <= rows[OURS]["ratio"] <= high
    assert found["cases"][0]["left_out"]["backoff"] == "has no fallback"
    assert str(ROOT) not in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").glob("*")}


def test_the_list_names_every_case_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_a_name_nobody_has_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_targets_belong_to_cases_that_exist() -> None:
    assert set(TARGETS) <= {case.name for case in CASES}


@pytest.mark.parametrize("capability", [name for name in CAPABILITIES if name != "limit"])
def test_ours_does_what_each_case_says(capability: str) -> None:
    ours = candidates()[0]
    assert ours.name == OURS
    for shape in ("sync", "method", "async"):
        check.check(capability, shape, ours.guard(capability))


@pytest.mark.parametrize(
    ("capability", "complaint"),
    [
        ("retry", "two failures, then success"),
        ("breaker", "an open circuit calls"),
        ("fallback", "a failing call answers"),
        ("fallback_breaker", "an open circuit behind a fallback"),
        ("stack", "two failures, then success"),
        ("limit", "a call beyond the limit"),
    ],
)
def test_the_check_refuses_a_guard_that_does_nothing(capability: str, complaint: str) -> None:
    def nothing(function: Function, seconds: float = 0.0) -> Function:
        return function

    with pytest.raises(check.CheckFailedError, match=complaint):
        check.check(capability, "sync", nothing)


def test_the_check_refuses_a_retry_that_never_gives_up() -> None:
    def eager(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(value: Any) -> Any:
            for _ in range(9):
                try:
                    return function(value)
                except ConnectionError:
                    pass
            return DEFAULT

        return wrapper

    with pytest.raises(check.CheckFailedError, match="failures without end: calls: 9 instead of 3"):
        check.check("retry", "sync", eager)


def test_a_candidate_that_breaks_while_it_is_measured_does_not_end_the_run() -> None:
    def broken() -> float:
        raise OSError("gone")

    taken, failed = interleaved({"base": lambda: 2.0, "twice": lambda: 4.0, "broken": broken}, "base", 3, silent)
    assert taken["twice"] == Taken((4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    assert taken["twice"].ratio == 2.0
    assert failed == {"broken": "OSError: gone"}


def test_a_file_that_cannot_be_loaded_is_a_candidate_that_fails() -> None:
    with pytest.raises(RuntimeError, match="ImportError: no such peer"):
        Candidate("ghost", problem="ImportError: no such peer").guard("retry")


def test_the_page_keeps_what_is_written_around_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(table, "_DOCS", page)
    row: dict[str, Any] = {"candidate": OURS, "status": "measured", "value": 1.5, "ratio": 1.2, "spread": [1.1, 1.3]}
    row |= {"reason": None, "target": "≤ 1.4x", "met": True}
    peer: dict[str, Any] = {
        "candidate": "peer",
        "status": "failed: OSError",
        "value": None,
        "ratio": None,
        "spread": None,
    }
    case: dict[str, Any] = {
        "name": "c",
        "title": "a case",
        "unit": "us per call",
        "reference": "nothing",
        "left_out": {"other": "has none"},
    }
    case["rows"] = [row, peer]
    found = {"interpreter": "cpython-3.11", "python": "3.11.7", "platform": "Linux", "processors": 2}
    found |= {"date": "2026-01-01", "rounds": 3, "versions": {}, "cases": [case]}
    table.write_docs([found])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| a case | nothing | 1.5 us | 1.2 [1.1, 1.3] | ≤ 1.4x | met | - | failed |" in text
    assert "* other has none (c)" in text
