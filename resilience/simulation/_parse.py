"""The texts that the command line takes for durations, latencies and disturbances.

Each parser raises ValueError with the text that it was given and an example of a right one. Ranges, such as a speed
above 0, are checked by the classes that are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from resilience.simulation._latency import Latency
from resilience.simulation._scenario import Disturbance, Outage, Pause, Resize, Slowdown, Surge

__all__ = ["parse_factor", "parse_latency", "parse_outage", "parse_pause", "parse_seconds"]

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|ms|s|m|min|h)?")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_seconds(text: str) -> float:
    """Return the seconds of a duration with or without a unit. Raises ValueError for what is none.

    >>> parse_seconds("40ms"), parse_seconds("60s"), parse_seconds("2m"), parse_seconds("1.5")
    (0.04, 60.0, 120.0, 1.5)
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration: write 40ms, 1.5s, 2m or 1h")
    return round(float(found[1]) * _UNITS[found[2]], 9)


def parse_latency(text: str) -> Latency:
    """Return the latency of ``p50=40ms,p99=300ms``, ``exp=50ms`` (exponential, of that mean), or ``50ms`` (constant).

    Raises ValueError for any other text.

    >>> parse_latency("p50=40ms,p99=300ms")
    Latency(p50=0.04, p99=0.3, shape='lognormal')
    """
    if "=" not in text:
        return Latency.constant(parse_seconds(text))
    options: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        options[name.strip()] = parse_seconds(value)
    if options.keys() == {"exp"}:
        return Latency.exponential(options["exp"])
    if options.keys() == {"p50", "p99"}:
        return Latency(options["p50"], options["p99"])
    raise ValueError(f"{text!r} is no latency: write p50=40ms,p99=300ms, or exp=50ms, or 50ms")


class _When(NamedTuple):
    """The text of a disturbance without its moment, and that moment in seconds."""

    rest: str
    at: float


def _split(text: str, at: float) -> _When:
    """Return *text* without the moment after ``@``, and that moment; *at* where it has none."""
    rest, sign, moment = text.partition("@")
    return _When(rest, parse_seconds(moment) if sign else at)


def parse_outage(text: str, at: float) -> Disturbance:
    """Return the outage of ``60s``, or ``60s@45s`` where it begins at another moment than *at*; ``hang:60s`` hangs.

    >>> parse_outage("hang:60s@45s", 30)
    Outage(at=45.0, lasts=60.0, mode='hang')
    """
    mode, colon, rest = text.partition(":")
    if not colon:
        mode, rest = "refuse", text
    when = _split(rest, at)
    return Outage(when.at, parse_seconds(when.rest), mode)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it checks that


def parse_factor(kind: type[Slowdown | Resize | Surge]) -> Callable[[str, float], Disturbance]:
    """Return the parser of ``0.5x30s``: a factor, and how long it is in force; ``@45s`` says since when.

    >>> parse_factor(Slowdown)("0.5x30s", 30)
    Slowdown(at=30.0, lasts=30.0, speed=0.5)
    """

    def parse(text: str, at: float) -> Disturbance:
        when = _split(text, at)
        factor, sign, lasts = when.rest.partition("x")
        try:
            number = float(factor)
        except ValueError:
            raise ValueError(f"{text!r} is no factor with a duration: write 0.5x30s") from None
        if not sign:
            raise ValueError(f"{text!r} has no duration: write {factor}x30s")
        return kind(when.at, parse_seconds(lasts), number)

    return parse


def parse_pause(text: str, at: float) -> Disturbance:
    """Return the pause of ``2s``, or ``2s/30s`` for one every 30 s; ``@45s`` says since when.

    >>> parse_pause("200ms/5s", 30)
    Pause(at=30.0, lasts=0.2, every=5.0)
    """
    when = _split(text, at)
    lasts, sign, every = when.rest.partition("/")
    return Pause(when.at, parse_seconds(lasts), parse_seconds(every) if sign else None)
