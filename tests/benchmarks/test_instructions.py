"""The guard that counts instructions: it reads what callgrind writes, and complains of what is beyond its limit."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import references
from benchmarks.check import CheckFailedError
from benchmarks.instructions import __main__ as command
from benchmarks.instructions import counting, limits, report
from benchmarks.instructions.cases import CASES, Case
from benchmarks.instructions.counting import Count
from benchmarks.instructions.dumps import DumpError, per_call, total
from benchmarks.instructions.verify import verify
from benchmarks.terms import Function

pytestmark = pytest.mark.slow  # a command for developers, which runs valgrind

ROOT = Path(__file__).parents[2]
RETRY, FAILING = (next(case for case in CASES if case.name == name) for name in ("sync-retry", "failures-retry"))
ALLOWED = {"sync-retry": 1.2, "failures-retry": 5.0}

DUMP = """# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 71
cmd:  python -m benchmarks.instructions.child
part: {part}


desc: I1 cache:
desc: Timerange: Basic block 58946787 - 59014607
desc: Trigger: {trigger}

positions: line
events: Ir


ob=(1) /usr/lib/libpython3.11.so.1.0
fl=(1) ceval.c
fn=(1) _PyEval_EvalFrameDefault
1024 90
totals: {total}
"""


def dump(directory: Path, part: int, total: object, trigger: str = "--dump-before=getppid") -> Path:
    path = directory / f"callgrind.71.{part}"
    path.write_text(DUMP.format(part=part, trigger=trigger, total=total), encoding="utf-8")
    return path


def test_a_call_takes_what_the_longer_loop_takes_more(tmp_path: Path) -> None:
    dump(tmp_path, 1, 262445709)  # what was before the loops counts for nothing
    dump(tmp_path, 2, 347252)
    dump(tmp_path, 3, 2178752)
    assert total(tmp_path / "callgrind.71.3") == 2178752
    assert per_call(tmp_path, 71, 1000) == 1831.5


def test_a_dump_that_another_reason_wrote_is_refused(tmp_path: Path) -> None:
    path = dump(tmp_path, 2, 29313, trigger="Program termination")
    with pytest.raises(DumpError, match=r"callgrind\.71\.2: desc: Trigger is 'Program termination' instead of"):
        total(path)


def test_a_dump_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = dump(tmp_path, 2, 29313)
    path.write_text(path.read_text(encoding="utf-8").partition("totals")[0], encoding="utf-8")
    with pytest.raises(DumpError, match=r"callgrind\.71\.2: no totals"):
        total(path)


def test_missing_marks_of_callgrind_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="it did not see the calls of getppid"):
        per_call(tmp_path, 71, 1000)


def test_a_longer_loop_that_takes_no_more_is_refused(tmp_path: Path) -> None:
    dump(tmp_path, 2, 500)
    dump(tmp_path, 3, 500)
    with pytest.raises(DumpError, match="1000 calls more took no more instructions"):
        per_call(tmp_path, 71, 1000)


def test_a_limit_is_the_margin_above_the_worst_rounded_up() -> None:
    assert limits.limit_for([0.592, 0.8]) == 0.92
    assert limits.limit_for([1.0]) == 1.15  # and not 1.16, for the sake of 114.99999999999999
    assert limits.limit_for([15.545]) == 17.88


def test_within_the_limit_nothing_is_said() -> None:
    assert limits.exceeded([Count(RETRY, 119.0, 100.0), Count(FAILING, 500.0, 100.0)], ALLOWED) == []


def test_beyond_the_limit_the_case_the_ratio_the_limit_and_the_way_out_are_named() -> None:
    [complaint] = limits.exceeded([Count(RETRY, 121.0, 100.0), Count(FAILING, 500.0, 100.0)], ALLOWED)
    assert complaint == (
        "sync-retry: 1.210 times the instructions of its reference (empty decorator), and the limit is 1.2\n"
        "  see where they go: python -m benchmarks.instructions --profile --case sync-retry"
    )


def test_a_case_without_a_limit_fails() -> None:
    [complaint] = limits.exceeded([Count(RETRY, 1.0, 1.0)], {})
    assert complaint == "sync-retry: has no limit; --write-limits gives it one"


def test_limits_are_those_of_the_worst_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    limits.write({"cpython-3.11.7": {"a": 1.0, "b": 3.00004}, "cpython-3.13.0": {"a": 2.0, "b": 1.0}}, path)
    assert limits.load(path) == {"a": 2.3, "b": 3.45}
    assert json.loads(path.read_text(encoding="utf-8"))["measured"]["cpython-3.11.7"] == {"a": 1.0, "b": 3.0}


def test_each_case_has_a_limit_and_each_limit_a_case() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert set(limits.load()) == set(names)


def test_the_limits_are_those_that_follow_from_what_was_measured() -> None:
    measured = json.loads(limits.FILE.read_text(encoding="utf-8"))["measured"]
    for case, limit in limits.load().items():
        assert limit == limits.limit_for([ratios[case] for ratios in measured.values()])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_sides_do_what_the_case_says(case: Case) -> None:
    verify(case)


def test_a_reference_that_does_something_else_is_refused() -> None:
    with pytest.raises(ConnectionError):
        verify(dataclasses.replace(FAILING, reference=references.empty))
    with pytest.raises(CheckFailedError, match="sync-retry, reference: answers 'default' instead of 7"):
        verify(dataclasses.replace(RETRY, reference=references.caught))
    with pytest.raises(CheckFailedError, match="sync-retry, reference: calls 2 times instead of 1"):
        verify(dataclasses.replace(RETRY, reference=twice))


def twice(function: Function) -> Function:
    def wrapper(value: object) -> object:
        function(value)
        return function(value)

    return wrapper


def test_a_limit_that_does_not_fire_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.instructions.verify._LONG", 0.02)
    limit = next(case for case in CASES if case.capability == "limit")

    def unlimited(function: Function, seconds: float = 0.0) -> Function:
        return function

    with pytest.raises(CheckFailedError, match="async-limit, reference: a call beyond the limit answers"):
        verify(dataclasses.replace(limit, reference=unlimited))


def test_the_list_names_every_case_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [case.name for case in CASES]


def test_an_unknown_name_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--case", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_without_valgrind_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert command.main(["--check"]) == 2
    assert "apt-get install valgrind" in capsys.readouterr().err


def test_limits_are_written_from_all_cases_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--write-limits", "--case", "sync-retry"])
    assert ended.value.code == 2
    assert "--write-limits is for all cases" in capsys.readouterr().err


def counting_gives(monkeypatch: pytest.MonkeyPatch, *by_seed: float) -> None:
    """Have ours take so many instructions with each seed, and the reference 100."""

    def counted(cases: Sequence[Case], progress: object, *, seed: int = 0) -> list[Count]:
        return [Count(case, by_seed[seed], 100.0) for case in cases]

    monkeypatch.setattr(command, "count", counted)
    monkeypatch.setattr(command, "valgrind_version", lambda: "valgrind-3.19.0")
    monkeypatch.setattr(limits, "load", lambda: ALLOWED)


@pytest.mark.parametrize(("ours", "code"), [(119.0, 0), (121.0, 1)])
def test_the_check_fails_when_a_limit_is_exceeded(
    ours: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counting_gives(monkeypatch, ours, ours, ours)
    assert command.main(["--check", "--case", "sync-retry"]) == code
    shown = capsys.readouterr()
    assert ("1.20 exceeded" in shown.out, "sync-retry: 1.210 times" in shown.err) == (bool(code), bool(code))
    assert command.main(["--case", "sync-retry"]) == 0  # without --check


@pytest.mark.parametrize("by_seed", [(121.0, 119.0, 121.0), (121.0, 122.0, 119.0)])
def test_a_limit_that_is_exceeded_with_one_seed_and_kept_with_another_is_kept(
    by_seed: tuple[float, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counting_gives(monkeypatch, *by_seed)
    assert command.main(["--check", "--case", "sync-retry"]) == 0
    assert "exceeded" not in capsys.readouterr().out


def test_the_profile_shows_what_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--profile", "--case", "failures-retry"]) == 0
    assert "18000" in capsys.readouterr().out  # three calls of the function in each of 6000


def test_a_failure_in_the_child_is_reported(tmp_path: Path) -> None:
    reported = {"case": "sync-retry", "side": "ours", "pid": 71, "problem": "CheckFailedError: answers 8"}
    with pytest.raises(counting.CountingError, match="^sync-retry, ours: CheckFailedError: answers 8$"):
        reports(f"print({json.dumps(json.dumps(reported))})", tmp_path)
    with pytest.raises(counting.CountingError, match="ended with 3, 0 of 1 done\nno such instruction$"):
        reports("import sys; sys.stderr.write('no such instruction'); sys.exit(3)", tmp_path)


def reports(program: str, directory: Path) -> None:
    counting._reports([sys.executable, "-c", program], {}, directory, 1, lambda text: None)


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not on PATH")
def test_a_case_is_counted() -> None:
    asked = [sys.executable, "-m", "benchmarks.instructions", "--json", "--case", "sync-retry"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    [case] = found["cases"]
    assert found["interpreter"] == report.interpreter()
    assert case["name"] == "sync-retry"
    # A guarded call makes at least one more than the function it guards, and each takes some hundred instructions.
    assert min(case["ours"], case["of_reference"]) > 100
    assert case["ratio"] == pytest.approx(case["ours"] / case["of_reference"], rel=0.01)
