"""The simulations of load: what ours has to show, the page, and the simulated users."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import bulkhead, page
from benchmarks.load.__main__ import main, tables
from benchmarks.load.picture import svg
from benchmarks.load.table import Table, markdown

pytestmark = pytest.mark.slow  # a command for developers

ROOT = Path(__file__).parents[2]
TABLES = tables()


def kept(table: Table) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / f"load-{table.name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate five seconds in place of a minute."""
    monkeypatch.setattr(bulkhead, "SECONDS", 5)


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_page_and_its_picture_hold_the_results_that_are_kept(table: Table):
    found = kept(table)
    assert markdown(table, found) in (ROOT / "docs" / "benchmarks" / "load.md").read_text(encoding="utf-8")
    if table.draw is not None:
        text = svg(table.draw(found), table.name)
        assert text == svg(table.draw(found), table.name)
        assert (ROOT / "docs" / "benchmarks" / f"load-{table.name}.svg").read_text(encoding="utf-8") == text
        ET.fromstring(text)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_results_that_are_kept_show_what_ours_has_to_show(table: Table):
    assert table.complaints(kept(table)) == []


def test_a_goodput_below_its_limit_and_a_late_answer_are_complained_of():
    found = kept(bulkhead.TABLE)
    ours = next(row for row in found["rows"] if row["name"] == bulkhead.OURS.name)
    ours["cells"][1] |= {"goodput": 0.9, "p99": 0.7}
    assert bulkhead.TABLE.complaints(found) == [
        "queues: at 1.1x ours does 0.9000 of the capacity, not 0.98",
        "queues: at 1.1x the p99 of ours is 0.7 s",
    ]


# -- what is simulated ------------------------------------------------------------------------------------------------


def test_a_simulation_gives_the_same_numbers_again(few_seconds: None):
    first, second = (bulkhead.simulate(bulkhead.OURS, 1.5) for _ in range(2))
    assert first == second
    assert sum(first.begun) == 1.5 * bulkhead.CAPACITY * 5


@pytest.mark.parametrize("load", [1.5, 3.0])
def test_under_overload_ours_answers_what_the_slots_can_do_and_a_queue_without_a_bound_does_not(
    few_seconds: None, load: float
):
    ours, unbounded = (bulkhead.simulate(queue, load) for queue in (bulkhead.OURS, bulkhead.QUEUES[0]))
    assert ours.goodput > 0.97
    assert max(ours.waits) <= bulkhead.PATIENCE
    assert unbounded.answered[-1] < 20


def test_an_idle_service_answers_every_call_whatever_its_queue(few_seconds: None):
    for queue in bulkhead.QUEUES:
        outcome = bulkhead.simulate(queue, 0.3)
        assert sum(outcome.answered) >= sum(outcome.begun) - 10  # those at the end are not waited for
        assert max(outcome.waits) < 0.2


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_prints_tables_or_json_and_draws_where_it_is_told(
    few_seconds: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bulkhead, "LOADS", (0.9, 1.5))
    main(["--table", "bulkhead", "--plot", str(tmp_path)])
    printed = capsys.readouterr()
    assert printed.out.startswith("## Queues\n\n| queue | 0.9x | 1.5x |\n")
    assert "Queues: bulkhead() as it comes, 1.5x" in printed.err
    ET.parse(tmp_path / "load-bulkhead.svg")
    main(["--table", "bulkhead", "--json"])
    assert json.loads(capsys.readouterr().out)["bulkhead"]["capacity"] == 200


def test_writing_keeps_what_is_around_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, file in {"_PAGE": "load.md", "_RESULTS": ".", "_DOCS": "."}.items():
        monkeypatch.setattr(page, name, tmp_path / file)
    table, found = bulkhead.TABLE, kept(bulkhead.TABLE)
    text = "above\n\n<!-- bulkhead: begin -->\nold\n<!-- bulkhead: end -->\nbelow\n"
    (tmp_path / "load.md").write_text(text, encoding="utf-8")
    page.write(table, found)
    written = (tmp_path / "load.md").read_text(encoding="utf-8")
    assert written == text.replace("\nold\n", f"\n\n{markdown(table, found)}\n")
    assert json.loads((tmp_path / "load-bulkhead.json").read_text(encoding="utf-8")) == {"format": "load", **found}
    assert (tmp_path / "load-bulkhead.svg").read_text(encoding="utf-8").startswith("<?xml")
    (tmp_path / "load.md").write_text("by hand\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the markers <!-- bulkhead: begin -->"):
        page.write(table, found)
