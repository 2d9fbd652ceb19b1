"""The simulation of retry storms: the load of ours, recoveries, and the simulated dependency."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks.storm import page
from benchmarks.storm.__main__ import _exit_status, main
from benchmarks.storm.dependency import NETWORK, OUTAGE, OVERLOAD, PATIENCE, RANDOM, Scene
from benchmarks.storm.plot import svg
from benchmarks.storm.simulation import simulate
from benchmarks.storm.strategies import BUDGET, NO_BUDGET, NO_RETRY, STAMINA, STRATEGIES, Strategy
from resilience.simulation import Outage, Scenario, Series, Simulation
from resilience.simulation._server import Server
from resilience.simulation._virtual_loop import VirtualLoop, run_virtually

pytestmark = pytest.mark.slow  # thousands of simulated clients

ROOT = Path(__file__).parents[2]

#: The same in less time, and with fewer clients. The budget is the same: half a crowd shows twice of what it allows.
SHORT_OUTAGE = dataclasses.replace(OUTAGE, healthy=1, trouble=5, after=11)
SHORT_OVERLOAD = dataclasses.replace(OVERLOAD, healthy=1, trouble=6, after=17, back=1.5, backlog=3)


# -- ours -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scene", "most"),
    list(zip(RANDOM[:3], (1.2, 1.1, 1.02), strict=True)),
    ids=lambda value: f"{value.failing:.0%}" if isinstance(value, Scene) else "",
)
def test_with_a_budget_random_failures_hardly_add_to_the_load(scene: Scene, most: float):
    result = simulate(BUDGET, dataclasses.replace(scene, healthy=8), clients=1000)
    assert sum(result.series.arrivals) == 8000
    assert 1 < result.amplification < most


def test_with_a_budget_an_outage_adds_less_than_a_tenth_to_any_second_and_ends_when_it_ends():
    result = simulate(BUDGET, SHORT_OUTAGE, clients=500)
    assert 1 < result.peak_amplification <= 1.1
    assert result.recovery == 0


def test_after_an_overload_a_budget_recovers_when_no_retry_does_and_three_attempts_do_not():
    alone = simulate(NO_RETRY, SHORT_OVERLOAD, clients=100)
    none = simulate(NO_BUDGET, SHORT_OVERLOAD, clients=100)
    ours = simulate(BUDGET, SHORT_OVERLOAD, clients=500)
    assert alone.recovery is not None
    assert ours.recovery == pytest.approx(alone.recovery, abs=1)
    assert ours.peak_amplification <= 1.1
    assert none.recovery is None


# -- time, and the others ---------------------------------------------------------------------------------------------


def test_time_jumps_and_the_same_seed_gives_the_same_run():
    seen: list[Any] = []

    async def wait() -> None:
        from resilience.clock import current_clock

        await asyncio.sleep(3600)
        seen.append(
            (asyncio.get_running_loop().time(), current_clock().now(), current_clock().random(), random.random())
        )

    for _ in range(2):
        run_virtually(wait(), seed=1)
    assert seen[0] == seen[1]
    assert seen[0][:2] == (3600, 3600)


def test_a_simulation_that_would_wait_for_ever_says_so():
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="every task waits for another"):
        run_virtually(stuck(), seed=1)


def test_time_and_chance_are_the_machines_again_afterwards():
    before, state = time.monotonic, random.getstate()
    simulate(STAMINA, SHORT_OUTAGE, clients=1)
    assert time.monotonic is before
    assert random.getstate() == state


def test_stamina_makes_its_ten_attempts_before_its_time_limit_which_it_measures_in_virtual_time():
    dead = dataclasses.replace(OUTAGE, healthy=0, trouble=90, after=1)
    series = simulate(STAMINA, dead, clients=2).series
    assert series.share(series.sent, 45, 90) == pytest.approx(10, rel=0.05)


def test_a_bug_in_a_strategy_is_not_taken_for_a_failure_of_the_dependency():
    def broken(_: Any) -> Any:
        async def call() -> None:
            raise TypeError("misspelt")

        return call

    with pytest.raises(RuntimeError, match="calls"):
        simulate(Strategy("broken", "", broken), SHORT_OUTAGE, clients=1)


# -- the dependency ---------------------------------------------------------------------------------------------------

SERVER = Scene(healthy=10, trouble=10, after=10, full=2, meanwhile=0, back=1, backlog=5)


def ask(scene: Scene, *moments: float) -> list[tuple[str, float]]:
    """Return what requests at *moments* came to and when, of a dependency of one client."""
    said: list[tuple[str, float]] = []
    loop = VirtualLoop()
    dependency = Server(scene.scenario(1), loop, random.Random(1))

    async def one(moment: float) -> None:
        await asyncio.sleep(moment)
        try:
            await dependency.request()
        except Exception as error:
            said.append((type(error).__name__, round(loop.time(), 6)))
        else:
            said.append(("answered", round(loop.time(), 6)))

    async def all_of_them() -> None:
        dependency.schedule()
        await asyncio.gather(*map(one, moments))

    run_virtually(all_of_them(), 1, loop=loop)
    return said


def test_a_request_takes_what_the_server_and_the_network_take():
    assert ask(SERVER, 0) == [("answered", 0.5 + NETWORK)]
    assert ask(SERVER, 20) == [("TimeoutError", 20 + PATIENCE)]  # a second of work takes longer than the timeout


def test_requests_are_worked_off_in_turn_those_that_have_timed_out_as_well():
    fast = dataclasses.replace(SERVER, full=2.5)
    assert ask(fast, 0, 0.1, 0.2, 1.3) == [
        ("answered", 0.41),
        ("answered", 0.81),
        ("TimeoutError", 1.2),
        ("answered", 1.71),
    ]


def test_a_full_queue_and_a_dead_server_refuse():
    moments = [0.01 * number for number in range(7)]
    assert [what for what, _ in ask(SERVER, *moments)].count("ConnectionRefusedError") == 1
    assert ask(SERVER, 15) == [("ConnectionRefusedError", 15 + NETWORK)]


def test_what_waits_when_it_dies_is_lost_and_takes_no_time_afterwards():
    assert ask(dataclasses.replace(SERVER, back=2), 9.8, 9.9, 20) == [
        ("ConnectionResetError", 10 + NETWORK),
        ("ConnectionResetError", 10 + NETWORK),
        ("answered", 20.5 + NETWORK),
    ]


# -- the timeline -----------------------------------------------------------------------------------------------------


def diary_of(*shares: float) -> Simulation:
    length = len(shares) + 2
    scenario = Scenario(rps=100, workers=20, duration=length, events=(Outage(at=1, lasts=1),))
    series = Series.empty(length)
    series.arrivals = [100] * length
    series.answered = [100, 0, *(int(100 * share) for share in shares)]
    return Simulation("search", (), scenario, series, {}, None, 0)


@pytest.mark.parametrize(
    ("shares", "seconds"),
    [
        ([1.0] * 20, 0),
        ([0.0] * 20, None),
        ([0.0] * 4 + [1.0] * 16, 4),
        ([0.9] + [1.0] * 19, 0),  # 98 % of five seconds
        ([1.0] * 8 + [0.0] + [1.0] * 11, 9),  # it has to stay so
        ([1.0] * 15 + [0.0] * 5, 0),  # those may still be in flight
        ([1.0] * 14 + [0.0] * 6, None),
    ],
)
def test_recovery_is_when_calls_are_answered_and_stay_so(shares: list[float], seconds: int | None):
    assert diary_of(*shares).recovery == seconds


# -- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / "storm.json").read_text(encoding="utf-8"))


def test_the_page_and_its_picture_hold_the_results_that_are_kept(kept: dict[str, Any]):
    assert page.markdown(kept) in (ROOT / "docs" / "benchmarks" / "storm.md").read_text(encoding="utf-8")
    names = [row["name"] for row in kept["scenes"]["outage"]["rows"]]
    assert names == [strategy.name for strategy in STRATEGIES]
    shown = [strategy.name for strategy in STRATEGIES if strategy.shown]
    drawn = (ROOT / "docs" / "benchmarks" / "storm.svg").read_text(encoding="utf-8")
    assert all(f">{name}</text>" in drawn for name in shown)


def test_the_picture_of_the_same_results_is_the_same_text_and_is_xml(kept: dict[str, Any]):
    text = svg(kept)
    assert text == svg(kept)
    ET.fromstring(text)


def test_the_results_that_are_kept_are_what_is_promised(kept: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    assert _exit_status(kept) == 0
    kept = json.loads(json.dumps(kept))
    for scene in kept["scenes"].values():
        scene["rows"][1]["peak"] = 1.2
        scene["rows"][1]["recovery"] = 59
    assert _exit_status(kept) == 1
    assert "more than 1.1x" in capsys.readouterr().err


def test_the_command_writes_results_picture_and_tables_and_keeps_what_is_around_them(
    kept: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    files = {name: tmp_path / name for name in ("_RESULTS", "_PAGE", "_PLOT")}
    for name, file in files.items():
        monkeypatch.setattr(page, name, file)
    monkeypatch.setattr("benchmarks.storm.__main__.find", lambda jobs: kept)
    files["_PAGE"].write_text(f"above\n\n{page._BEGIN}\nold\n{page._END}\nbelow\n", encoding="utf-8")
    assert main(["--write"]) == 0
    table = page.markdown(kept)
    assert capsys.readouterr().out == table
    assert files["_PAGE"].read_text(encoding="utf-8") == f"above\n\n{page._BEGIN}\n\n{table}\n{page._END}\nbelow\n"
    assert json.loads(files["_RESULTS"].read_text(encoding="utf-8")) == kept
    assert len(files["_RESULTS"].read_text(encoding="utf-8").splitlines()) < 600  # a list of seconds is one line
    assert files["_PLOT"].read_text(encoding="utf-8").startswith("<?xml")


def test_without_write_nothing_is_written(
    kept: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(page, "_PAGE", tmp_path / "storm.md")  # there is none: writing would fail
    monkeypatch.setattr("benchmarks.storm.__main__.find", lambda jobs: kept)
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == kept


def test_a_page_without_markers_is_left_alone(kept: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page, "_PAGE", tmp_path / "storm.md")
    (tmp_path / "storm.md").write_text("by hand\n", encoding="utf-8")
    with pytest.raises(ValueError, match="the markers"):
        page.write(kept)
    assert (tmp_path / "storm.md").read_text(encoding="utf-8") == "by hand\n"
