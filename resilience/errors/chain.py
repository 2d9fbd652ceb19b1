"""The chain of failures behind an exception, as plain values: causes, contexts and the members of groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json, message_of, safe_text, safe_value
from resilience.errors._validation import class_name

__all__ = ["ErrorLink", "Relation", "error_chain"]

Relation: TypeAlias = Literal["raised", "cause", "context", "member"]
"""How a link belongs to the one above it: the chain starts with the exception that was ``raised``; a ``cause`` is that
of ``raise ... from``, a ``context`` the exception that was being handled, a ``member`` one of an exception group."""

_Classify: TypeAlias = Callable[[BaseException], ErrorCategory]

_MAX_LINKS: Final = 1000
_MAX_NOTES: Final = 1000
# Of the base class: a subclass may hide them behind a property.
_CAUSE: Final[Any] = vars(BaseException)["__cause__"]
_CONTEXT: Final[Any] = vars(BaseException)["__context__"]
_SUPPRESS_CONTEXT: Final[Any] = vars(BaseException)["__suppress_context__"]
_MEMBERS: Final[Any] = vars(BaseExceptionGroup)["exceptions"]


@dataclass(frozen=True, slots=True)
class ErrorLink:
    """One failure of a chain: plain values, which keep no exception alive.

    *depth* is the number of links between it and the first one. *report* is the `CallReport` of a retry as a dict,
    where the exception carries one.
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
        """Return the link as JSON; notes and report only where there are any."""
        document: dict[str, Json] = {
            "type": self.type,
            "message": self.message,
            "code": self.code,
            "category": self.category,
            "relation": self.relation,
            "depth": self.depth,
        }
        if self.notes:
            document["notes"] = list(self.notes)
        if self.report is not None:
            document["report"] = self.report
        return document


def error_chain(exc: BaseException, classify: _Classify | None = None) -> tuple[ErrorLink, ...]:
    """Return the failures that led to *exc*, from *exc* down to the first one. Never raises; a cycle is cut.

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
    stack: list[tuple[BaseException, Relation, int]] = [(exc, "raised", 0)]
    seen: set[int] = set()
    while stack and len(links) < _MAX_LINKS:
        error, relation, depth = stack.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        links.append(_link(error, relation, depth, classify))
        stack.extend((inner, inner_relation, depth + 1) for inner, inner_relation in _inner_errors(error))
    return tuple(links)


def _inner_errors(error: BaseException) -> Iterator[tuple[BaseException, Relation]]:
    """Yield the exceptions directly behind *error*, in the order of a stack: the last one is looked at first."""
    cause, context = _CAUSE.__get__(error), _CONTEXT.__get__(error)
    if cause is not None:
        yield cause, "cause"
    elif context is not None and not _SUPPRESS_CONTEXT.__get__(error):
        yield context, "context"
    if issubclass(type(error), BaseExceptionGroup):
        members: tuple[BaseException, ...] = _MEMBERS.__get__(error)
        for member in reversed(members):
            yield member, "member"


def _link(error: BaseException, relation: Relation, depth: int, classify: _Classify | None) -> ErrorLink:
    return ErrorLink(
        type=class_name(type(error)),
        message=message_of(error),
        code=_code_of(error),
        category=_category_of(error, classify),
        relation=relation,
        depth=depth,
        notes=_notes_of(error),
        report=_report_of(error),
    )


def _code_of(error: BaseException) -> str | None:
    code = safe_getattr(error, "code")
    if type(code) is str:
        return code
    return None


def _category_of(error: BaseException, classify: _Classify | None) -> str | None:
    category = safe_getattr(error, "category")
    if classify is not None:
        try:
            category = classify(error)
        except Exception:
            return None
    if type(category) is ErrorCategory and category:
        return category.label
    return None


def _notes_of(error: BaseException) -> tuple[str, ...]:
    notes = safe_getattr(error, "__notes__")
    if not isinstance(notes, list):
        return ()
    texts = [note for note in cast("list[object]", notes)[:_MAX_NOTES] if isinstance(note, str)]
    return tuple(safe_text(note) for note in texts)


def _report_of(error: BaseException) -> Json:
    """Return the report that a retry has attached, a `CallReport`: its class belongs to a layer above this one."""
    try:
        report: object = error.__dict__.get("resilience")
        to_dict: object = getattr(report, "to_dict", None)
        if callable(to_dict):
            return safe_value(to_dict())
    except Exception:
        return None
    return None
