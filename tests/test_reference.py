"""The documentation of events and metrics agrees with the declarations of their classes."""

from __future__ import annotations

import pathlib
import re

import pytest

from resilience.events import event_types
from tests import reference

AGAIN = "out of date: run `uv run python -m tests.reference`"


@pytest.mark.parametrize("path", reference.PAGES, ids=lambda path: path.name)
def test_the_table_of_a_page_is_what_the_classes_declare(path: pathlib.Path):
    assert path.read_text("utf-8") == reference.page(path), AGAIN


@pytest.mark.parametrize("path", sorted(reference.DOCS.glob("*.md")), ids=lambda path: path.name)
def test_the_events_in_the_table_of_a_policys_page_exist(path: pathlib.Path):
    _, _, section = path.read_text("utf-8").partition("\n## Events\n")
    section, _, _ = section.partition("\n## ")
    assert set(re.findall(r"`([a-z_]+\.[a-z_]+)`", section)) <= {kind.name for kind in event_types()}


def test_the_dashboard_has_a_panel_for_each_counter_of_an_event():
    assert reference.DASHBOARD.read_text("utf-8") == reference.dashboard(), AGAIN
