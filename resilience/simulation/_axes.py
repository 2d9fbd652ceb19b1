"""Axes of a sweep: the options that vary and their values, from a text such as ``attempts=1..5,timeout=.2..2``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from resilience._validation import did_you_mean
from resilience.simulation._variants import OPTIONS

__all__ = ["LABELS", "SCENARIO_OPTIONS", "Axis", "parse_axes"]

SCENARIO_OPTIONS = ("rps", "capacity", "clients", "queue")
"""The numbers of a scenario that may vary, beside the options of the function's own stack."""

LABELS = {
    "attempts": "attempts for each call",
    "budget": "tokens of the budget (0: none)",
    "timeout": "timeout (s)",
    "deadline": "deadline (s)",
    "limit": "limit (calls in flight)",
    "rps": "calls a second",
    "capacity": "capacity (requests a second)",
    "clients": "clients",
    "queue": "queue (requests)",
}
"""The label of each option on a map, with the unit of its values."""

_COUNTED = ("attempts", "limit", "clients", "queue")
_MAX_AXES = 2
_DEFAULT_VALUES = 10
_MAX_VALUES = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """An option, by *name*, and the *values* that it takes in a sweep, in order.

    The name is that of an option of the function's stack (`OPTIONS` of `_variants`), or of a number of the scenario.
    """

    name: str
    values: Sequence[float]

    @property
    def label(self) -> str:
        """The label with the unit of the values."""
        return LABELS[self.name]


def parse_axes(text: str) -> tuple[Axis, ...]:
    """Return the axes that *text* describes: one or two, such as ``attempts=1..5,timeout=.2..2``.

    ``1..5`` are all whole numbers from 1 to 5 where the option counts something, and ten values at equal distances
    where it does not, or as many as are given with ``.2..2:5``. ``0|100|500`` lists the values. Raises ValueError for a
    text that says no axes.

    >>> [axis.values for axis in parse_axes("attempts=1..3,timeout=.5..2:4")]
    [(1, 2, 3), (0.5, 1.0, 1.5, 2.0)]
    """
    axes = tuple(_axis(part.strip()) for part in text.split(","))
    if len(axes) > _MAX_AXES or len({axis.name for axis in axes}) < len(axes):
        raise ValueError(
            f"{text}: a map has one axis or two, of different options, such as attempts=1..5,timeout=.2..2"
        )
    return axes


def _axis(part: str) -> Axis:
    """Return the axis of one part of the text. Raises ValueError, which repeats the part and shows a right one."""
    name, equals, values = part.partition("=")
    known = (*OPTIONS, *SCENARIO_OPTIONS)
    if name not in known:
        raise ValueError(f"{part}: no such option{did_you_mean(name, known)}; there are {', '.join(known)}")
    try:
        numbers = [float(value) for value in values.split("|")] if ".." not in values else _range(name, values)
    except ValueError:
        raise ValueError(f"{part}: give a range such as {name}=1..5, or values such as {name}=1|2|5") from None
    if not equals or not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError(f"{part}: give a range such as {name}=1..5, or values such as {name}=1|2|5")
    if len(numbers) > _MAX_VALUES:
        raise ValueError(f"{part}: {len(numbers)} values are too many for a map; give at most {_MAX_VALUES}")
    if name not in _COUNTED:
        return Axis(name, tuple(numbers))
    if any(number != int(number) for number in numbers):
        raise ValueError(f"{part}: give whole numbers: it counts {LABELS[name]}")
    return Axis(name, tuple(int(number) for number in numbers))


def _range(name: str, text: str) -> Sequence[float]:
    """Return the values of a range such as ``1..5`` or ``.2..2:5``.

    Options that count get whole numbers, each once; other values are rounded to three digits, as people read them.
    Raises ValueError for anything else, whose text `_axis` replaces by one for the user.
    """
    limits, _, count = text.partition(":")
    low, high = (float(limit) for limit in limits.split(".."))
    if high < low:
        raise ValueError(text)
    whole = int(high - low) + 1
    number = _DEFAULT_VALUES
    if count:
        number = int(count)
    elif name in _COUNTED and whole <= _MAX_VALUES:
        number = whole
    if number < 2:
        return [low]
    values = [low + (high - low) * step / (number - 1) for step in range(number)]
    if name in _COUNTED:
        return sorted({float(round(value)) for value in values})
    return [float(f"{value:.3g}") for value in values]
