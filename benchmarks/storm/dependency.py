"""The scenes in which the simulated dependency is in trouble."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resilience.simulation import Disturbance, Failures, Latency, Outage, Scenario, Slowdown

__all__ = ["NETWORK", "OUTAGE", "OVERLOAD", "PATIENCE", "RANDOM", "Overloaded", "Scene"]

#: Seconds until a request times out.
PATIENCE = 1.0
#: Seconds that the network takes for a request with its response or rejection.
NETWORK = 0.01


@dataclass(frozen=True)
class Scene:
    """A scene: durations in seconds, rates and numbers for each client, which makes one call a second."""

    healthy: float
    trouble: float
    after: float
    #: The capacity in requests a second before, during (0: it is down) and after the trouble.
    full: float
    meanwhile: float
    back: float
    #: Requests that may wait; further ones are rejected.
    backlog: float
    #: The share of requests that fail at random, and their error.
    failing: float = 0.0
    failure: type[Exception] = ConnectionResetError

    @property
    def returns(self) -> float:
        """The second in which the trouble is over."""
        return self.healthy + self.trouble

    @property
    def end(self) -> float:
        return self.returns + self.after

    def scenario(self, clients: int, processes: int = 1, seed: int = 1) -> Scenario:
        """Return the scenario of so many *clients* in so many *processes*: one server that does one request at a time.

        Each client makes a call at a random moment of each second. A request is answered within `PATIENCE`, or fails.
        """
        return Scenario(
            rps=clients,
            workers=1,
            latency=Latency.constant(1 / (self.full * clients)),
            queue=round(self.backlog * clients),
            clients=processes,
            duration=self.end,
            events=tuple(self._events()),
            seed=seed,
            network=NETWORK,
            client_timeout=PATIENCE,
            in_time=math.inf,
            failing=self.failing,
            failures=Failures(random=self.failure),
            arrivals="regular",
            batch=1,
        )

    def _events(self) -> list[Disturbance]:
        events: list[Disturbance] = []
        if self.trouble and self.meanwhile:
            events.append(Slowdown(self.healthy, self.trouble, self.meanwhile / self.full))
        elif self.trouble:
            events.append(Outage(self.healthy, self.trouble))
        if self.back != self.full:
            events.append(Slowdown(self.returns, math.inf, self.back / self.full))
        return events


OUTAGE = Scene(healthy=10, trouble=60, after=60, full=2.4, meanwhile=0, back=1.2, backlog=5)
OVERLOAD = Scene(healthy=10, trouble=20, after=60, full=2.4, meanwhile=0.5, back=1.2, backlog=5)


class Overloaded(Exception):
    """The response of an overloaded server: 503, UNAVAILABLE."""

    status_code = 503


def _random(share: float, failure: type[Exception]) -> Scene:
    return Scene(60, 0, 0, full=10, meanwhile=10, back=10, backlog=10, failing=share, failure=failure)


#: A dependency with enough capacity that fails a share of the requests.
RANDOM = tuple(_random(share, failure) for failure in (ConnectionResetError, Overloaded) for share in (0.3, 0.6, 1.0))
