"""The half-open table: ours is right throughout, every cell is found, and a scenario tells a bug where there is one."""

from __future__ import annotations

import asyncio
import inspect
import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import terms
from benchmarks.half_open import __main__ as command
from benchmarks.half_open import page
from benchmarks.half_open.__main__ import GROUPS, LIBRARIES, OURS, UNSUPPORTED, _logging_disabled, main
from benchmarks.half_open.bugs import BUGS
from benchmarks.half_open.libraries import load
from benchmarks.half_open.scenarios import ERROR, NOT_APPLICABLE, RIGHT, WRONG, Scenario
from benchmarks.half_open.terms import BLOCKS, RESET, TASKS, THREADS, THRESHOLD, Breaker, CallerBug, Clocks, Settings

ROOT = Path(__file__).parents[2]
ALL = [scenario for scenarios in GROUPS.values() for scenario in scenarios]
PEERS = [library for library in LIBRARIES if library is not OURS]

every_scenario = pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)


@pytest.fixture(autouse=True)
def quiet():
    with _logging_disabled():
        yield


def test_there_are_eight_and_their_names_differ():
    assert len(BUGS) == 8
    assert len({scenario.name for scenario in ALL}) == len(ALL)
    assert all(scenario.expected for scenario in ALL)


@every_scenario
def test_ours_is_right_in_every_style(scenario: Scenario):
    cell = scenario.run(OURS)
    assert [(finding.style, finding.verdict, finding.reason) for finding in cell.findings] == [
        (style, RIGHT, "") for style in scenario.styles
    ]


@every_scenario
@pytest.mark.parametrize("library", PEERS, ids=lambda library: library.NAME)
def test_every_cell_of_a_peer_has_a_verdict_with_a_reason(scenario: Scenario, library):
    cell = scenario.run(library)
    assert cell.verdict in (RIGHT, WRONG, NOT_APPLICABLE), cell
    assert all(finding.verdict != ERROR for finding in cell.findings), cell
    assert all(finding.reason for finding in cell.findings if finding.verdict != RIGHT), cell


# -- a breaker with one bug -------------------------------------------------------------------------------------------


class TinyOpen(Exception):
    pass


class Token:
    """The admission of a call."""

    def __init__(self, era: object) -> None:
        self.era = era


class Tiny:
    """A right breaker, except for the one bug it is made with."""

    def __init__(self, bug: str, settings: Settings, clocks: Clocks) -> None:
        self.bug, self.successes_wanted = bug, settings.successes
        self.now = clocks.wall if bug == "the-clock-steps-back" else clocks.monotonic
        self.leases = bug != "a-hung-probe-blocks-for-ever"
        self.move("closed")

    def move(self, state: str) -> None:
        self.state, self.era, self.until = state, object(), self.now() + RESET
        self.failures = self.successes = 0
        self.probes: dict[Token, float] = {}

    def admit(self) -> Token:
        now = self.now()
        if self.state == "open" and now >= self.until:
            self.move("half-open")
        token = Token(self.era)
        if self.leases:
            self.probes = {probe: until for probe, until in self.probes.items() if now < until}
        if self.state == "open" or self.probes:
            raise TinyOpen
        if self.state == "half-open":
            self.probes[token] = now + RESET
        return token

    def end(self, token: Token, error: BaseException | None) -> None:
        kind = self.kind(error)
        if token.era is not self.era:
            self.end_late(kind)
        elif self.state == "closed":
            self.failures += kind == "failure"
            if self.failures >= THRESHOLD:
                self.move("open")
        elif token in self.probes:
            self.end_probe(token, kind)

    def end_late(self, kind: str) -> None:
        if self.state != "half-open":
            return
        if kind == "success" and self.bug == "two-stale-successes-close-it":
            self.succeed()
        elif kind == "failure" and self.bug == "a-stale-failure-reopens-a-probing-one":
            self.move("open")
        elif kind != "failure" and self.bug == "stale-ignored-results-mint-extra-probes":
            self.probes.clear()

    def end_probe(self, token: Token, kind: str) -> None:
        bugs = {"fault": "an-unhandled-probe-error-closes-it", "cancelled": "a-cancelled-probe-closes-it"}
        if kind == "lost" and self.bug == "an-unreported-probe-wedges-it":
            self.probes[token] = float("inf")
            return
        del self.probes[token]
        if kind == "failure":
            self.move("open")
        elif kind == "success" or bugs.get(kind) == self.bug:
            self.succeed()

    def succeed(self) -> None:
        self.successes += 1
        if self.successes >= self.successes_wanted:
            self.move("closed")

    def kind(self, error: BaseException | None) -> str:
        kinds = {ConnectionError: "failure", CallerBug: "fault", asyncio.CancelledError: "cancelled"}
        if error is None:
            return "success"
        return next((kind for of, kind in kinds.items() if isinstance(error, of)), "lost")

    def __call__(self, function):
        async def async_guarded(*args):
            token = self.admit()
            try:
                value = await function(*args)
            except BaseException as error:
                self.end(token, error)
                raise
            self.end(token, None)
            return value

        def guarded(*args):
            token = self.admit()
            try:
                value = function(*args)
            except BaseException as error:
                self.end(token, error)
                raise
            self.end(token, None)
            return value

        return async_guarded if inspect.iscoroutinefunction(function) else guarded


class TinyLibrary:
    NAME = "tiny"
    DISTRIBUTIONS = ()
    STYLES = {THREADS: "", TASKS: ""}
    LACKS = {"blocks": "has no block"}

    def __init__(self, bug: str = "") -> None:
        self.bug = bug

    def patch_clock(self, clocks: Clocks):
        return nullcontext()

    def breaker(self, style: str, settings: Settings, clocks: Clocks) -> Breaker:
        tiny = Tiny(self.bug, settings, clocks)
        return Breaker(tiny, lambda: tiny.state, TinyOpen, (settings.caller_bug,))


@pytest.mark.parametrize("bug", ["", *(scenario.name for scenario in BUGS)])
def test_a_breaker_with_one_bug_is_found_wrong_in_that_and_nothing_else(bug: str):
    verdicts = {scenario.name: scenario.run(TinyLibrary(bug)).verdict for scenario in BUGS}
    assert verdicts == {scenario.name: WRONG if scenario.name == bug else RIGHT for scenario in BUGS}


def test_a_wrong_cell_names_what_happened_in_which_style():
    cell = next(scenario for scenario in BUGS if scenario.name == "a-cancelled-probe-closes-it").run(
        TinyLibrary("a-cancelled-probe-closes-it")
    )
    assert [(finding.style, finding.reason) for finding in cell.findings] == [(TASKS, "closed after a cancelled probe")]


class NeverOpens(TinyLibrary):
    def breaker(self, style: str, settings: Settings, clocks: Clocks) -> Breaker:
        return Breaker(lambda function: function, lambda: "closed", TinyOpen, (settings.caller_bug,))


class OpenInName(TinyLibrary):
    """It reports that it is open, and admits every call."""

    def breaker(self, style: str, settings: Settings, clocks: Clocks) -> Breaker:
        calls = []

        def guard(function):
            def guarded(*args):
                calls.append(args)
                return function(*args)

            return guarded

        return Breaker(guard, lambda: "open" if len(calls) >= 2 else "closed", TinyOpen, (settings.caller_bug,))


@pytest.mark.parametrize(
    ("library", "said"),
    [
        (NeverOpens(), "SetupError: it is closed, and should be open"),
        (OpenInName(), "SetupError: it is open and admits a call"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_scenario_that_does_not_get_the_circuit_open_is_an_error_not_a_verdict(library, said: str):
    cell = next(scenario for scenario in BUGS if scenario.name == "a-hung-probe-blocks-for-ever").run(library)
    assert cell.verdict == ERROR
    assert cell.findings[0].reason == said


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_page_holds_the_tables_of_the_results_that_are_kept():
    kept = json.loads((ROOT / "benchmarks" / "results" / "half_open.json").read_text(encoding="utf-8"))
    assert page.markdown(kept) in (ROOT / "docs" / "benchmarks" / "half-open.md").read_text(encoding="utf-8")
    assert {row["name"] for rows in kept["groups"].values() for row in rows} == {scenario.name for scenario in ALL}
    assert all(row["cells"]["ours"]["verdict"] == RIGHT for rows in kept["groups"].values() for row in rows)


def test_the_command_writes_results_and_table_and_keeps_what_is_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    results, written = tmp_path / "half_open.json", tmp_path / "half-open.md"
    written.write_text(f"above\n\n{page._BEGIN}\nold\n{page._END}\nbelow\n", encoding="utf-8")
    monkeypatch.setattr(page, "_RESULTS", results)
    monkeypatch.setattr(page, "_PAGE", written)
    monkeypatch.setattr(command, "UNSUPPORTED", {})
    assert main([]) == 0
    found = json.loads(results.read_text(encoding="utf-8"))
    table = page.markdown(found)
    assert written.read_text(encoding="utf-8") == f"above\n\n{page._BEGIN}\n\n{table}\n{page._END}\nbelow\n"
    assert capsys.readouterr().out == f"{table}\n{page.reasons(found)}"


def test_the_command_writes_no_files_where_a_library_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    results = tmp_path / "half_open.json"
    monkeypatch.setattr(page, "_RESULTS", results)
    monkeypatch.setattr(command, "UNSUPPORTED", {"later": "needs Python 3.99"})
    assert main([]) == 0
    written = capsys.readouterr()
    assert "| ours |" in written.out
    assert written.err == "writes no files: later needs Python 3.99\n"
    assert not results.exists()


def test_a_library_that_needs_a_later_python_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(terms._LATER_PYTHON, "redress", (3, 99))
    found, unsupported = load(["nopanic", "redress", "ours"])
    assert [library.NAME for library in found] == ["nopanic", "ours"]
    assert unsupported == {"redress": "needs Python 3.99"}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.NAME)
def test_a_reason_why_something_does_not_apply_names_a_style_or_a_scenario(library):
    assert set(library.LACKS) <= {THREADS, BLOCKS, TASKS, *(scenario.name for scenario in ALL)}


def test_every_library_has_a_column_in_the_results_that_are_kept():
    kept = json.loads((ROOT / "benchmarks" / "results" / "half_open.json").read_text(encoding="utf-8"))
    assert {library.NAME for library in LIBRARIES} | set(UNSUPPORTED) == set(kept["libraries"])


def test_a_page_without_markers_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    results, written = tmp_path / "half_open.json", tmp_path / "half-open.md"
    written.write_text("by hand\n", encoding="utf-8")
    monkeypatch.setattr(page, "_RESULTS", results)
    monkeypatch.setattr(page, "_PAGE", written)
    with pytest.raises(ValueError, match=r"half-open\.md: the markers"):
        page.write({"python": "3", "versions": {}, "libraries": [], "groups": {}})
    assert written.read_text(encoding="utf-8") == "by hand\n"
    assert not results.exists()


@pytest.mark.parametrize("few", [(TinyLibrary("a-hung-probe-blocks-for-ever"),), (NeverOpens(),)])
def test_the_command_fails_where_ours_is_wrong_or_a_scenario_gets_nowhere(
    few, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(command, "OURS", few[0])
    found = page.document(few, {"The eight": {scenario: [scenario.run(few[0])] for scenario in BUGS}})
    monkeypatch.setattr(command, "run_all", lambda: found)
    assert main(["--json"]) == 1
    heard = capsys.readouterr()
    assert json.loads(heard.out) == found
    assert "a hung probe blocks for ever: tiny: " in heard.err


def test_the_list_says_what_must_happen(capsys: pytest.CaptureFixture[str]):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {scenario.name}\n    {scenario.expected}" in listed for scenario in ALL)
