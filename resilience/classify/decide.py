"""Exception -> category: the order of the rules, and the answers already known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from resilience.category import ErrorCategory, Recovery
from resilience.classify.builtins import by_builtin
from resilience.classify.certificate import hides_certificate, is_alone, leads_nowhere
from resilience.classify.clients import rows_of
from resilience.classify.groups import members_of
from resilience.classify.look import Found, attribute, name_of
from resilience.classify.order import least_recoverable, spokesman
from resilience.classify.registry import Rules, current_rules
from resilience.classify.static import declared_by, is_kind, is_tame, says_nothing
from resilience.classify.structure import ASKED, by_structure
from resilience.outcome import Outcome
from resilience.profile import row_of

__all__ = ["Explanation", "Rule", "categories_of", "category_of", "classify", "explain"]

Rule = Literal["registered", "declared", "client", "structure", "builtin", "group", "unknown"]
"""Which rule answered."""

_C = ErrorCategory
_PLAIN = ASKED | {"category"}
_NETWORK = _C.NETWORK  # the one answer that looks further: a bad certificate hides in connection errors


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an exception is in its category: the rule that answered, and what it saw.

    *reason* never holds the exception's message or arguments, which may be secret.
    """

    category: ErrorCategory
    rule: Rule
    reason: str

    @property
    def recovery(self) -> Recovery:
        """What whoever is told about the failure should do next."""
        return row_of(self.category).recovery

    def __str__(self) -> str:
        return f"{self.category.label} ({self.rule}: {self.reason}); recovery: {self.recovery.value}"


class _Verdict(NamedTuple):
    category: ErrorCategory
    rule: Rule
    reason: str
    settled: bool = False
    """Whether every exception of the type gets this answer, unless something was hung on it afterwards."""


def classify(exc: BaseException) -> ErrorCategory:
    """Do what `resilience.classify` says."""
    try:
        category = current_rules().settled.get(type(exc))
        if category is not None:
            hung = exc.__dict__
            if (not hung or _PLAIN.isdisjoint(hung)) and (category is not _NETWORK or is_alone(exc)):
                return category
    except Exception:  # noqa: S110 - a hostile metaclass or __dict__: take the long way
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
    try:
        rules = current_rules()
        verdict = _by_rules(exc, rules)
        if verdict.settled:
            rules.settle(type(exc), verdict.category)
        return verdict
    except Exception:  # an exception that cannot be looked at must not replace the failure it stands for
        return _Verdict(_C.UNKNOWN, "unknown", "the exception cannot be examined")


def _by_rules(exc: BaseException, rules: Rules) -> _Verdict:
    kind: type = type(exc)
    if not is_kind(kind, BaseException):
        return _Verdict(_C.UNKNOWN, "unknown", "this is no exception")
    found = rules.by_type(exc)
    if found is not None:
        return _Verdict(found.category, "registered", found.why, settled=is_tame(kind))
    found = rules.by_predicate(exc)
    if found is not None:
        return _Verdict(found.category, "registered", found.why)
    verdict = _by_us(exc, kind)
    # While there are predicates, any one of them may say yes to the next exception of this type.
    return verdict._replace(settled=False) if rules.predicates else verdict


def _by_us(exc: BaseException, kind: type) -> _Verdict:
    if not (is_kind(kind, Exception) or is_kind(kind, BaseExceptionGroup)):
        return _Verdict(_C.CANCELLED, "builtin", f"{kind.__qualname__} ends the program or the task", is_tame(kind))
    declared = attribute(exc, "category")
    if type(declared) is not ErrorCategory or not declared:
        return _by_knowledge(exc, kind)
    if declared.is_leaf:
        settled = is_tame(kind) and declared_by(kind) is declared
        return _Verdict(declared, "declared", f"the exception declares {declared.label}", settled)
    later = _by_knowledge(exc, kind)
    if later.category in declared:
        rule: Rule = "declared" if later.rule == "unknown" else later.rule
        return _Verdict(later.category, rule, f"the exception declares {declared.label}, and {later.reason}")
    leaf = spokesman(declared)
    return _Verdict(leaf, "declared", f"the exception declares {declared.label}, for which {leaf.label} stands")


def _by_knowledge(exc: BaseException, kind: type) -> _Verdict:
    verdict = _by_client(exc, kind) or _by_what_it_carries(exc, kind)
    if verdict.category is _C.NETWORK:
        if hides_certificate(exc):
            return _Verdict(_C.CONFIGURATION, verdict.rule, "a certificate was not accepted; trying again cannot help")
        return verdict._replace(settled=verdict.settled and leads_nowhere(kind))
    return verdict


def _by_client(exc: BaseException, kind: type) -> _Verdict | None:
    """Return what the client table says, also when that is UNKNOWN and nothing else knows better."""
    known: str | None = None
    for base in kind.__mro__:
        library, name = name_of(base)
        row = rows_of(library).get(name)
        if row is None:
            continue
        where = f"{library}.{name} is in the {library} table"
        if isinstance(row, ErrorCategory):
            if row is not _C.UNKNOWN:
                settled = known is None and is_tame(kind) and says_nothing(kind, "category")
                return _Verdict(row, "client", where, settled)
        else:
            found = row(exc)
            if found is not None:
                category, why = found if isinstance(found, Found) else (found, where)
                return _Verdict(category, "client", f"{library}.{name}: {why}" if why != where else where)
        known = known or where
    if known is None:
        return None
    carried = _by_what_it_carries(exc, kind)
    if carried.rule != "unknown":
        return carried._replace(settled=False)
    return _Verdict(_C.UNKNOWN, "client", known)


def _by_what_it_carries(exc: BaseException, kind: type) -> _Verdict:
    found = by_structure(exc)
    if found is not None:
        return _Verdict(found.category, "structure", found.why)
    if is_kind(kind, BaseExceptionGroup):
        return _by_members(exc)
    found = by_builtin(exc)
    settled = is_tame(kind) and says_nothing(kind, *_PLAIN)
    if found is not None:
        return _Verdict(found.category, "builtin", found.why, settled and not found.why.startswith("errno"))
    settled = settled and not is_kind(kind, OSError)  # the next one may carry an errno
    return _Verdict(_C.UNKNOWN, "unknown", f"no rule knows {kind.__qualname__}", settled)


def _by_members(group: BaseException) -> _Verdict:
    members = members_of(group)
    leaves = [classify(member) for member in members]
    leaf = least_recoverable(leaves)
    return _Verdict(leaf, "group", f"of its {len(members)} members the least recoverable is {leaf.label}")
