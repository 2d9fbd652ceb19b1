"""`sweep`: a map of what a function survives, with one simulation or two for each combination of options.

Cells know nothing of each other, so they are computed in several processes. A process imports the function by its name,
with policies of its own: those of this process cannot be sent to it.
"""

from __future__ import annotations

import importlib
import math
import multiprocessing
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from resilience._runtime.callables import name_of
from resilience.simulation._axes import Axis, parse_axes
from resilience.simulation._judgement import judge_cell
from resilience.simulation._map import Cell, PlanMap
from resilience.simulation._scenario import Disturbance, Outage, Pause, Resize, Scenario, Slowdown, Surge
from resilience.simulation._variants import OPTIONS, options_of, variant

__all__ = ["combinations", "sweep", "trouble_of"]

Progress = Callable[[int, int], object]
"""Called with the number of cells that are done, and of all."""


def sweep(
    function: Callable[..., object],
    scenario: Scenario,
    axes: str | Sequence[Axis],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> PlanMap:
    """Simulate *function* in *scenario* with every combination of the values of *axes*, and return the map.

    *axes* are one or two, or a text that describes them, such as ``"attempts=1..5,timeout=.2..2"``: see `parse_axes`.
    Options of the function's own stack are changed in copies of it. The simulations run in *jobs* processes, as many as
    there are processors unless given; in this one where *function* cannot be imported by its name. The same scenario
    gives the same map, however many processes there are.

    Raises ValueError for an option that *function* does not have, TypeError for a function without policies.

    >>> from resilience import retry_on_category, timeout
    >>> from resilience.simulation import Slowdown
    >>> @retry_on_category(attempts=3)
    ... @timeout(1.0)
    ... async def search(query: str) -> str:
    ...     return query
    >>> slow = Scenario(rps=20, workers=3, duration=30, events=(Slowdown(at=5, lasts=10, speed=0.2),))
    >>> [cell.verdict for cell in sweep(search, slow, "attempts=1|3").cells]
    ['safe', 'metastable']
    """
    if isinstance(axes, str):
        axes = parse_axes(axes)
    wanted = combinations(axes)
    variant(function, {name: value for name, value in wanted[0].items() if name in OPTIONS})  # fails here, not later
    cells: dict[int, Cell] = {}
    for number, cell in _cells(function, scenario, wanted, jobs or os.cpu_count() or 1):
        cells[number] = cell
        if progress is not None:
            progress(len(cells), len(wanted))
    return PlanMap(
        name_of(function),
        axes,
        [cells[number] for number in range(len(wanted))],
        _shown_scenario(scenario, axes),
        trouble_of(scenario.events),
        _now(function, scenario, axes),
    )


def combinations(axes: Sequence[Axis]) -> Sequence[Mapping[str, float]]:
    """Return all combinations of the values of *axes*, the first one varying fastest.

    >>> from resilience.simulation._axes import parse_axes
    >>> [list(each.values()) for each in combinations(parse_axes("attempts=1..2,timeout=1|2"))]
    [[1, 1.0], [2, 1.0], [1, 2.0], [2, 2.0]]
    """
    found: list[dict[str, float]] = [{}]
    for axis in reversed(axes):
        found = [{axis.name: value, **rest} for rest in found for value in axis.values]
    return found


def _cells(
    function: Callable[..., object], scenario: Scenario, wanted: Sequence[Mapping[str, float]], jobs: int
) -> Iterator[tuple[int, Cell]]:
    """Yield the cells with their numbers, as they are done."""
    name = _importable_name(function)
    if jobs == 1 or name is None:
        for number, options in enumerate(wanted):
            yield number, judge_cell(function, scenario, options)
        return
    # Spawned, not forked: the application may have threads.
    with ProcessPoolExecutor(min(jobs, len(wanted)), multiprocessing.get_context("spawn")) as pool:
        futures = {
            pool.submit(_judge_by_name, *name, scenario, options): number for number, options in enumerate(wanted)
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def _importable_name(function: Callable[..., object]) -> tuple[str, str] | None:
    """Return module and name by which another process finds *function*; None where it would find another or none."""
    module, name = getattr(function, "__module__", "__main__"), getattr(function, "__qualname__", "<locals>")
    if module == "__main__" or "<" in name:
        return None
    try:
        found = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError):
        return None
    return (module, name) if found is function else None


def _judge_by_name(module: str, name: str, scenario: Scenario, options: Mapping[str, float]) -> Cell:
    """Return the cell of a function that this process imports. Runs in a process of the pool."""
    function = operator.attrgetter(name)(importlib.import_module(module))
    return judge_cell(function, scenario, options)


def _now(function: Callable[..., object], scenario: Scenario, axes: Sequence[Axis]) -> Mapping[str, float]:
    """Return the options of the *axes* as they are."""
    known: dict[str, object] = {**vars(scenario), **options_of(function)}
    found = {axis.name: known.get(axis.name) for axis in axes}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _shown_scenario(scenario: Scenario, axes: Sequence[Axis]) -> Mapping[str, str]:
    """Return what a reader has to know of *scenario*, without what varies."""
    assert scenario.capacity is not None
    assert scenario.in_time is not None
    texts = {
        "rps": ("Calls", f"{scenario.rps:g} a second"),
        "clients": ("Clients", f"{scenario.clients}, each with circuits and budgets of its own"),
        "capacity": ("Capacity", f"{scenario.capacity:g} requests a second, {scenario.workers} at a time"),
        "latency": ("Latency", f"p50 {scenario.latency.p50 * 1000:g} ms, p99 {scenario.latency.p99 * 1000:g} ms, idle"),
        "queue": (
            "Queue",
            "any length" if scenario.queue is None else f"{scenario.queue} requests, others are refused",
        ),
        "in_time": ("In time", f"within {scenario.in_time:g} s"),
        "duration": ("Run", f"{scenario.duration:g} s, seed {scenario.seed}"),
    }
    varied = {axis.name for axis in axes}
    shown = {name: text for option, (name, text) in texts.items() if option not in varied}
    return {"Trouble": trouble_of(scenario.events), **shown}


_QUEUE = {None: "any length"}


def trouble_of(events: Sequence[Disturbance]) -> str:
    """Return the *events* in words, as they stand after "it never comes back from".

    >>> trouble_of([Outage(at=30, lasts=60), Slowdown(at=90, lasts=30, speed=0.5)])
    'an outage of 60 s and 0.5x the speed for 30 s'
    """
    return " and ".join(_WORDS[type(event)](event) + _length(event) for event in events) or "no trouble"


def _length(event: Disturbance) -> str:
    """Return how long *event* lasts, with its preposition."""
    if event.lasts == math.inf:
        return " for good"
    joint = " of" if isinstance(event, Outage | Pause) else " for"
    return f"{joint} {event.lasts:g} s"


_WORDS: Mapping[type[Disturbance], Callable[[Any], str]] = {
    Outage: lambda event: "an outage" if event.mode == "refuse" else "an outage in which requests hang,",
    Slowdown: lambda event: f"{event.speed:g}x the speed",
    Resize: lambda event: f"{event.workers:g}x the workers",
    Pause: lambda event: "a pause" if event.every is None else f"every {event.every:g} s a pause",
    Surge: lambda event: f"{event.times:g}x the calls",
}
