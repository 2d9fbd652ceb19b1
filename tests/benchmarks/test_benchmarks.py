"""The benchmarks run, and refuse to measure what does not do what it says. No times are asserted."""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from benchmarks import check, house, interpreters, page, plot, results, table, terms
from benchmarks.__main__ import main
from benchmarks.candidate import CAPABILITIES, OURS, Candidate, candidates, load
from benchmarks.cases import CASES
from benchmarks.cases.base import Case
from benchmarks.cases.circuits import Circuits
from benchmarks.cases.decorating import Decorating
from benchmarks.cases.garbage import Garbage
from benchmarks.cases.importing import Importing
from benchmarks.cases.in_flight import InFlight
from benchmarks.cases.memory import Memory
from benchmarks.cases.tasks import Tasks
from benchmarks.cases.threads import Threads
from benchmarks.cases.timed import Timed
from benchmarks.measure import Measurement, Settings, sample_in_turn
from benchmarks.outcome import CaseResult, rows
from benchmarks.targets import LIMITS, TARGETS
from benchmarks.terms import ARGUMENT, DEFAULT, Function

pytestmark = pytest.mark.slow  # the benchmarks are commands for developers, and run on any interpreter

ROOT = Path(__file__).parents[2]
TINY = Settings(rounds=2, slow_rounds=2, loop=0.00002, tasks=20, in_flight=20, in_flight_rounds=1, objects=5)
SHAPES = ("sync", "method", "class", "async")
FEW = ("resilience", "pyresilience", "purgatory")


def silent(_: str) -> None:
    """Show no progress."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(autouse=True)
def imports_stay_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the end of a measurement, which would undo what `conftest.py` has frozen for all tests."""
    monkeypatch.setattr("gc.unfreeze", lambda: None)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure some candidates only."""
    some = tuple(candidate for candidate in candidates() if candidate.name in FEW)
    monkeypatch.setattr("benchmarks.cases.base.candidates", lambda: some)


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


# -- the command ------------------------------------------------------------------------------------------------------


def test_a_quick_run_prints_one_json_document_and_writes_no_file() -> None:
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").glob("*")}
    done = run("--quick", "--json", "--case", "garbage-rejection", "--case", "sync-fallback")
    assert (done.returncode, done.stderr) == (0, "[1/2] sync-fallback\n[2/2] garbage-rejection\n")
    found = json.loads(done.stdout)
    assert [case["name"] for case in found["cases"]] == ["sync-fallback", "garbage-rejection"]
    assert not found["complete"]
    assert found["versions"]["tenacity"]
    measured = {row["candidate"]: row for row in found["cases"][0]["rows"]}
    assert measured["empty decorator"]["ratio"] == 1
    low, high = measured[OURS]["spread"]
    assert low <= measured[OURS]["ratio"] <= high
    assert found["cases"][0]["left_out"]["backoff"] == "has no fallback"
    assert str(ROOT) not in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").glob("*")}


def test_the_list_names_every_case_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_a_name_that_no_case_has_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--case", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_targets_belong_to_cases_that_exist() -> None:
    assert set(TARGETS) <= {case.name for case in CASES}


def test_a_case_that_breaks_does_not_end_the_run_and_does_not_meet_its_target(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        name, group, label = "sync-stack", "success", "stack"

        def run(self, settings: Settings, progress: Any) -> list[CaseResult]:
            raise OSError("gone")

    monkeypatch.setattr("benchmarks.__main__.CASES", (Broken(),))
    assert main(["--quick"]) == 0
    assert f"| success: stack |  | {TARGETS['sync-stack']} | failed **not met** |" in capsys.readouterr().out


# -- what is found out before anything is timed -----------------------------------------------------------------------


@pytest.mark.parametrize("capability", [name for name in CAPABILITIES if name not in ("limit", "full")])
def test_ours_does_what_each_case_says(capability: str) -> None:
    ours = candidates()[0]
    assert ours.name == OURS
    for shape in ("sync",) if capability == "keyed" else SHAPES:
        check.check(capability, shape, ours.guard(capability, shape))


@pytest.mark.parametrize("capability", ["limit", "full"])
def test_our_time_limit_fires(capability: str) -> None:
    for shape in ("sync", "async"):
        check.check(capability, shape, candidates()[0].guard(capability))


def nothing(function: Function, seconds: float = 0.0) -> Function:
    return function


@pytest.mark.parametrize(
    ("capability", "complaint"),
    [
        ("retry", "two failures, then success"),
        ("breaker", "an open circuit calls"),
        ("fallback", "a failing call answers"),
        ("fallback_breaker", "an open circuit behind a fallback"),
        ("stack", "two failures, then success"),
        ("limit", "a call beyond the limit"),
        ("full", "two failures, then success"),
        ("rate_limit", "one call too many raises, or waits"),
    ],
)
def test_the_check_refuses_a_guard_that_does_nothing(
    capability: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_LONG", 0.05)
    with pytest.raises(check.CheckFailedError, match=complaint):
        check.check(capability, "sync", nothing)


def test_the_check_refuses_a_stack_whose_limit_does_not_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_LONG", 0.05)
    stack: Any = candidates()[0].guard("stack")
    with pytest.raises(check.CheckFailedError, match="a call beyond the limit ends early"):
        check.check("full", "sync", lambda function, seconds=0.0: stack(function))


def test_the_check_refuses_a_circuit_that_never_opens() -> None:
    with pytest.raises(check.CheckFailedError, match="an open circuit calls"):
        check.check("circuit", "sync", lambda: (None, nothing))


def test_the_check_refuses_circuits_that_do_not_tell_keys_apart() -> None:
    shared: Any = candidates()[0].guard("breaker")
    called: list[Function] = []
    guarded = shared(lambda value: called[-1](value))

    def call(key: object, function: Function) -> Any:
        called.append(function)
        return guarded(ARGUMENT)

    with pytest.raises(check.CheckFailedError, match="another key answers"):
        check.check("keyed", "sync", lambda: (object, call))


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


# -- the cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "left_out"),
    [
        (case_named("sync-stack"), {"purgatory": "has no retry"}),
        (case_named("class-stack"), {"pyresilience": "does not decorate whole classes", "purgatory": "has no retry"}),
        (case_named("async-stack-open"), {"purgatory": "has no retry"}),
        (case_named("async-full-yielding"), {"purgatory": "has no retry"}),
        (case_named("async-rejection-raised"), {}),
        (Threads(2), {}),
        (Tasks(), {}),
        (InFlight(), {"purgatory": "has no time limit"}),
        (case_named("decorating-signatures"), {"purgatory": "has no retry"}),
        (case_named("memory-signatures"), {"purgatory": "has no retry"}),
        (case_named("memory-circuit"), {"purgatory": "has circuits by key only"}),
        (case_named("memory-keyed"), {}),
        (case_named("garbage-stack"), {"purgatory": "has no retry"}),
        (case_named("async-garbage-rejection"), {}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_case_measures_every_candidate_that_can(case: Case, left_out: dict[str, str], few: None) -> None:
    for found in case.run(TINY, silent):
        assert found.left_out == left_out
        measured = {row.candidate: row for row in found.rows}
        assert {row.status for row in found.rows} == {"measured"}
        assert set(measured) >= set(FEW) - set(left_out)
        assert found.reference in {*measured, ""}


def test_a_case_may_have_two_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.cases.importing._child", lambda statement, _: (len(statement) / 1000, 3))
    time, modules = Importing().run(TINY, silent)
    assert [(found.name, found.unit) for found in (time, modules)] == [("import", "ms"), ("import-modules", "modules")]
    assert [row.candidate for row in time.rows] == [row.candidate for row in modules.rows]
    assert {row.value for row in modules.rows} == {3}


def test_every_kind_of_case_is_among_them() -> None:
    kinds = {Timed, Threads, Tasks, InFlight, Importing, Decorating, Memory, Circuits, Garbage}
    assert kinds == {type(case) for case in CASES}


def test_a_failed_call_of_ours_leaves_nothing_to_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.cases.base.candidates", lambda: candidates()[:1])
    found = [result for case in CASES if isinstance(case, Garbage) for result in case.run(TINY, silent)]
    assert {row.value for result in found for row in result.rows if row.candidate == OURS} == {0}


def test_a_candidate_that_breaks_while_it_is_measured_does_not_end_the_run() -> None:
    def broken() -> float:
        raise OSError("gone")

    taken, failed = sample_in_turn({"base": lambda: 2.0, "twice": lambda: 4.0, "broken": broken}, "base", 3, silent)
    assert taken["twice"] == Measurement((4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    assert taken["twice"].ratio == 2.0
    assert failed == {"broken": "OSError: gone"}


def test_a_file_that_cannot_be_loaded_is_a_candidate_that_fails() -> None:
    with pytest.raises(RuntimeError, match="ImportError: no such peer"):
        Candidate("ghost", "benchmarks.peers.ghost", problem="ImportError: no such peer").guard("retry")


def test_a_peer_that_needs_a_later_python_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(terms._LATER_PYTHON, "purgatory", (3, 99))
    later = load("benchmarks.peers.purgatory")
    monkeypatch.setattr("benchmarks.cases.base.candidates", lambda: (candidates()[0], later))
    monkeypatch.setattr("benchmarks.cases.importing.candidates", lambda: (candidates()[0], later))
    monkeypatch.setattr("benchmarks.cases.importing._REFERENCE", OURS)
    monkeypatch.setattr("benchmarks.cases.importing._child", lambda statement, _: (0.1, 3))
    for case in (case_named("sync-breaker"), Importing()):
        for found in case.run(TINY, silent):
            assert found.left_out["purgatory"] == "needs Python 3.99"
            assert {row.status for row in found.rows} == {"measured"}


# -- the page and its plots -------------------------------------------------------------------------------------------


def document(interpreter: str = "cpython-3.11") -> dict[str, Any]:
    taken = {OURS: Measurement((3.0, 3.0), (2.0, 2.0)), "plain": Measurement((2.0, 2.0), (2.0, 2.0))}
    taken |= {
        f"{OURS} twice": Measurement((6.0,), (2.0,)),
        "peer": Measurement((90.0,), (2.0,)),
        "bare": Measurement((1.0,), (2.0,)),
    }
    timed = rows("sync-stack", taken, {"other": "OSError"})
    threads = rows("threads-64", {OURS: Measurement((80.0,), (100.0,)), "none": Measurement((100.0,), (100.0,))}, {})
    counted = rows("garbage-retry", {OURS: Measurement((0.0,), (1.0,)), "peer": Measurement((7.0,), (1.0,))}, {})
    cases = [
        CaseResult("sync-stack", "success", "stack", "us per call", "plain", timed, {"third": "has none"}),
        CaseResult("threads-64", "many", "64 threads: throughput", "calls/s", "none", threads, throughput=True),
        CaseResult("garbage-retry", "left", "retries", "objects per call", "", counted),
    ]
    found = {"format": 2, "interpreter": interpreter, "python": "3.11.7", "platform": "Linux", "processors": 2}
    found |= {"date": "2026-01-01", "rounds": 3, "versions": {}, "peers": ["other", "peer", "third"]}
    return found | {"cases": [case.to_dict() for case in cases]}


def test_the_page_keeps_what_is_written_around_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "times.md"
    written.write_text("before\n<!-- results: begin -->\nold\n<!-- results: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(page, "_DOCS", tmp_path)
    page.write([document(), document("cpython-3.13")])
    text = written.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- results: begin -->\n\n## Targets\n")
    assert text.endswith("\n<!-- results: end -->\nafter\n")
    assert "old" not in text
    for name in ("cpython-3.11", "cpython-3.13"):
        assert f"\n## {name}\n" in text
        assert f"](times-{name}.svg)" in text
        assert (tmp_path / f"times-{name}.svg").exists()
    once = text
    page.write([document(), document("cpython-3.13")])
    assert written.read_text(encoding="utf-8") == once


def test_a_page_without_its_markers_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "times.md").write_text("by hand\n", encoding="utf-8")
    monkeypatch.setattr(page, "_DOCS", tmp_path)
    with pytest.raises(ValueError, match="put them back"):
        page.write([document()])
    assert (tmp_path / "times.md").read_text(encoding="utf-8") == "by hand\n"


def test_the_tables_show_targets_peers_and_what_is_missing() -> None:
    text = table.markdown(document())
    assert f"| success: stack | plain | {TARGETS['sync-stack']} | 1.5 **not met** |" in text
    assert "| many: 64 threads: throughput | none | ≥ 0.97x | 0.8 **not met** |" in text
    assert "| left: retries |  | ≤ 0 objects | 0 objects met |" in text
    assert "| case | against | ours | ratio | target | verdict | bare | other | peer |" in text
    assert f"| stack | plain | 3 us | 1.5 | {TARGETS['sync-stack']} | **not met** | 0.5 | failed | 45 |" in text
    assert f"| stack ({OURS} twice) | plain | 6 us | 3 |  |  |  |  |  |" in text
    assert "* other: failed: OSError (sync-stack, cpython-3.11)." in text
    assert "* third: has none." in text


def test_a_target_that_one_interpreter_has_no_result_for_is_still_shown() -> None:
    older = document("cpython-3.11")
    older["cases"] = older["cases"][1:]
    assert f"| success: stack | plain | {TARGETS['sync-stack']} | - | 1.5 **not met** |" in table.targets(
        [older, document()]
    )


def test_a_reason_that_not_all_interpreters_share_names_those_that_do() -> None:
    older, newer = document("cpython-3.11"), document("cpython-3.13")
    older["cases"][0]["left_out"]["later"] = "needs Python 3.12"
    gaps = table.gaps([older, newer])
    assert "* later: needs Python 3.12 (cpython-3.11)." in gaps
    assert "* third: has none." in gaps


def test_the_plot_is_the_same_for_the_same_results() -> None:
    drawn = plot.svg(document())
    assert drawn == plot.svg(document())
    assert "<dc:date>" not in drawn


def test_the_plot_is_xml_whose_text_is_text_and_whose_colours_follow_the_screen() -> None:
    drawn = plot.svg(document())
    texts = [element.text or "" for element in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    # The cost of a throughput of 0.8 is 1 / 0.8; counts have no ratio to draw.
    assert {"Success", "stack", "against plain", "1.5x", "64 threads: time", "1.25x", "peer", "grey bar: bare"} <= set(
        texts
    )
    assert "retries" not in texts
    for light in re.findall(r'\[style\*="fill: (#\w{6})"\]', drawn):
        assert drawn.count(light) > 2, f"{light}: nothing is drawn in it"


@pytest.mark.parametrize("found", results.load_all(), ids=lambda found: found["interpreter"])
def test_nothing_that_the_plot_says_is_cut_off_at_its_edge(found: dict[str, Any]) -> None:
    figure = plot.draw(found)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    legend = figure.legends[0].get_window_extent(canvas.get_renderer())
    texts = [text.get_window_extent(canvas.get_renderer()) for text in figure.findobj(Text) if text.get_text()]
    for box in (legend, *texts):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert legend.y0 >= max(axes.bbox.y1 for axes in figure.axes), "the legend covers a panel"


def test_marks_that_would_cover_each_other_are_drawn_in_lanes_of_their_own() -> None:
    crowd = plot._Line(("case",), (), 1.0, {"a": 1.0, "b": 1.01, "c": 1.02, "d": 1.5, "e": 9.0}, {})
    assert crowd.lanes == {"a": -1, "b": 1, "c": -2, "d": 0, "e": 0}
    alone = plot._Line(("case",), (), 1.0, {"a": 2.0}, {})
    assert crowd.height > alone.height


def test_the_legend_has_the_peers_that_were_measured_and_one_mark_for_what_needs_no_library() -> None:
    legend = plot.draw(document()).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [OURS, "other", "peer", "without a library"]


def test_results_of_an_older_format_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_RESULTS", tmp_path)
    (tmp_path / "cpython-3.9.json").write_text('{"format": 1, "interpreter": "cpython-3.9"}', encoding="utf-8")
    results.write(document("cpython-3.13"))
    results.write(document("cpython-3.9"))
    results.write(document("cpython-3.11"))
    (tmp_path / "cpython-3.10.json").write_text('{"format": 1, "interpreter": "cpython-3.10"}', encoding="utf-8")
    assert [found["interpreter"] for found in results.load_all()] == ["cpython-3.9", "cpython-3.11", "cpython-3.13"]


# -- the interpreters -------------------------------------------------------------------------------------------------

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
UV = """#!/bin/sh
echo "uv $*" >>"$LOG"
case "$1" in
python) test "$5" = 9.8 && echo "$KEPT/uv/python9.8" ;;
sync)
    test "$4" = "$KEPT/uv/python9.8" && { echo "no wheel" >&2; exit 1; }
    mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
    printf '#!/bin/sh\\necho "python $*" >>"$LOG"\\n' >"$UV_PROJECT_ENVIRONMENT/bin/python"
    chmod +x "$UV_PROJECT_ENVIRONMENT/bin/python"
    echo "$UV_PROJECT_ENVIRONMENT $UV_PYTHON_DOWNLOADS" >>"$LOG" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with interpreters of pyenv's, and with a uv that notes what it is asked and knows Python 9.8."""
    if os.name == "nt":
        pytest.skip("the uv of this test is a shell script")
    for name in ("9.7.2", "9.7.10", "9.7.11t", "9.7-dev", "3.6.15"):
        python = tmp_path / "pyenv" / "versions" / name / "bin" / f"python{name[:3]}"
        python.parent.mkdir(parents=True)
        python.touch()
    uv = tmp_path / "uv"
    uv.write_text(UV, encoding="utf-8")
    uv.chmod(0o755)
    for name, value in (("PYENV_ROOT", "pyenv"), ("UV", "uv"), ("LOG", "log"), ("KEPT", "kept")):
        monkeypatch.setenv(name, str(tmp_path / value))
    return tmp_path


def test_an_interpreter_is_the_running_one_or_pyenvs_newest_or_what_uv_finds(machine: Path) -> None:
    uv = str(machine / "uv")
    assert interpreters.find(HERE, uv) == sys.executable
    assert interpreters.find("9.7", uv) == str(machine / "pyenv/versions/9.7.10/bin/python9.7")
    assert interpreters.find("9.8", uv) == str(machine / "kept/uv/python9.8")
    assert interpreters.find("9.9", uv) is None
    assert interpreters.find("9.7", None) is None


def test_each_interpreter_runs_the_command_in_an_environment_of_its_own(
    machine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["--python", "9.7", "--python", "9.9", "--quick", "--json", "--case", "a*", "--case", "sync-retry"]) == 0
    )
    python = machine / "pyenv/versions/9.7.10/bin/python9.7"
    asked, sync, made, ran = (machine / "log").read_text(encoding="utf-8").splitlines()
    assert asked == "uv python find --no-project --system 9.9"
    assert sync == f"uv sync --locked --python {python}"
    environment, downloads = made.split()
    assert downloads == "never"
    assert ROOT not in Path(environment).parents
    assert not Path(environment).exists(), "it goes away with the run"
    assert ran == "python -m benchmarks --here --quick --json --case=a* --case=sync-retry"
    output = capfd.readouterr().err
    assert "measured on Python 9.7; not found: 9.9" in output
    assert "Python 9.7: making its environment" in output


def test_an_interpreter_without_an_environment_is_left_out_and_the_others_go_on(
    machine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--python", "9.8", "--python", "9.7", "--quick"]) == 1
    assert "Python 9.8 is left out, since it has no environment:\nno wheel" in capfd.readouterr().err
    assert (machine / "log").read_text(encoding="utf-8").splitlines()[-1] == "python -m benchmarks --here --quick"


def test_without_uv_there_is_only_the_running_interpreter(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("UV")
    monkeypatch.setenv("PATH", str(machine))
    (machine / "uv").unlink()
    assert main(["--python", "9.7"]) == 2
    assert interpreters.run([HERE, "9.7"], ["--list"]) == 0
    out, err = capfd.readouterr()
    assert "uv is not found" in err
    assert f"measured on Python {HERE}; not found: 9.7" in err
    assert out.splitlines()[0].startswith("sync-retry")


@pytest.mark.parametrize(
    ("arguments", "versions"),
    [
        ([], interpreters.VERSIONS),
        (["--json"], interpreters.VERSIONS),
        (["--everywhere", "--quick"], interpreters.VERSIONS),
        (["--case", "garbage-retry", "--python", "3.13"], ["3.13"]),
        (["--here", "--list"], None),
        (["--quick", "--case", "garbage-rejection"], None),
    ],
)
def test_a_complete_run_is_for_every_interpreter_and_a_part_of_one_for_this(
    arguments: list[str], versions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(interpreters, "run", lambda found, handed_on: asked.append(found) or 0)
    monkeypatch.setattr("benchmarks.__main__._measure_here", lambda *_, **__: 0)
    assert main(arguments) == 0
    assert asked == ([] if versions is None else [versions])


SMALL = {"classify": (TINY,), "errors": (TINY,), "metrics": ("sync", TINY), "report": (1,), "execution": (1, 100)}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_benchmark_measures_each_of_its_rows(name: str) -> None:
    found = importlib.import_module(f"benchmarks.{name}").measured(*SMALL[name])
    assert len(found) > 3
    for numbers in found.values():
        assert min(numbers if isinstance(numbers, tuple) else (numbers,)) >= 0


# -- how dense the code is --------------------------------------------------------------------------------------------

SNIPPET = '''\
"""A module.

Three lines of it count, without the quotes.
"""

import math  # a comment beside code leaves it code

#: A comment.
LIMIT = 3
"""A string below an attribute: neither code nor a docstring."""

TEXT = """one

three"""


class Shop:
    """One line."""

    @property
    def name(self) -> str:
        return "a" if LIMIT else "b"

    @staticmethod
    def both(left, right, /, *rest, key=None, **more):
        """Say.

            More.
        """
        if left and right and key:
            return [each for each in rest if each]
        elif left:
            return {a: b for a in rest for b in rest}
        else:
            return lambda: left or right


async def read(lines):
    def inner(one):
        while one:
            one -= 1

    async for line in lines:
        try:
            inner(line)
        except (KeyError, ValueError):
            pass
        finally:
            assert line
    with lines:
        match lines:
            case [] | None:
                pass
            case _:
                pass
'''


def snippet(tmp_path: Path, text: str = SNIPPET, name: str = "snippet.py") -> house.Package:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return house.measure("snippet", [("snippet", file)])


def test_density_is_counted_as_the_module_says(tmp_path: Path) -> None:
    found = snippet(tmp_path)
    # import, LIMIT, 2 of TEXT, class, 3 of name, 8 of both, 17 of read
    assert (found.files, found.lines, found.code) == (1, 55, 33)
    assert found.ternaries == 100 * 1 / 33
    # both: if, 2 x and, a comprehension, elif, 2 of a comprehension, or: 8. read: for, except, 2 cases: 4.
    # inner: while. name: a ternary.
    assert found.branch_points == 100 * 14 / 33
    assert found.docstring_lines == 100 * (3 + 1 + 3) / 33
    assert found.functions == (
        house.Function("snippet.Shop.name", complexity=2, parameters=0, lines=2),
        house.Function("snippet.Shop.both", complexity=9, parameters=5, lines=7),
        house.Function("snippet.read", complexity=5, parameters=1, lines=17),
        house.Function("snippet.read.inner", complexity=2, parameters=1, lines=3),
    )
    figures = found.figures()
    assert (figures["function_complexity"], figures["function_complexity_of"]) == (9, "snippet.Shop.both")
    assert (figures["function_lines_median"], figures["function_lines"]) == (5.0, 17)


@pytest.mark.parametrize(
    ("text", "code", "branches"),
    [
        ("", 0, 0),
        ("# only a comment\n", 0, 0),
        ('"""Only a docstring."""\n', 0, 0),
        ("x = (\n    1,\n    # a comment inside\n\n    2,\n)\n", 4, 0),
        ("x = 1; y = 2\n", 1, 0),
        ("a = b and c or d\n", 1, 2),
        ("a = b if c else d if e else f\n", 1, 2),
        ("a = [b for b in c for d in b if d if e]\n", 1, 2),
        ("for a in b:\n    pass\nelse:\n    pass\n", 4, 1),
        ("try:\n    pass\nexcept* OSError:\n    pass\n", 4, 1),
        ("x = f'''{a if b else c}\n\n{d}'''\n", 2, 1),
    ],
)
def test_lines_of_code_and_branch_points_of_small_texts(text: str, code: int, branches: int, tmp_path: Path) -> None:
    found = snippet(tmp_path, text)
    assert found.code == code
    assert found.branch_points == (100 * branches / code if code else 0)


def test_overloads_are_no_functions_and_a_bound_method_has_no_self(tmp_path: Path) -> None:
    text = """
class A:
    @typing.overload
    def f(self, a): ...
    def f(self, a, b): ...
    @classmethod
    def g(cls, a): ...
    @staticmethod
    def h(a): ...
    if True:
        def i(self): ...
"""
    assert {each.name: each.parameters for each in snippet(tmp_path, text).functions} == {
        "snippet.A.f": 2,
        "snippet.A.g": 1,
        "snippet.A.h": 1,
        "snippet.A.i": 0,
    }


def test_what_is_over_a_limit_is_named_with_its_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = ", ".join(f"p{number}" for number in range(13))
    branches = "\n".join(f"    if p{number}: pass" for number in range(15))
    text = f"def most({many}):\n{branches}\nclass Owner:\n    def __init__(self, {many}): ...\n"
    file = tmp_path / "crowded.py"
    file.write_text(text, "utf-8")
    assert house.main(["--check", "--package", str(file)]) == 1
    output = capsys.readouterr()
    assert output.err.splitlines() == [
        f"over: {file}: branch points per 100 code lines 83.3333, at most 15",
        f"over: {file}: docstring lines per 100 code lines 0, at least 30",
        f"over: {file}: crowded.most: complexity 16, at most 15",
        f"over: {file}: crowded.most: parameters 13, at most 12",
    ]
    assert house.main(["--package", str(file)]) == 0, "without --check nothing is judged"


def test_a_package_within_its_limits_is_not_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "calm"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text('"""Says what it is for."""\n', "utf-8")
    (package / "inner" / "one.py").write_text('def one():\n    """Return one."""\n    return 1\n', "utf-8")
    assert house.main(["--check", "--json", "--package", str(package), "--package", str(package / "inner")]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    assert (found["over"], output.err) == ([], "")
    assert found["limits"]["branch_points"] == 15
    whole, inner = found["packages"]
    assert (whole["name"], whole["files"], whole["code"], whole["docstring_lines"]) == (str(package), 2, 2, 100)
    assert (inner["files"], inner["function_lines_of"]) == (1, "one.one")
    assert whole["function_lines_of"] == "inner.one.one"


def test_what_cannot_be_measured_ends_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def (:\n", "utf-8")
    assert house.main(["--package", str(tmp_path / "nothing")]) == 2
    assert "nothing: no Python files there" in capsys.readouterr().err
    assert house.main(["--package", str(broken)]) == 2
    assert "broken.py" in capsys.readouterr().err


def test_the_table_has_the_house_its_core_each_folder_and_the_peers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "resilience"
    for folder in (".", "policy", "policy/report", "cli"):
        (ours / folder).mkdir(exist_ok=True)
        (ours / folder / "one.py").write_text("x = 1\n", "utf-8")
    monkeypatch.setattr(house, "ROOT", tmp_path)
    monkeypatch.setattr(house, "PEERS", ("stamina", "no_such_package"))
    assert house.main([]) == 0
    written, targets = capsys.readouterr().out.split("\n\n")
    lines = written.splitlines()
    assert lines[0].split()[:4] == ["files", "lines", "code", "ternaries"]
    rows = [re.split(r" {2,}", line)[:2] for line in lines[1:]]
    assert rows[:-1] == [
        ["resilience", "4"],
        ["resilience, core", "3"],
        ["resilience/*.py", "1"],
        ["resilience/cli", "1"],
        ["resilience/policy", "2"],
        ["resilience/policy/report", "1"],
    ]
    assert rows[-1][0] == "stamina"
    ends = {re.match(r".{18,}?  +\S+", line).end() for line in lines[1:3]}  # type: ignore[union-attr]
    assert len(ends) == 1, "numbers stand below each other"
    assert [re.split(r" {2,}", line) for line in targets.splitlines()] == [
        ["targets of resilience, core", "measured"],
        ["code lines", "at most 11300", "3", "met"],
        ["ternaries per 100 code lines", "at most 1", "0", "met"],
        ["branch points per 100 code lines", "at most 15", "0", "met"],
        ["docstring lines per 100 code lines", "at least 30", "0", "not met"],
        ["complexity", "at most 15", "0", "met"],
        ["parameters", "at most 12", "0", "met"],
    ]


def test_a_target_for_functions_is_judged_by_the_function_that_has_most_of_it(tmp_path: Path) -> None:
    many = ", ".join(f"p{number}" for number in range(13))
    text = (
        f"def few(a): ...\ndef most({many}):\n    if p1: pass\nclass Owner:\n    def __init__(self, {many}, p13): ...\n"
    )
    found = {verdict.text: verdict for verdict in house.verdicts(snippet(tmp_path, text))}
    assert found["parameters"] == house.Verdict("parameters", "at most 12", 13, "snippet.most", met=False)
    assert found["complexity"] == house.Verdict("complexity", "at most 15", 2, "snippet.most", met=True)


def test_the_targets_of_the_core_are_in_the_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    house.main(["--check", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [target["text"] for target in found["targets"]] == [limit.text for limit in LIMITS.values()]
    core = found["packages"][0]
    assert (found["targets"][0]["measured"], found["targets"][0]["met"]) == (core["code"], core["code"] <= 11_300)
