"""Rates as users write them: ``"500/min"`` is 500 calls in a minute, ``"5/10s"`` five in ten seconds."""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from resilience._validation import did_you_mean, require

__all__ = ["Rate", "parse_rate"]

_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
"""Seconds of each unit of time. A bare ``m`` is not among them: it may be a minute or a month."""

_RATE = re.compile(r"\s*(\d{1,12})\s*/\s*(\d{0,6})\s*([A-Za-z]+)\s*", re.ASCII)
_EXPECTED = "a number of calls per unit of time as text, such as '10/s', '500/min', '1000/hour' or '5/10s'"


class Rate(NamedTuple):
    """So many calls in so many seconds, as *text* wrote it."""

    calls: int
    seconds: int
    text: str

    @property
    def interval(self) -> float:
        """Seconds from one call to the next, where they come evenly."""
        return self.seconds / self.calls


def parse_rate(parameter: str, value: object) -> Rate:
    """Return the rate that a text names. Raises TypeError for what is no text, ValueError for what is no rate.

    >>> parse_rate("rate", "500/min").interval, parse_rate("rate", "5 / 10s")
    (0.12, Rate(calls=5, seconds=10, text='5 / 10s'))
    >>> parse_rate("rate", "500/mn")
    Traceback (most recent call last):
    ...
    ValueError: rate='500/mn': give a unit of s, min, hour or day; did you mean 'min'?
    """
    require(isinstance(value, str), parameter, value, _EXPECTED, TypeError)
    text = cast("str", value)
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{parameter}={text!r}: give {_EXPECTED}")
    count, units, unit = int(found[1]), int(found[2] or 1), found[3].lower()
    if unit not in _UNITS:
        near = did_you_mean(unit, list(_UNITS))
        raise ValueError(f"{parameter}={text!r}: give a unit of s, min, hour or day{near}")
    require(count > 0 and units > 0, parameter, text, f"numbers of 1 or more: {_EXPECTED}")
    return Rate(count, units * _UNITS[unit], text.strip())
