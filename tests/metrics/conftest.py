from __future__ import annotations

import pytest

from resilience.metrics._call_stats import CALL_STATS


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch):
    """Nothing has been counted yet."""
    monkeypatch.setattr(CALL_STATS, "_stats", {})
    monkeypatch.setattr(CALL_STATS, "_codes", set())
