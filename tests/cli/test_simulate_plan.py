"""`resilience simulate` with ``--sweep``, ``--find-trigger``, ``--advice`` and ``--replay``, in this process."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resilience.cli.main import main

MODULE = "planned_shop"
SHOP = """
    from resilience import retry_on_category, timeout
    from resilience.simulation import CallTrace

    trace = CallTrace("events.jsonl")

    @trace
    @retry_on_category(attempts=2, base_delay=0.001)
    @timeout(1.0)
    def search(query):
        if query == "lost":
            raise ConnectionResetError
        return query
"""
QUICK = ("--rps", "10", "--workers", "2", "--slow", "0.2x3s@3s", "--duration", "20s")


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with an application, as the current one."""
    (tmp_path / f"{MODULE}.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    module = sys.modules.pop(MODULE, None)
    if module is not None:
        module.trace.close()


def run(*arguments: str) -> int:
    return main(["simulate", f"{MODULE}:search", *arguments])


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(*arguments, "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_sweep_prints_the_conclusion_and_writes_the_page(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(*QUICK, "--sweep", "attempts=1|2", "--html", "plan.html", "--jobs", "1")
    out = capsys.readouterr().out
    assert code == 0
    assert out.startswith(f"As it is now (attempts 2), {MODULE}.search ")
    assert "attempts for each call" in out
    page = (shop / "plan.html").read_text()
    assert out.splitlines()[0] in page


def test_advice_has_what_to_set_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--advice", "--rps", "1000", "--capacity", "2400") == 0
    out = capsys.readouterr().out
    assert "pool\n" in out
    assert "Little's law" in out
    assert {each["subject"] for each in document(capsys, "--advice")["advice"]} >= {"budget", "largest load"}


def test_a_trace_is_replayed_and_compared_with_a_configuration(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = importlib.import_module(MODULE).search
    assert search("lamp") == "lamp"
    with pytest.raises(ConnectionResetError):
        search("lost")
    assert run("--replay", "events.jsonl") == 0
    assert "decide the same about all 2 calls" in capsys.readouterr().out
    (shop / "new.toml").write_text("[policies.search]\ntimeout = 2.0\n")
    assert run("--replay", "events.jsonl", "--with", "new.toml") == 0
    out = capsys.readouterr().out
    assert "1 of 2 calls" in out
    assert "network after 2 attempts -> network after 1 attempt" in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--html", "plan.html"), "--html belongs to --sweep"),
        (("--with", "new.toml"), "--with belongs to --replay"),
        (("--replay", "nothing.jsonl"), "nothing.jsonl cannot be read"),
        (("--sweep", "atempts=1..2"), "did you mean 'attempts'"),
        (("--sweep", "limit=1..2"), "has no option limit: give it a bulkhead"),
    ],
    ids=["html", "with", "no file", "misspelt", "no bulkhead"],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert reason in capsys.readouterr().err


def test_a_configuration_with_several_names_asks_for_one(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module(MODULE).search("lamp")
    (shop / "new.toml").write_text("[policies.search]\ntimeout = 2.0\n[policies.stock]\ntimeout = 2.0\n")
    assert run("--replay", "events.jsonl", "--with", "new.toml") == 2
    assert "the file has 2 names, search, stock: choose one by --policies" in capsys.readouterr().err
    assert run("--replay", "events.jsonl", "--with", "new.toml", "--policies", "stock") == 0


@pytest.mark.slow  # four kinds of trouble, a dozen simulations
def test_triggers_are_found_for_each_kind_of_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, *QUICK, "--find-trigger")
    assert [each["kind"] for each in found["triggers"]] == ["outage", "hang", "pause", "slow"]
