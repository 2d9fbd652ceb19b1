"""Hedges under load, by the simulation of `benchmarks.load.hedge`, with fewer calls than it makes."""

from __future__ import annotations

import json

import pytest

from benchmarks.load import hedge

pytestmark = pytest.mark.slow
CALLS = 5000


@pytest.mark.parametrize("utilisation", [0.3, 0.8])
def test_the_slowest_calls_are_less_than_half_as_slow_for_five_per_cent_more_calls(utilisation: float):
    none = hedge.simulate(None, utilisation, CALLS)
    ours = hedge.simulate(hedge.POLICIES[hedge.OURS], utilisation, CALLS)
    assert ours.p99 <= 0.45 * none.p99
    assert ours.requests <= 1.055


@pytest.mark.parametrize(("stops", "most"), [(True, 1.05), (False, 1.25)])
def test_servers_that_are_busy_are_left_alone(stops: bool, most: float):
    none = hedge.simulate(None, 0.95, CALLS, stops=stops)
    ours = hedge.simulate(hedge.POLICIES[hedge.OURS], 0.95, CALLS, stops=stops)
    assert ours.p50 <= most * none.p50


def test_a_run_is_the_same_each_time():
    runs = [hedge.simulate(hedge.POLICIES[hedge.OURS], 0.5, 500) for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_command_prints_a_document(capsys: pytest.CaptureFixture[str]):
    hedge.main(["--calls", "100", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"cancelled requests are stopped", "cancelled requests are served to their end"}
    assert set(document["cancelled requests are stopped"]["0.8"]) == set(hedge.POLICIES)
