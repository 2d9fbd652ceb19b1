"""Rules of a type: what the registrations, the tables and Python's classes say before an exception is looked at.

`rules_of` works them out once for each type and keeps them with the registrations they follow from. An answer is
marked as good for every exception of the type (`Verdict.unless`) only where no rule could tell its instances apart.
"""

from __future__ import annotations

from resilience._safe_access import qualified_name
from resilience.categories import ErrorCategory
from resilience.classification._attributes import ASKED
from resilience.classification._builtin_exceptions import by_class, is_fixed_by_type
from resilience.classification._causes import HOLDERS
from resilience.classification._tls import adds_no_wrapping_attribute
from resilience.classification._type_traits import declares_none_of, is_kind, uses_plain_lookup
from resilience.classification._verdict import TableRow, TypeRules, Verdict
from resilience.classification.libraries import library_named
from resilience.classification.registry import Rules
from resilience.classification.retry_hints import ASKED_FOR_HINT

__all__ = ["CATEGORY", "rules_of"]

CATEGORY = frozenset({"category"})
"""The one attribute that goes before the tables of the libraries."""

_UNKNOWN = ErrorCategory.UNKNOWN
_NOTHING: frozenset[str] = frozenset()
_ASKED = ASKED | ASKED_FOR_HINT | CATEGORY | frozenset(HOLDERS)
_NO_EXCEPTION = Verdict(_UNKNOWN, "unknown", "this is no exception")


def rules_of(kind: type, rules: Rules) -> TypeRules:
    """Return what *rules*, and the tables in force, say of a type; at most 1024 types are remembered."""
    return rules.of_types.get(kind) or rules.keep(kind, _work_out(kind, rules))


def _work_out(kind: type, rules: Rules) -> TypeRules:
    if not is_kind(kind, BaseException):
        return TypeRules(_NO_EXCEPTION)
    rows, left_open = _table_rows(kind)
    return TypeRules(
        registered=_registered(kind, rules),
        follows_cause=rules.follows_cause(kind),
        ending=_ending(kind),
        rows=rows,
        left_open=left_open,
        is_group=is_kind(kind, BaseExceptionGroup),
        by_class=_by_class(kind),
    )


def _registered(kind: type, rules: Rules) -> Verdict | None:
    found = rules.by_type(kind)
    return found and _for_all(kind, Verdict(found.category, "registered", found.why), _NOTHING)


def _ending(kind: type) -> Verdict | None:
    """Return CANCELLED for what is neither an `Exception` nor a group, such as Ctrl-C."""
    if is_kind(kind, Exception) or is_kind(kind, BaseExceptionGroup):
        return None
    reason = f"{kind.__qualname__} ends the program or the task"
    return _for_all(kind, Verdict(ErrorCategory.CANCELLED, "builtin", reason), _NOTHING)


def _table_rows(kind: type) -> tuple[tuple[TableRow, ...], Verdict | None]:
    """Return the rows for a type and its base classes up to the first leaf, and the answer where none can tell.

    A row that is UNKNOWN leaves the answer to the base classes, but shows that a table knows the type.
    """
    rows: list[TableRow] = []
    left_open: Verdict | None = None
    for base in kind.__mro__:
        library, name = qualified_name(base)
        read = library_named(library).categories.get(name)
        if read is None:
            continue
        row = TableRow(f"{library}.{name}", read)
        if isinstance(read, ErrorCategory) and read is not _UNKNOWN:
            row = row._replace(verdict=_leaf(kind, row, read, is_first=left_open is None))
        left_open = left_open or Verdict(_UNKNOWN, "client", f"{row.name} alone says nothing")
        if read is not _UNKNOWN:
            rows.append(row)
        if row.verdict is not None:
            break
    return tuple(rows), left_open


def _leaf(kind: type, row: TableRow, leaf: ErrorCategory, *, is_first: bool) -> Verdict:
    """Return the answer of a row that is a leaf: for all of the type, where no row goes before it."""
    verdict = Verdict(leaf, "client", f"{row.name} is {leaf.label}")
    if is_first and declares_none_of(kind, CATEGORY):
        return _for_all(kind, verdict, CATEGORY)
    return verdict


def _by_class(kind: type) -> Verdict | None:
    """Return the answer of Python's own classes, where an errno or a response cannot make it another one."""
    if not is_fixed_by_type(kind):
        return None
    found = by_class(kind)
    verdict = Verdict(_UNKNOWN, "unknown", f"no rule knows {kind.__qualname__}")
    if found is not None:
        verdict = Verdict(found.category, "builtin", found.why)
    if declares_none_of(kind, _ASKED):
        return _for_all(kind, verdict, _ASKED)
    return verdict


def _for_all(kind: type, verdict: Verdict, unless: frozenset[str]) -> Verdict:
    """Return an answer that holds for all exceptions of a type but those with an attribute in *unless*.

    It does not where attributes are computed, nor is NETWORK sure where the type may hide a certificate in a chain.
    """
    hides = verdict.category is ErrorCategory.NETWORK and not adds_no_wrapping_attribute(kind)
    if hides or not uses_plain_lookup(kind):
        return verdict
    return verdict._replace(unless=unless)
