"""Every HTTP client does the same in the same situation: categories, calls, waits, bodies."""

from __future__ import annotations

import pytest

from tests.clients.conformance import Driver, Row, differences, observe
from tests.clients.drivers import DRIVERS
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
