"""A value that stands in for the real one, and says so."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

__all__ = ["Degraded"]

V = TypeVar("V")


@dataclasses.dataclass(frozen=True, slots=True)
class Degraded(Generic[V]):
    """What ``fallback(..., degraded=True)`` hands out in place of the real thing: *value*, with where it comes from.

    *source* is "default", "factory", "stale" or the name of the function of a chain; *error* what it stands in for;
    *age* the seconds since a stale value was stored, None where that is not known.

    >>> Degraded({"EUR": 1.08}, "stale", TimeoutError(), age=12.0)
    Degraded(source='stale', age=12.0)
    """

    value: V = dataclasses.field(repr=False)
    source: str
    error: Exception = dataclasses.field(repr=False, compare=False)
    age: float | None = None
