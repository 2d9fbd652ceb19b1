"""The simulated dependency: a server with a capacity and a backlog, and the scenes in which it is in trouble."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

__all__ = ["NETWORK", "OUTAGE", "OVERLOAD", "PATIENCE", "RANDOM", "Dependency", "Overloaded", "Scene"]

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


OUTAGE = Scene(healthy=10, trouble=60, after=60, full=2.4, meanwhile=0, back=1.2, backlog=5)
OVERLOAD = Scene(healthy=10, trouble=20, after=60, full=2.4, meanwhile=0.5, back=1.2, backlog=5)


class Overloaded(Exception):
    """The response of an overloaded server: 503, UNAVAILABLE."""

    status_code = 503


def _random(share: float, failure: type[Exception]) -> Scene:
    return Scene(60, 0, 0, full=10, meanwhile=10, back=10, backlog=10, failing=share, failure=failure)


#: A dependency with enough capacity that fails a share of the requests.
RANDOM = tuple(_random(share, failure) for failure in (ConnectionResetError, Overloaded) for share in (0.3, 0.6, 1.0))


class Dependency:
    """One server. It serves requests in order of arrival, also those that have timed out."""

    def __init__(self, scene: Scene, clients: int) -> None:
        self._scene = scene
        self._phases = (
            (0.0, scene.healthy, scene.full * clients),
            (scene.healthy, scene.returns, scene.meanwhile * clients),
            (scene.returns, float("inf"), scene.back * clients),
        )
        self._dies = scene.healthy if scene.trouble and not scene.meanwhile else float("inf")
        self._backlog = scene.backlog * clients
        #: The moment at which it has served all accepted requests.
        self._free = 0.0
        #: Requests that arrived, by second, rejected ones included.
        self.load = [0] * (int(scene.end) + 1)

    async def request(self) -> None:
        """Return, or fail as a dependency across a network does."""
        scene = self._scene
        now = asyncio.get_running_loop().time()
        self.load[int(now)] += 1
        if scene.failing and random.random() < scene.failing:
            await asyncio.sleep(NETWORK)
            raise scene.failure
        if not self._rate(now) or self._waiting(now) >= self._backlog:
            await asyncio.sleep(NETWORK)
            raise ConnectionRefusedError
        begin = max(self._free, now)
        rate = self._rate(begin)
        done = begin + 1 / rate if rate else self._dies
        lost = now < self._dies <= done
        if not lost:
            self._free = done
        wait = (self._dies if lost else done) - now + NETWORK
        await asyncio.sleep(min(wait, PATIENCE))
        if wait > PATIENCE:
            raise TimeoutError
        if lost:
            raise ConnectionResetError

    def _rate(self, moment: float) -> float:
        return next(rate for _, end, rate in self._phases if moment < end)

    def _waiting(self, now: float) -> float:
        """Return how many accepted requests are not served yet."""
        free = self._free
        return sum(max(0.0, min(end, free) - max(begin, now)) * rate for begin, end, rate in self._phases if rate)
