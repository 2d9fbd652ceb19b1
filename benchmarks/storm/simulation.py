"""One simulation: a strategy of any library in a scene, on the toolkit's simulator."""

from __future__ import annotations

from unittest import mock

from benchmarks.storm.dependency import Scene
from benchmarks.storm.strategies import Strategy, logging_disabled
from resilience.clock import current_clock
from resilience.simulation import Simulation, simulate_wrapped

__all__ = ["simulate"]

_SEED = 1


def simulate(strategy: Strategy, scene: Scene, clients: int | None = None) -> Simulation:
    """Simulate *strategy* in *scene*, with its own number of clients or another."""
    scenario = scene.scenario(clients or strategy.clients, strategy.processes, _SEED)
    # tenacity, and stamina with it, measure their elapsed time by `time.monotonic`.
    with logging_disabled(), mock.patch("time.monotonic", _now):
        return simulate_wrapped(strategy.wrap, scenario, name=strategy.name)


def _now() -> float:
    return current_clock().now()
