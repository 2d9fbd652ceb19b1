"""The classifier: asks the rules in order, and remembers the answers that hold for every exception of a type.

The order is what the application registered, what the exception declares (`category`), the tables of the client
libraries, the status or code that the exception carries, Python's own classes, the members of a group. The first rule
that knows answers; UNKNOWN is the answer of none.

Most failures of a program are of a few types, and for most types the answer follows from the type alone. Such a
verdict is *settled*: the next exception of the type costs one dictionary lookup. A type whose instances might be told
apart by an attribute, an argument or a registered predicate is never settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from resilience._callback_errors import log_callback_error
from resilience._outcome import Outcome
from resilience._safe_access import qualified_name, safe_getattr
from resilience.categories import ErrorCategory, Recovery
from resilience.classification._attributes import ASKED, by_structure
from resilience.classification._builtin_exceptions import by_builtin
from resilience.classification._exception_groups import members_of
from resilience.classification._precedence import least_recoverable, representative
from resilience.classification._tls import adds_no_wrapping_attribute, hides_certificate, wraps_no_exception
from resilience.classification._type_traits import class_category, declares_none_of, is_kind, uses_plain_lookup
from resilience.classification.libraries import library_named
from resilience.classification.library import CategoryRow
from resilience.classification.match import Match
from resilience.classification.registry import Rules, current_rules
from resilience.profiles import profile_for

__all__ = ["Explanation", "Rule", "categories_of", "category_of", "classify", "explain"]

Rule = Literal["registered", "declared", "client", "structure", "builtin", "group", "unknown"]
"""Which rule answered."""

_C = ErrorCategory
_ASKED = ASKED | {"category"}
_LEAVES = frozenset(_C)
_UNKNOWN = _C.UNKNOWN
_NETWORK = _C.NETWORK  # the one answer that looks further: a bad certificate hides in connection errors


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an exception is in its category: the rule that answered, and what it read.

    *reason* never holds the exception's message or arguments, which may be secret.
    """

    category: ErrorCategory
    rule: Rule
    reason: str

    @property
    def recovery(self) -> Recovery:
        """What the caller should do next."""
        return profile_for(self.category).recovery

    def __str__(self) -> str:
        return f"{self.category.label} ({self.rule}: {self.reason}); recovery: {self.recovery.value}"


class _Verdict(NamedTuple):
    """An answer on its way through the rules."""

    category: ErrorCategory
    rule: Rule
    reason: str
    settled: bool = False
    """Whether every exception of the type gets this answer, unless it has instance attributes that a rule reads."""


def classify(exc: BaseException) -> ErrorCategory:
    """Return the leaf category of an exception. Never raises.

    Asked in this order: what the application registered, `exc.category`, the tables of client libraries, the status
    or code the exception carries, Python's own classes. UNKNOWN is the answer of none. `explain` says which answered.

    Cancellation, Ctrl-C and anything else that is no `Exception` is CANCELLED; policies never ask about it. An
    exception group is as recoverable as its least recoverable member.

    >>> classify(ConnectionResetError()).label
    'network'
    >>> classify(ValueError("no rule knows it")).label
    'unknown'
    """
    try:
        category = current_rules().settled.get(type(exc))
        if category is not None:
            own = exc.__dict__
            if (not own or _ASKED.isdisjoint(own)) and (category is not _NETWORK or wraps_no_exception(exc)):
                return category
    except Exception:  # noqa: S110 - a hostile metaclass or __dict__: take the slow path
        pass
    return _decide(exc).category


def category_of(outcome: Outcome) -> ErrorCategory:
    """Return the category of a failed outcome: worked out once, however many policies ask."""
    category = outcome.category
    if category is None:
        category = outcome.category = _C.UNKNOWN if outcome.error is None else classify(outcome.error)
    return category


def explain(exc: BaseException) -> Explanation:
    """Return the category of an exception together with the rule that answered and why. Never raises.

    >>> print(explain(ConnectionResetError("secret")))
    network (builtin: ConnectionError is network); recovery: retry
    """
    verdict = _decide(exc)
    return Explanation(verdict.category, verdict.rule, verdict.reason)


def categories_of(exc: BaseException) -> ErrorCategory:
    """Return the leaves of all members of an exception group in one, and the leaf of any other exception.

    A policy that is meant for a group only where it is meant for each member compares these with its own.

    >>> categories_of(ExceptionGroup("both", [TimeoutError(), ConnectionResetError()])).label
    'timeout|network'
    """
    if not issubclass(type(exc), BaseExceptionGroup):
        return classify(exc)
    category = ErrorCategory(0)
    for member in members_of(exc):
        category |= classify(member)
    return category


def _decide(exc: BaseException) -> _Verdict:
    """Ask the rules, and remember the answer where it holds for the type.

    The rules are read once: an answer must not be remembered under others than those it was worked out by.
    """
    try:
        rules = current_rules()
        verdict = _by_rules(exc, rules)
        if verdict.settled:
            rules.settle(type(exc), verdict.category)
        return verdict
    except Exception:  # an exception that cannot be examined must not replace the failure it stands for
        return _Verdict(_C.UNKNOWN, "unknown", "the exception cannot be examined")


# -- the rules, in order -----------------------------------------------------------------------------------------------


def _by_rules(exc: BaseException, rules: Rules) -> _Verdict:
    """Return what the application registered, the class before the predicates; else the answer of the later rules."""
    kind: type = type(exc)
    if not is_kind(kind, BaseException):
        return _Verdict(_C.UNKNOWN, "unknown", "this is no exception")
    found = rules.by_type(exc)
    if found is not None:
        return _Verdict(found.category, "registered", found.why, settled=uses_plain_lookup(kind))
    found = rules.by_predicate(exc)
    if found is not None:
        return _Verdict(found.category, "registered", found.why)
    verdict = _by_declaration(exc, kind)
    if rules.predicates:  # any one of them may say yes to the next exception of this type
        return verdict._replace(settled=False)
    return verdict


def _by_declaration(exc: BaseException, kind: type) -> _Verdict:
    """Return what the exception declares in `category`; a group of categories leaves the choice to the later rules."""
    if not (is_kind(kind, Exception) or is_kind(kind, BaseExceptionGroup)):
        plain = uses_plain_lookup(kind)
        return _Verdict(_C.CANCELLED, "builtin", f"{kind.__qualname__} ends the program or the task", plain)
    declared = safe_getattr(exc, "category")
    if type(declared) is not ErrorCategory or not declared:
        return _by_knowledge(exc, kind)
    if declared.is_leaf:
        settled = uses_plain_lookup(kind) and class_category(kind) is declared
        return _Verdict(declared, "declared", f"the exception declares {declared.label}", settled)
    later = _by_knowledge(exc, kind)
    if later.category in declared:
        rule: Rule = "declared" if later.rule == "unknown" else later.rule
        return _Verdict(later.category, rule, f"the exception declares {declared.label}, and {later.reason}")
    leaf = representative(declared)
    return _Verdict(leaf, "declared", f"the exception declares {declared.label}, for which {leaf.label} stands")


def _by_knowledge(exc: BaseException, kind: type) -> _Verdict:
    """Return what the toolkit knows of the exception; a refused certificate inside a network failure decides."""
    verdict = _by_client(exc, kind) or _by_attributes(exc, kind)
    if verdict.category is not _C.NETWORK:
        return verdict
    if hides_certificate(exc):
        return _Verdict(_C.CONFIGURATION, verdict.rule, "a certificate was not accepted; trying again cannot help")
    return verdict._replace(settled=verdict.settled and adds_no_wrapping_attribute(kind))


def _by_client(exc: BaseException, kind: type) -> _Verdict | None:
    """Return the answer of the client libraries' tables, also where that is UNKNOWN and no later rule knows better.

    The most derived class that has a row answers, unless its row leaves the answer to the base classes.
    """
    first: str | None = None
    for base in kind.__mro__:
        library, name = qualified_name(base)
        row = library_named(library).categories.get(name)
        if row is None:
            continue
        where = f"{library}.{name} is in the {library} table"
        match = _read(row, exc)
        if match is not None:
            plain = first is None and isinstance(row, ErrorCategory)
            settled = plain and uses_plain_lookup(kind) and declares_none_of(kind, "category")
            reason = f"{library}.{name}: {match.why}" if match.why else where
            return _Verdict(match.category, "client", reason, settled)
        first = first or where
    if first is None:
        return None
    carried = _by_attributes(exc, kind)
    if carried.rule != "unknown":
        return carried._replace(settled=False)
    return _Verdict(_C.UNKNOWN, "client", first)


def _read(row: CategoryRow, exc: BaseException) -> Match | None:
    """Return the answer of one row, without a reason where the row itself is the reason.

    The functions of an outsider's table are code of the program: one that raises, or answers with anything but a
    leaf, is logged once and passed over.
    """
    if row is _UNKNOWN:
        return None
    if isinstance(row, ErrorCategory):
        return Match(row, "")
    try:
        found = row(exc)
        if isinstance(found, ErrorCategory):
            found = Match(found, "")
        if found is None or found.category in _LEAVES:
            return found
        raise ValueError("it did not return a leaf")
    except Exception as error:
        log_callback_error("classification row", row, error)
        return None


def _by_attributes(exc: BaseException, kind: type) -> _Verdict:
    """Return what a status or code of the exception says, then its members, then its built-in base classes.

    An errno decides differently for each exception, so an answer that was read from one is not settled, nor is that of
    an OSError without one: the next may carry it.
    """
    found = by_structure(exc)
    if found is not None:
        return _Verdict(found.category, "structure", found.why)
    if is_kind(kind, BaseExceptionGroup):
        return _by_members(exc)
    found = by_builtin(exc)
    settled = uses_plain_lookup(kind) and declares_none_of(kind, *_ASKED)
    if found is not None:
        return _Verdict(found.category, "builtin", found.why, settled and not found.why.startswith("errno"))
    settled = settled and not is_kind(kind, OSError)
    return _Verdict(_C.UNKNOWN, "unknown", f"no rule knows {kind.__qualname__}", settled)


def _by_members(group: BaseException) -> _Verdict:
    """Return the least recoverable of the members' categories: a group is retried only where each member would be."""
    members = members_of(group)
    leaf = least_recoverable([classify(member) for member in members])
    return _Verdict(leaf, "group", f"of its {len(members)} members the least recoverable is {leaf.label}")
