"""The classifier: asks the rules in order, and remembers the answers that hold for every exception of a type.

The order is what the application registered, what the exception declares (`category`), the tables of the client
libraries, the status or code that the exception carries, Python's own classes, the members of a group. The first rule
that knows answers. Where none does, an exception of a library may say that it can be tried again, stand for its cause,
or ask to wait; else the answer is UNKNOWN.

Most failures of a program are of a few types, and for most types the answer follows from the type alone. Such a
verdict is remembered: the next exception of the type costs one dictionary lookup. Where instances might differ in an
attribute, an argument or the answer of a registered predicate, what the rules say of the type is remembered
(`_type_rules`), and only the instance is looked at anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from resilience._callback_errors import log_callback_error
from resilience._outcome import Outcome
from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory, Recovery
from resilience.classification._attributes import by_self_description, by_structure
from resilience.classification._builtin_exceptions import by_builtin
from resilience.classification._causes import causes_of, decides
from resilience.classification._exception_groups import members_of
from resilience.classification._installed import is_class_of_a_library
from resilience.classification._precedence import least_recoverable, representative
from resilience.classification._tls import hides_certificate, wraps_no_exception
from resilience.classification._type_rules import CATEGORY, rules_of
from resilience.classification._type_traits import class_category, uses_plain_lookup
from resilience.classification._verdict import Rule, TypeRules, Verdict
from resilience.classification.library import CategoryRow
from resilience.classification.match import Match
from resilience.classification.registry import Rules, current_rules
from resilience.classification.retry_hints import retry_after
from resilience.profiles import profile_for

__all__ = ["Explanation", "Rule", "categories_of", "category_of", "classify", "explain"]

_C = ErrorCategory
_LEAVES = frozenset(map(id, _C))  # by identity: to hash a member of a Flag is a call of a Python function
_UNKNOWN = _C.UNKNOWN
_NETWORK = _C.NETWORK  # a bad certificate hides in connection errors
_OPEN = ("unknown", "client")  # the rules whose UNKNOWN means that they do not know


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of one answer: the category of an exception, the rule that answered, and what that rule read.

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


def classify(exc: BaseException) -> ErrorCategory:
    """Return the leaf category of an exception. Never raises.

    Asked in this order: what the application registered, `exc.category`, the tables of client libraries, the status
    or code the exception carries, Python's own classes. UNKNOWN is the answer of none. `explain` says which answered.
    Where `category` is a group, the rules that follow pick within it; where none does, one of its leaves is the answer.
    It is read of each object; a change on a class may not be seen after its first exception was classified.

    Cancellation, Ctrl-C and anything else that is no `Exception` is CANCELLED; policies never ask about it. An
    exception group is as recoverable as its least recoverable member.

    >>> classify(ConnectionResetError()).label
    'network'
    >>> classify(ValueError("no rule knows it")).label
    'unknown'
    """
    try:
        settled = current_rules().settled.get(type(exc))
        if settled is not None:
            category, unless = settled
            own = exc.__dict__
            if not own or unless.isdisjoint(own):
                if category is _UNKNOWN:
                    args = exc.args
                    if exc.__cause__ is None and (not args or (len(args) == 1 and type(args[0]) is not dict)):
                        return category
                elif category is not _NETWORK or wraps_no_exception(exc, own) or not hides_certificate(exc):
                    return category
    except Exception:  # noqa: S110 - a hostile metaclass or __dict__: take the slow path
        pass
    return _decide(exc).category


def category_of_part(exc: BaseException) -> ErrorCategory:
    """Return the category of an exception that another one keeps where certificates are searched for (`SEARCHED`).

    For the rows of tables. The search through the wrapper finds a refused certificate, so that none is made here.
    """
    try:
        category = _by_rules(exc, current_rules(), is_part=True).category
    except Exception:  # it cannot be examined
        return _UNKNOWN
    return classify(exc) if category is _UNKNOWN else category


def category_of(outcome: Outcome) -> ErrorCategory:
    """Return the category of a failed outcome: worked out once, however many policies ask."""
    category = outcome.category
    if category is None:
        category = outcome.category = _C.UNKNOWN if outcome.error is None else classify(outcome.error)
    return category


def explain(exc: BaseException) -> Explanation:
    """Return the category of an exception together with the rule that answered and why. Never raises.

    Where a client library wraps the exception that decides, the reason is that of the wrapped one.

    >>> print(explain(ConnectionResetError("secret")))
    network (builtin: ConnectionError is network); recovery: retry
    """
    verdict = _decide(exc)
    reason = verdict.reason
    if verdict.rule == "client" and reason.endswith(f" is {verdict.category.label}"):
        reason = _reason_of_cause(exc, verdict.category) or reason
    return Explanation(verdict.category, verdict.rule, reason)


def _reason_of_cause(exc: BaseException, category: ErrorCategory) -> str | None:
    """Return why an exception that *exc* wraps is in *category* as well; None where there is none."""
    try:
        found = (_decide(cause) for cause in causes_of(exc))
        return next((verdict.reason for verdict in found if verdict.category is category), None)
    except Exception:  # one that cannot be examined
        return None


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


def _decide(exc: BaseException) -> Verdict:
    """Ask the rules, and remember the answer where it holds for the type.

    The rules are read once: an answer must not be remembered under others than those it was worked out by.
    """
    try:
        rules = current_rules()
        verdict = _by_rules(exc, rules)
        if verdict.category is _UNKNOWN:
            verdict = _by_what_surrounds(exc, rules, verdict)
        if verdict.unless is not None:
            rules.settle(type(exc), verdict.category, verdict.unless)
        return verdict
    except Exception:  # an exception that cannot be examined must not replace the failure it stands for
        return Verdict(_C.UNKNOWN, "unknown", "the exception cannot be examined")


# -- the rules, in order -----------------------------------------------------------------------------------------------


def _by_rules(exc: BaseException, rules: Rules, *, is_part: bool = False) -> Verdict:
    """Return what the application registered, the class before the predicates; else the answer of the later rules.

    Of a part of another exception, NETWORK is believed without a search for a refused certificate.
    """
    known = rules_of(type(exc), rules)
    if known.registered is not None:
        return known.registered
    by_cause = known.follows_cause and _by_cause(exc, rules)
    if by_cause:
        return by_cause
    found: Match | None = None
    if rules.predicates:
        found = rules.by_predicate(exc)
    if found is not None:
        return Verdict(found.category, "registered", found.why)
    verdict = known.ending or _declared_category(exc, known)
    if not is_part and verdict.category is _NETWORK and verdict.rule != "declared" and hides_certificate(exc):
        return _refused_certificate(verdict.rule)
    if known.follows_cause or rules.predicates:  # either may decide about the next exception of this type
        return verdict._replace(unless=None)
    return verdict


def _declared_category(exc: BaseException, known: TypeRules) -> Verdict:
    """Return what the exception declares in `category`; a group of categories leaves the choice to the later rules."""
    declared = safe_getattr(exc, "category")
    if type(declared) is not ErrorCategory or not declared:
        return _known_category(exc, known)
    if declared.is_leaf:
        verdict = Verdict(declared, "declared", f"the exception declares {declared.label}")
        kind: type = type(exc)
        if uses_plain_lookup(kind) and class_category(kind) is declared:
            return verdict._replace(unless=CATEGORY)
        return verdict
    later = _known_category(exc, known)
    if later.category in declared:
        rule: Rule = "declared" if later.rule == "unknown" else later.rule
        return Verdict(later.category, rule, f"the exception declares {declared.label}, and {later.reason}")
    leaf = representative(declared)
    return Verdict(leaf, "declared", f"the exception declares {declared.label}, for which {leaf.label} stands")


def _known_category(exc: BaseException, known: TypeRules) -> Verdict:
    """Return what the toolkit knows of the exception: the tables, then what it carries, then Python's classes."""
    return _library_rules(exc, known) or _attribute_rules(exc, known)


def _refused_certificate(rule: Rule) -> Verdict:
    return Verdict(_C.CONFIGURATION, rule, "a certificate was not accepted; trying again cannot help")


def _library_rules(exc: BaseException, known: TypeRules) -> Verdict | None:
    """Return the answer of the client libraries' tables, also where that is UNKNOWN and no later rule knows better.

    The most derived class that has a row answers, unless its row leaves the answer to the base classes.
    """
    for row in known.rows:
        if row.verdict is not None:
            return row.verdict
        match = _read(row.read, exc)
        if match is not None:
            if match.why:
                return Verdict(match.category, "client", f"{row.name}: {match.why}")
            return Verdict(match.category, "client", f"{row.name} is {match.category.label}")
    if known.left_open is None:
        return None
    carried = _attribute_rules(exc, known)
    if carried.rule == "unknown":
        return known.left_open
    return Verdict(carried.category, carried.rule, carried.reason)


def _read(row: CategoryRow, exc: BaseException) -> Match | None:
    """Return the answer of one row, without a reason where the row itself is the reason.

    The functions of an outsider's table are code of the program: one that raises, or answers with anything but a
    leaf, is logged once and passed over.
    """
    try:
        found = cast("Callable[[BaseException], ErrorCategory | Match | None]", row)(exc)
        if isinstance(found, ErrorCategory):
            found = Match(found, "")
        if found is None or id(found.category) in _LEAVES:
            return found
        raise ValueError("it did not return a leaf")
    except Exception as error:
        log_callback_error("classification row", row, error)
        return None


def _attribute_rules(exc: BaseException, known: TypeRules) -> Verdict:
    """Return what a status or code of the exception says, then its members, then its built-in base classes."""
    found = by_structure(exc)
    if found is not None:
        return Verdict(found.category, "structure", found.why)
    if known.is_group:
        return _by_members(exc)
    return known.by_class or _builtin_rules(exc)


def _builtin_rules(exc: BaseException) -> Verdict:
    """Return what an OSError says by its errno, and a text that cannot be decoded by the response it came from."""
    found = by_builtin(exc)
    if found is None:
        return Verdict(_UNKNOWN, "unknown", f"no rule knows {type(exc).__qualname__}")
    return Verdict(found.category, "builtin", found.why)


def _by_members(group: BaseException) -> Verdict:
    """Return the least recoverable of the members' categories: a group is retried only where each member would be."""
    members = members_of(group)
    leaf = least_recoverable([classify(member) for member in members])
    return Verdict(leaf, "group", f"of its {len(members)} members the least recoverable is {leaf.label}")


# -- where no rule knows the exception ---------------------------------------------------------------------------------


def _by_what_surrounds(exc: BaseException, rules: Rules, verdict: Verdict) -> Verdict:
    """Return what an exception that no rule knows says of itself, was made of, or asks for; else *verdict*.

    An error that only asks to wait is a RATE_LIMIT. What was registered, declared or read from a code stays UNKNOWN.
    """
    if verdict.rule not in _OPEN or not isinstance(exc, Exception):
        return verdict
    said = by_self_description(exc)
    if said is not None:
        if hides_certificate(exc):
            return _refused_certificate("structure")
        return Verdict(said.category, "structure", said.why)
    found = _by_cause(exc, rules)
    if found is not None:
        return found
    if retry_after(exc) is not None:
        return Verdict(_C.RATE_LIMIT, "structure", "it asks to wait")
    return verdict


def _by_cause(exc: BaseException, rules: Rules) -> Verdict | None:
    """Return the category of the first exception that *exc* was made of and that a rule knows."""
    for cause in causes_of(exc, lambda kind: rules.follows_cause(kind) or is_class_of_a_library(kind)):
        verdict = _by_rules_of_type(cause, rules)
        if decides(verdict.category):
            return Verdict(verdict.category, "cause", f"by its cause {type(cause).__qualname__}: {verdict.reason}")
    return None


def _by_rules_of_type(cause: BaseException, rules: Rules) -> Verdict:
    """Return what the rules know of a cause itself; what surrounds it is looked at by the walk through the causes."""
    verdict = _by_rules(cause, rules)
    said = verdict.category is _UNKNOWN and by_self_description(cause)
    return Verdict(said.category, "structure", said.why) if said else verdict
