"""`Scenario`: who calls, what the server can do, and what happens to it meanwhile. Plain values, checked as written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias, get_args

from resilience._validation import optional, parse_count, parse_duration, parse_number, require, require_choice
from resilience.simulation._latency import Latency

__all__ = ["Disturbance", "Failures", "Outage", "Pause", "Resize", "Scenario", "Slowdown", "Surge"]

Arrivals: TypeAlias = Literal["poisson", "regular", "closed"]
OutageMode: TypeAlias = Literal["refuse", "hang"]

_MIN_WORKER_SHARE = 0.75
_MAX_CALLS = 600_000
"""Calls of a run beyond which alike clients are simulated as one: see `Scenario.batch`."""
_MAX_CLIENTS = 10_000
_MIN_IN_TIME = 1.0
_IN_TIME_P99S = 5


@dataclass(frozen=True)
class Disturbance:
    """A disturbance that begins *at* so many seconds, and *lasts* so many; infinity: until the end of the run."""

    at: float
    lasts: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", parse_duration("at", self.at, zero=True))
        if self.lasts != math.inf:
            object.__setattr__(self, "lasts", parse_duration("lasts", self.lasts))

    @property
    def ends(self) -> float:
        """When it is over, in seconds from the beginning of the run."""
        return self.at + self.lasts


@dataclass(frozen=True)
class Outage(Disturbance):
    """The server is down. It refuses connections at once, or, with *mode* "hang", takes them and answers none.

    What it works on when it goes down is lost: those connections are reset, where it hangs at the end of the outage.
    """

    mode: OutageMode = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("mode", self.mode, get_args(OutageMode))


@dataclass(frozen=True)
class Slowdown(Disturbance):
    """The server works at a part of its *speed*: with 0.5 each request takes twice as long."""

    speed: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_number(
            "speed", self.speed, "a factor of more than 0, such as 0.5 for half the speed", least=0, above=True
        )


@dataclass(frozen=True)
class Resize(Disturbance):
    """The server has a part of its *workers*: with 0.5 it has lost half. Those that go finish what they work on."""

    workers: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_number("workers", self.workers, "a factor of 0 or more, such as 0.5 for half of them", least=0)


@dataclass(frozen=True)
class Pause(Disturbance):
    """The server stands still, as for a garbage collection, and goes on where it was. *every* so many seconds again."""

    every: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        optional(parse_duration, "every", self.every)
        require(self.lasts < math.inf, "lasts", self.lasts, "the seconds after which the server goes on")
        require(self.every is None or self.every > self.lasts, "every", self.every, f"more than lasts={self.lasts:g}")

    @property
    def ends(self) -> float:
        """When it is over; of a repeated one, never."""
        return math.inf if self.every is not None else super().ends


@dataclass(frozen=True)
class Surge(Disturbance):
    """More calls come, or fewer: *times* as many."""

    times: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_number("times", self.times, "a factor of 0 or more, such as 2 for twice as many calls", least=0)


@dataclass(frozen=True)
class Failures:
    """The exceptions that the function raises in place of its client's: each is called without arguments.

    The classifier knows the built-in ones. Give those of the client where the function's policies name them, as in
    ``retry_if=retry_if_exception_type(httpx.ReadTimeout)``.
    """

    #: No connection: the server is down.
    refused: Callable[[], Exception] = ConnectionRefusedError
    #: The connection was lost.
    reset: Callable[[], Exception] = ConnectionResetError
    #: The client's own time limit has passed: `Scenario.client_timeout`.
    timed_out: Callable[[], Exception] = TimeoutError
    #: The server's queue is full.
    full: Callable[[], Exception] = ConnectionRefusedError
    #: A request that fails at random: `Scenario.failing`.
    random: Callable[[], Exception] = ConnectionResetError
    #: The server's own call of the next layer has failed: see `simulate_layers`.
    below: Callable[[], Exception] = ConnectionResetError


@dataclass(frozen=True)
class Scenario:
    """The calls, the server and the disturbances of a simulation. Durations are seconds.

    Args:
        rps: Calls a second, of all clients together.
        capacity: Requests a second that the server can do; give it or *workers*.
        latency: How long the server works on a request while none waits.
        workers: How many requests the server works on at a time; unless given, *capacity* times the mean latency.
        queue: How many requests may wait at the server; further ones are refused. None: any number.
        clients: How many processes make the calls, each with circuits, budgets and limits of its own.
        duration: How long the simulated run is.
        events: The disturbances: `Outage`, `Slowdown`, `Resize`, `Pause`, `Surge`.
        seed: What the random numbers begin with: the same seed, the same run.
        network: How long the network takes for a request and its answer together, beside the server's work.
        client_timeout: When the client library ends a request by itself; None: never.
        in_time: How long a user waits: a call that is answered later counts as late. Unless given, the larger one of a
            second and five times the latency's p99.
        failing: The share of requests that fail at random, whatever the load is.
        failures: The exceptions that stand for those of the client.
        arrivals: "poisson", calls that know nothing of each other; "regular", exactly *rps* in each second, at random
            moments; or "closed", users who call again when they have got an answer and thought about it, and so cannot
            overload the server.
        think: The mean time that a user of "closed" waits between an answer and the next call.
        elsewhere: The disturbances of other servers, in the layers of `simulate_layers`: the run is judged after them.
        batch: How many alike clients are simulated as one. The server, the calls and the queue are smaller by the same
            factor, and the counts larger again. Unless given, as many as keep a run below 600,000 calls.

    Raises TypeError or ValueError, where it is written, for what cannot be meant.

    >>> scenario = Scenario(rps=1000, capacity=2400, latency=Latency(p50=0.040, p99=0.300))
    >>> scenario.workers, scenario.capacity
    (140, 2400.0)
    """

    rps: float
    capacity: float | None = None
    latency: Latency = field(default_factory=lambda: Latency(p50=0.040, p99=0.300))
    workers: int | None = None
    queue: int | None = None
    clients: int = 1
    duration: float = 120.0
    events: tuple[Disturbance, ...] = ()
    seed: int = 0
    network: float = 0.001
    client_timeout: float | timedelta | None = None
    in_time: float | None = None
    failing: float = 0.0
    failures: Failures = field(default_factory=Failures)
    arrivals: Arrivals = "poisson"
    think: float = 1.0
    batch: int | None = None
    elsewhere: tuple[Disturbance, ...] = ()

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "rps", parse_number("rps", self.rps, "calls a second, more than 0", least=0, above=True))
        put(self, "duration", parse_duration("duration", self.duration))
        put(self, "network", parse_duration("network", self.network, zero=True))
        put(self, "client_timeout", optional(parse_duration, "client_timeout", self.client_timeout))
        put(self, "think", parse_duration("think", self.think, zero=True))
        put(self, "events", tuple(self.events))
        parse_count("clients", self.clients)
        share = parse_number("failing", self.failing, "a share of the requests, from 0 to 1", least=0)
        require(share <= 1, "failing", share, "a share of the requests, from 0 to 1")
        require_choice("arrivals", self.arrivals, get_args(Arrivals))
        require(isinstance(self.seed, int), "seed", self.seed, "a whole number", TypeError)
        optional(lambda name, value: parse_count(name, value, least=0), "queue", self.queue)
        for event in self.events:
            require(isinstance(event, Disturbance), "events", event, "such as Outage(at=30, lasts=60)", TypeError)
        put(self, "in_time", self._parse_in_time())
        self._size_server()
        put(self, "batch", self._parse_batch())

    def _parse_in_time(self) -> float:
        if self.in_time is None:
            return max(_MIN_IN_TIME, _IN_TIME_P99S * self.latency.p99)
        if self.in_time == math.inf:
            return math.inf
        return parse_duration("in_time", self.in_time)

    def _size_server(self) -> None:
        """Make *workers* of *capacity*, or the other way round. Raises where none or both are given, and differ.

        Both are given where `dataclasses.replace` makes a scenario of another one.
        """
        mean = self.latency.mean
        if self.capacity is None:
            if self.workers is None:
                raise TypeError(
                    "Scenario(): give capacity=, requests a second, or workers=; one follows from the other"
                )
            object.__setattr__(self, "capacity", parse_count("workers", self.workers) / mean)
            return
        expected = "requests a second, more than 0"
        capacity = parse_number("capacity", self.capacity, expected, least=0, above=True)
        if capacity * mean < _MIN_WORKER_SHARE:
            raise ValueError(
                f"capacity={capacity:g}: give {1 / mean:.4g} or more requests a second, for one worker with a latency"
                f" of {mean:.3g} s in the mean does as many; or a longer latency"
            )
        workers = max(1, round(capacity * mean))
        expected = f"none beside capacity={capacity:g}, of which {workers} follow with this latency"
        require(self.workers in (None, workers), "workers", self.workers, expected)
        object.__setattr__(self, "capacity", capacity)
        object.__setattr__(self, "workers", workers)

    def _parse_batch(self) -> int:
        if self.batch is not None:
            return parse_count("batch", self.batch)
        assert self.workers is not None
        by_calls = self.rps * self.duration / _MAX_CALLS
        most = min(self.clients, max(1, self.workers // 4))
        return max(1, min(most, math.ceil(max(by_calls, self.clients / _MAX_CLIENTS))))

    # -- when the trouble is ------------------------------------------------------------------------------------------

    @property
    def trouble_begins(self) -> float:
        """When the first disturbance begins; the duration where there is none."""
        return min((event.at for event in (*self.events, *self.elsewhere)), default=self.duration)

    @property
    def trouble_ends(self) -> float:
        """When the last disturbance that ends within the run has ended; the duration where there is none.

        One that lasts until the end of the run is the new state of things, to which calls have to come back.
        """
        ends = [event.ends for event in (*self.events, *self.elsewhere) if event.ends < self.duration]
        return max(ends, default=self.duration)

    def to_dict(self) -> Mapping[str, Any]:
        """Return the options as plain values for JSON; infinity as None."""
        plain: dict[str, Any] = {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if option.name not in ("latency", "events", "elsewhere", "failures")
        }
        plain["latency"] = asdict(self.latency)
        plain["events"] = [_event_to_dict(event) for event in self.events]
        plain["elsewhere"] = [_event_to_dict(event) for event in self.elsewhere]
        for options in (plain, *plain["events"], *plain["elsewhere"]):
            for name, value in options.items():
                if value == math.inf:
                    options[name] = None
        return plain


def _event_to_dict(event: Disturbance) -> dict[str, Any]:
    return {"kind": type(event).__name__.lower(), **asdict(event)}
