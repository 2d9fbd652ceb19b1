"""`Diagnosis`: the cause of a failure and the advice on it.

The diagnosers in `_diagnosis` return it, and `explain` puts it into the report, redacted. A value of plain texts: it
refers to no object of the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resilience.errors._json_safe import Json

__all__ = ["Diagnosis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The cause of a failure and the advice on it, as a diagnoser returns them.

    Advice must hold: a name, key or line that is not certain enough is left out, since a wrong correction costs its
    reader more than none.

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
    """Advice, the most promising first; never empty."""
    suggested_fix: str | None = None
    """The corrected source line or statement, where it is certain enough."""
    context: str = ""
    """The call that failed: ``while calling area() with width = None``."""
    specifics: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Further facts, by their key in the report, such as ``attempted_import``."""
