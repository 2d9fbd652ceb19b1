"""The complete sequence of failures behind an exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json, message_of, safe_text, safe_value
from resilience.errors._validation import class_name

__all__ = ["ErrorLink", "Relation", "error_chain"]

Relation = Literal["raised", "cause", "context", "member"]
"""How a link hangs on the one above it: ``raise ... from`` it, raised while it was handled, part of the group."""

_MOST: Final = 1000
# Of the base class: a subclass may hide them behind a property.
_CAUSE: Final[Any] = vars(BaseException)["__cause__"]
_CONTEXT: Final[Any] = vars(BaseException)["__context__"]
_QUIET: Final[Any] = vars(BaseException)["__suppress_context__"]
_MEMBERS: Final[Any] = vars(BaseExceptionGroup)["exceptions"]


@dataclass(frozen=True, slots=True)
class ErrorLink:
    """One failure of a chain: plain values, which keep no exception alive.

    *depth* is how many links up the first one is. *report* is what a retry has tried, `CallReport.to_dict`.
    """

    type: str
    message: str
    code: str | None
    category: str | None
    relation: Relation
    depth: int
    notes: tuple[str, ...] = ()
    report: Json = None

    def to_dict(self) -> dict[str, Json]:
        """Return this as JSON takes it; notes and report only where there are any."""
        found: dict[str, Json] = {
            "type": self.type,
            "message": self.message,
            "code": self.code,
            "category": self.category,
            "relation": self.relation,
            "depth": self.depth,
        }
        if self.notes:
            found["notes"] = list(self.notes)
        if self.report is not None:
            found["report"] = self.report
        return found


def error_chain(
    exc: BaseException, classify: Callable[[BaseException], ErrorCategory] | None = None
) -> tuple[ErrorLink, ...]:
    """Return what happened, from *exc* down to where it began. Never raises; a cycle is cut.

    Follows the cause, without one the context unless it is suppressed, and the members of groups. An exception that
    declares no category has none here, unless `resilience.classify` is handed in.

    >>> try:
    ...     try:
    ...         raise ConnectionResetError("peer went away")
    ...     except ConnectionResetError as error:
    ...         raise LookupError("no price") from error
    ... except LookupError as error:
    ...     for link in error_chain(error):
    ...         print(link.depth, link.relation, link.type, link.message)
    0 raised LookupError no price
    1 cause ConnectionResetError peer went away
    """
    links: list[ErrorLink] = []
    waiting: list[tuple[BaseException, Relation, int]] = [(exc, "raised", 0)]
    seen: set[int] = set()
    while waiting and len(links) < _MOST:
        error, relation, depth = waiting.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        links.append(_link(error, relation, depth, classify))
        cause = _CAUSE.__get__(error)
        if cause is not None:
            waiting.append((cause, "cause", depth + 1))
        elif not _QUIET.__get__(error) and _CONTEXT.__get__(error) is not None:
            waiting.append((_CONTEXT.__get__(error), "context", depth + 1))
        if issubclass(type(error), BaseExceptionGroup):  # last in, first out: members come before the cause
            members: tuple[BaseException, ...] = _MEMBERS.__get__(error)
            waiting.extend((member, "member", depth + 1) for member in reversed(members))
    return tuple(links)


def _link(
    error: BaseException,
    relation: Relation,
    depth: int,
    classify: Callable[[BaseException], ErrorCategory] | None,
) -> ErrorLink:
    code = _ask(error, "code")
    category = _ask(error, "category")
    if classify is not None:
        try:
            category = classify(error)
        except Exception:
            category = None
    notes = _ask(error, "__notes__")
    given = cast("list[object]", notes)[:_MOST] if isinstance(notes, list) else []
    return ErrorLink(
        type=class_name(type(error)),
        message=message_of(error),
        code=code if type(code) is str else None,
        category=category.label if type(category) is ErrorCategory and category else None,
        relation=relation,
        depth=depth,
        notes=tuple(safe_text(note) for note in given if isinstance(note, str)),
        report=_report(error),
    )


def _report(error: BaseException) -> Json:
    # A `CallReport`, which lives on a floor above this one.
    try:
        found: object = error.__dict__.get("resilience")
        to_dict: object = getattr(found, "to_dict", None)
        return safe_value(to_dict()) if callable(to_dict) else None
    except Exception:
        return None


def _ask(error: BaseException, name: str) -> object:
    try:
        found: object = getattr(error, name, None)
    except Exception:  # a property of the application's
        return None
    return found
