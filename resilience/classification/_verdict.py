"""`Verdict`, the answer of the classifier before it is shown or remembered, and `TypeRules`, what a type adds to it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from resilience.categories import ErrorCategory
from resilience.classification.library import CategoryRow

__all__ = ["Rule", "TableRow", "TypeRules", "Verdict"]

Rule = Literal["registered", "declared", "client", "structure", "builtin", "group", "cause", "unknown"]
"""Which rule answered."""


class Verdict(NamedTuple):
    """The answer of one rule, and whether the next exception of the same type gets it without asking again."""

    category: ErrorCategory
    rule: Rule
    reason: str
    unless: frozenset[str] | None = None
    """Attributes of an instance that could change the answer; None where other exceptions of the type may differ."""


class TableRow(NamedTuple):
    """A row of a client library's table that is about a type, or about one of its base classes."""

    name: str
    """Class of the row, as ``library.Class``."""

    read: CategoryRow
    verdict: Verdict | None = None
    """The answer where the row is a leaf; None where it is a function of the exception."""


class TypeRules(NamedTuple):
    """All that the rules can say of a type before an exception of it is looked at.

    Worked out for the first exception of the type, and kept as long as the registrations hold, so that classifying
    the next one costs no more than what depends on the exception itself.
    """

    registered: Verdict | None
    """The answer that goes before every other rule."""

    follows_cause: bool = False
    """Whether the application has asked for the category of the cause."""

    ending: Verdict | None = None
    """The answer for what ends the program or the task, and is no failure."""

    rows: tuple[TableRow, ...] = ()
    """Rows of client libraries, that of the most derived class first; up to the first that is a leaf."""

    left_open: Verdict | None = None
    """UNKNOWN where a table names the type, in case none of its rows can tell; None where no table does."""

    is_group: bool = False
    by_class: Verdict | None = None
    """The answer by Python's own classes, or that no rule knows; None where it depends on the exception."""
