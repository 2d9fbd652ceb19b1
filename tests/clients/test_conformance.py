"""Every HTTP client does the same in the same situation: categories, calls, waits, bodies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conformance import Driver, Row, differences, observe
from tests.clients.drivers import DRIVERS
from tests.clients.peers import PEERS
from tests.clients.rows import ROWS


def _cases() -> list[object]:
    cases: list[object] = []
    for driver in DRIVERS:
        for row in ROWS:
            if row.needs <= driver.features:
                marks = [pytest.mark.slow] if row.slow else []
                cases.append(pytest.param(driver, row, id=f"{driver.name}: {row.name}", marks=marks))
    return cases


@pytest.mark.parametrize(("driver", "row"), _cases())
def test_it_does_as_the_matrix_says(driver: Driver, row: Row) -> None:
    assert [*differences(row, observe(driver, row), driver.error_root)] == []


def test_the_matrix_has_more_than_forty_rows_with_names_of_their_own() -> None:
    names = [row.name for row in ROWS]
    assert len(names) > 40 and len(set(names)) == len(names)


def test_the_page_has_every_row_and_every_client() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks" / "clients.md").read_text("utf-8")
    assert [row.name for row in ROWS if f"| {row.name} |" not in page] == []
    assert [driver.name for driver in (*DRIVERS, *PEERS) if f"| {driver.name} " not in page] == []
    assert "**no**" not in page
