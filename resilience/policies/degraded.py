"""A substitute value of a fallback, marked as one."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

__all__ = ["Degraded"]

V = TypeVar("V")


@dataclasses.dataclass(frozen=True, slots=True)
class Degraded(Generic[V]):
    """A substitute *value* with its source: the result of a failed call under ``fallback(..., degraded=True)``.

    *source* is "default", "factory", "stale" or the name of the function of a chain; *error* the failure of the call;
    *age* the seconds since a stale value was stored, None where that is not known.

    >>> Degraded({"EUR": 1.08}, "stale", TimeoutError(), age=12.0)
    Degraded(source='stale', age=12.0)
    """

    value: V = dataclasses.field(repr=False)
    source: str
    error: Exception = dataclasses.field(repr=False, compare=False)
    age: float | None = None
