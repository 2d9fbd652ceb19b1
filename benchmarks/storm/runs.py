"""All simulations, several at a time."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, NamedTuple

from benchmarks.storm.dependency import OUTAGE, OVERLOAD, RANDOM, Scene
from benchmarks.storm.page import Document, document, entry
from benchmarks.storm.simulation import simulate
from benchmarks.storm.strategies import BUDGET, NO_BUDGET, STRATEGIES

__all__ = ["find"]

_SCENES: Mapping[str, Scene] = {"outage": OUTAGE, "overload": OVERLOAD}
_LONGEST = ("stamina", "tenacity")


class _Job(NamedTuple):
    """A simulation, by indices: a decorator cannot be sent to another process."""

    group: str
    strategy: int
    scene: int = 0

    @property
    def name(self) -> str:
        return STRATEGIES[self.strategy].name


def find(jobs: int) -> Document:
    """Run all simulations, *jobs* at a time, and report each on stderr."""
    plan = [
        _Job(group, place)
        for group in _SCENES
        for place, strategy in enumerate(STRATEGIES)
        if strategy.shown or group == "outage"
    ]
    pair = [STRATEGIES.index(BUDGET), STRATEGIES.index(NO_BUDGET)]
    plan += [_Job("random", place, scene) for scene in range(len(RANDOM)) for place in pair]
    found: dict[_Job, dict[str, Any]] = {}
    # Spawned, not forked: the patches of one simulation must not affect another.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        # The longest first: the last one to end should be short.
        order = sorted(plan, key=lambda job: job.name not in _LONGEST)
        futures = {pool.submit(_run, job): job for job in order}
        for done, future in enumerate(as_completed(futures), 1):
            job = futures[future]
            found[job], took = future.result()
            print(f"{done}/{len(plan)} {job.group}: {job.name}, {took:.0f} s", file=sys.stderr)
    rows = {group: [found[job] for job in plan if job.group == group] for group in (*_SCENES, "random")}
    return document(rows, {name: _durations(scene) for name, scene in _SCENES.items()})


def _run(job: _Job) -> tuple[dict[str, Any], float]:
    strategy = STRATEGIES[job.strategy]
    began = time.perf_counter()
    scene = RANDOM[job.scene] if job.group == "random" else _SCENES[job.group]
    return entry(strategy, scene, simulate(strategy, scene)), time.perf_counter() - began


def _durations(scene: Scene) -> dict[str, float]:
    names = ("healthy", "trouble", "after", "full", "meanwhile", "back", "backlog")
    return {name: getattr(scene, name) for name in names}
