"""A scenario and a guarded function as the analytic screen takes them: `screen_function`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from resilience.simulation._callers import callers_of
from resilience.simulation._latency import Latency
from resilience.simulation._scenario import Disturbance, Outage, Pause, Resize, Scenario, Slowdown, Surge
from resilience.simulation._screen import Callers, Phase, Screening, Server, screen

__all__ = ["callers_in", "phases_of", "scenario_with", "screen_function", "server_of"]

_P99 = 2.3263478740408408  # the 99th percentile of the standard normal distribution


def scenario_with(scenario: Scenario, **options: Any) -> Scenario:
    """Return *scenario* with other *options*; the number of workers follows from the capacity."""
    kept = {name: value for name, value in vars(scenario).items() if name != "workers"}
    return Scenario(**{**kept, **options})


def server_of(scenario: Scenario) -> Server:
    """Return the server of *scenario*."""
    assert scenario.capacity is not None
    assert scenario.workers is not None
    latency = scenario.latency
    # The workers are a whole number; how long each works makes up for what rounding took or gave.
    stretch = scenario.workers / (scenario.capacity * latency.mean)
    queue = math.inf if scenario.queue is None else float(scenario.queue)
    return Server(scenario.capacity, latency.p50 * stretch, _sigma_of(latency), scenario.workers, queue)


def _sigma_of(latency: Latency) -> float:
    """Return the standard deviation of the latency's logarithm: ln(p99 / p50) is 2.33 of them in a lognormal one."""
    return math.log(latency.p99 / latency.p50) / _P99


def callers_in(function: object, scenario: Scenario) -> Callers:
    """Return the callers of *function* in *scenario*."""
    return callers_of(function, scenario.rps, scenario.clients, _client_timeout_of(scenario))


def _client_timeout_of(scenario: Scenario) -> float:
    """Return the seconds of the client library's own time limit; infinity without one."""
    if scenario.client_timeout is None:
        return math.inf
    assert isinstance(scenario.client_timeout, float | int)
    return float(scenario.client_timeout)


def phases_of(events: Sequence[Disturbance]) -> Sequence[Phase]:
    """Return the *events* of a scenario as the screen takes them; of a pause that is repeated, the first one."""
    return [_PHASES[type(event)](event) for event in events]


_PHASES: dict[type[Disturbance], Callable[[Any], Phase]] = {
    Outage: lambda event: Phase(event.at, event.ends, down=True, refuses=event.mode == "refuse"),
    Slowdown: lambda event: Phase(event.at, event.ends, speed=event.speed),
    Resize: lambda event: Phase(event.at, event.ends, workers=event.workers),
    Pause: lambda event: Phase(event.at, event.at + event.lasts, speed=0.0),
    Surge: lambda event: Phase(event.at, event.ends, times=event.times),
}


def screen_function(function: object, scenario: Scenario) -> Screening:
    """Return what the analytic screen says of *function* in *scenario*: at which loads the dependency can stay.

    A dependency that fails gets more requests, those of the retries: ``load = calls * (1 + retries(failing(load)))``.
    *failing* is the share of attempts that take longer than the time limit under that load, by the theory of queues
    (M/G/c), and all above the capacity; *retries* are p + p^2 + ... for as many as the stack makes, bounded by its
    budget. One solution is a safe function, two stable ones a vulnerable one; whether the trouble of *scenario* leads
    to the bad one is found by following it as a fluid. Hedges and throttles are left out. The formula is that of
    Bronson et al., HotOS 2021; arXiv:2510.03551 has the theory.

    Raises TypeError for a function that no policy guards.

    >>> from resilience import retry_on_category, timeout
    >>> @retry_on_category(attempts=3)
    ... @timeout(1.0)
    ... def search(query: str) -> str:
    ...     return query
    >>> scenario = Scenario(rps=1000, capacity=2400, events=(Slowdown(at=30, lasts=30, speed=0.3),))
    >>> screen_function(search, scenario).verdict
    'metastable'
    """
    return screen(server_of(scenario), callers_in(function, scenario), phases_of(scenario.events), scenario.duration)
