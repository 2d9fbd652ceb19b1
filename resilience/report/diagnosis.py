"""`Diagnosis`: the cause of a failure and the advice on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resilience.errors._json_safe import Json

__all__ = ["Diagnosis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why it failed, and what to do about it.

    >>> Diagnosis(
    ...     immediate_cause="nothing is called 'pritn' here",
    ...     suggestions=("Write print instead of pritn.",),
    ...     suggested_fix="print('hello')",
    ... ).suggested_fix
    "print('hello')"
    """

    immediate_cause: str
    """One sentence."""
    contributing_factors: tuple[str, ...] = ()
    suggestions: tuple[str, ...]
    """What to do, the most promising first; never empty."""
    suggested_fix: str | None = None
    """The corrected source line or statement, where it is certain enough."""
    context: str = ""
    """What surrounds the failure: ``while calling area() with width = None``."""
    specifics: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What was derived beside that, such as ``attempted_import``."""
