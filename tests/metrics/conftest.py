from __future__ import annotations

import pytest

from resilience.metrics.records import RECORDS


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch):
    """Nothing has been counted yet."""
    monkeypatch.setattr(RECORDS, "_records", {})
    monkeypatch.setattr(RECORDS, "_codes", set())
