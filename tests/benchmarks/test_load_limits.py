"""The simulations of limits and priorities: short ones show what the long ones do, and what is worse is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.load import _laws, adaptive, priority, semian, standard

RESULTS = Path(adaptive.__file__).parents[1] / "results"


def kept(name: str) -> dict:
    return json.loads((RESULTS / f"load-{name}.json").read_text("utf-8"))


def test_an_adaptive_limit_does_what_half_of_the_servers_can_do():
    phases = [(3, 20, 0.05), (8, 10, 0.05), (5, 20, 0.05)]
    outcome = adaptive.simulate(adaptive.OURS, phases)
    assert outcome.per_second(6, 11) >= 0.9 * 200
    assert sum(outcome.refused[:3]) == 0
    assert outcome.back_in(11) in (1, 2)


@pytest.mark.parametrize(
    "law", [_laws.Aimd, _laws.Vegas, _laws.Gradient2, _laws.FailsafeGo], ids=lambda law: law.__name__
)
def test_the_laws_of_others_grow_in_health_and_shrink_when_calls_take_longer(law: Callable[[], _laws.Law]):
    found, now = law(), 0.0

    def play(took: float, seconds: float) -> int:
        nonlocal now
        end = now + seconds
        while now < end:
            now += 0.01
            found.record(now, took, found.limit, dropped=law is _laws.Aimd and took > 0.1, is_full=False)
        return found.limit

    grown = play(0.05, 20)
    assert grown > 20
    assert play(0.5, 12) < grown


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda ours: ours["halved"].update(per_second=193), "193 of 200 calls"),
        (lambda ours: ours["halved"].update(p50=0.2), "p50"),
        (lambda ours: ours["halved"].update(refused_in_health=1), "1 calls are refused"),
        (lambda ours: ours["halved"].update(back_in=6), "halved: back in 6"),
        (lambda ours: ours["slower"].update(back_in=None), "slower: back in None"),
        (lambda ours: ours["slower"].update(settled=280), "280 calls"),
    ],
    ids=["capacity", "p50", "refused", "late", "never", "slower"],
)
def test_what_an_adaptive_limit_does_worse_is_named(change: Callable[[dict], None], complaint: str):
    found = kept("adaptive")
    assert adaptive.complaints(found) == []
    change(found["rows"][-1])
    (said,) = adaptive.complaints(found)
    assert complaint in said


def test_a_spike_of_sheddable_calls_leaves_critical_ones_alone(monkeypatch: pytest.MonkeyPatch):
    for name, seconds in {"HEALTHY": 2, "TROUBLE": 4, "AFTER": 1}.items():
        monkeypatch.setattr(priority, name, seconds)
    monkeypatch.setattr(priority, "POLICIES", priority.POLICIES[:1])
    found = priority.find()
    assert priority.complaints(found) == []
    (row,) = found["rows"]
    assert row["without"]["critical"]["answered"] < 0.8


def test_a_policy_that_sheds_critical_calls_is_named():
    found = kept("priority")
    assert priority.complaints(found) == []
    worse = copy.deepcopy(found)
    worse["rows"][0]["with"]["critical"].update(answered=0.993)
    worse["rows"][2]["with"]["critical"].update(admitted=0.993)
    assert len(priority.complaints(worse)) == 2


def test_the_standard_stack_answers_what_its_retries_make_good(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(standard, "_STEADY", 20)
    monkeypatch.setattr(standard, "_FAILING", (0.2,))
    monkeypatch.setattr(standard, "_RATES", (20,))
    found = standard.find()
    assert standard.complaints(found) == []
    ours, partial = (row["steady"][0]["answered"] for row in found["rows"])
    assert ours > 0.95 > partial
    found["rows"][0]["steady"][0]["answered"] = 0.5
    assert len(standard.complaints(found)) == 1


def test_what_semian_does_better_is_named():
    found = kept("semian")
    assert semian.complaints(found) == []
    found["rows"][-1].update(succeeded=0.6, rejected_after=0.1, let_through=0.2)
    assert len(semian.complaints(found)) == 3
