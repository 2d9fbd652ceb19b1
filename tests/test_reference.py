"""What the documentation says of events and metrics is what their classes declare."""

from __future__ import annotations

import pathlib

import pytest

from tests import reference

AGAIN = "out of date: run `uv run python -m tests.reference`"


@pytest.mark.parametrize("path", reference.PAGES, ids=lambda path: path.name)
def test_the_table_of_a_page_is_what_the_classes_declare(path: pathlib.Path):
    assert path.read_text("utf-8") == reference.page(path), AGAIN


def test_the_dashboard_has_a_panel_for_each_counter_of_an_event():
    assert reference.DASHBOARD.read_text("utf-8") == reference.dashboard(), AGAIN
