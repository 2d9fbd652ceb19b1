"""The simulations of circuits and throttles: a short one shows what the long ones do, and what is worse is named."""

from __future__ import annotations

import copy
import math

import pytest

from benchmarks.load import breaker, throttle


@pytest.fixture(scope="module")
def circuits() -> breaker.Document:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(breaker, "_STEADY", 20)
        patch.setattr(breaker, "_AFTER", 40)
        patch.setattr(breaker, "_SEEDS", [1])
        return breaker.find()


def test_a_partial_circuit_shows_what_it_must_also_in_a_short_simulation(circuits: breaker.Document):
    assert breaker.complaints(circuits) == []


def test_a_run_with_the_same_seed_is_the_same():
    first, second = (breaker.Run(breaker.CIRCUITS[breaker.OURS](), 50, 3).play((20, 0.3)) for _ in range(2))
    assert first.seconds == second.seconds


def test_each_figure_that_is_worse_is_named(circuits: breaker.Document):
    worse = copy.deepcopy(circuits)
    for row in [*worse["steady"], *worse["outage"], *worse["background"]]:
        row.update({key: value for key, value in BAD.items() if key in row})
    rates = 2
    assert len(breaker.complaints(worse)) == rates * (3 + 1 + 1 + 2)


BAD = {"succeeded": 0.1, "let_through": 0.06, "recovery": math.inf, "shed": 0.003}


def test_the_table_has_a_row_for_each_circuit_and_rate(circuits: breaker.Document):
    head, body = breaker.rows(circuits)
    assert len(body) == len(breaker.CIRCUITS) * 2
    assert {len(row) for row in body} == {len(head)}


def test_throttles_show_what_they_must(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(throttle, "THROTTLES", {throttle.OURS: throttle.THROTTLES[throttle.OURS]})
    document = throttle.find()
    assert throttle.complaints(document) == []
    head, (row,) = throttle.rows(document)
    assert len(row) == len(head)
    document[throttle.OURS].update({"recovery": 11.0, "served at 60/s": 0.9, "shed": 0.003})
    assert len(throttle.complaints(document)) == 3
