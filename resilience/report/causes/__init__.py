"""Why something failed, and what to do about it: a room for each family of failures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from resilience.category import ErrorCategory
from resilience.errors.details import Json, safe_text, safe_value
from resilience.report.captured import Captured
from resilience.report.causes.case import Case, mapping
from resilience.report.causes.categories import by_category
from resilience.report.causes.context import context_of
from resilience.report.causes.policy import violation
from resilience.report.causes.rules import by_rules
from resilience.report.causes.system_rules import RULES
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure
from resilience.trouble import report_trouble

__all__ = ["diagnose"]

Room = Callable[[Case], Diagnosis | None]

_MOST_SUGGESTIONS = 5
_MOST_FACTORS = 6
_MOST_SENTENCE = 400
_MOST_DEEP = 10

_ROOMS = {
    "SyntaxError": ("syntax", "syntax_error"),
    "UnboundLocalError": ("names", "unbound_local"),
    "NameError": ("names", "name_error"),
    "AttributeError": ("attributes", "attribute_error"),
    "TypeError": ("type_errors", "type_error"),
    "JSONDecodeError": ("values", "json_error"),
    "ValueError": ("values", "value_error"),
    "ZeroDivisionError": ("values", "zero_division"),
    "OverflowError": ("values", "overflow"),
    "RecursionError": ("values", "recursion"),
    "KeyError": ("lookup", "key_error"),
    "IndexError": ("lookup", "index_error"),
    "StopIteration": ("lookup", "stop_iteration"),
    "StopAsyncIteration": ("lookup", "stop_iteration"),
    "ModuleNotFoundError": ("imports", "module_not_found"),
    "ImportError": ("imports", "import_error"),
    "AssertionError": ("machinery", "assertion"),
    "RuntimeError": ("machinery", "runtime_error"),
    "RuntimeWarning": ("machinery", "runtime_error"),
    "BaseExceptionGroup": ("machinery", "group"),
    "MemoryError": ("limits", "memory"),
}
"""For each class of Python's own the room, and the function in it; imported when it is first needed."""


def diagnose(failure: Failure) -> Diagnosis:
    """Say why *failure* happened, and what can be done. Never raises; there is always a suggestion.

    >>> diagnosis = diagnose(
    ...     Failure(category=ErrorCategory.IMPORT, error_type="ModuleNotFoundError", message="No module named 'yaml'")
    ... )
    >>> diagnosis.immediate_cause
    "there is no module 'yaml' where the program runs"
    >>> diagnosis.suggestions[-1]
    'Install it where the program runs: pip install PyYAML (the package is called PyYAML, the module yaml).'
    """
    case = Case(failure)
    try:
        return _finished(case, _found(case))
    except Exception as error:  # a report with less in it is better than none
        report_trouble("diagnosis", diagnose, error)
    return Diagnosis(
        immediate_cause=f"{case.type}: {case.message}"[:_MOST_SENTENCE],
        suggestions=("Look at the message and at the line that failed.",),
    )


def _found(case: Case) -> Diagnosis:
    from resilience.report.causes import limits

    if case.failure.violation is not None or case.failure.category is ErrorCategory.SECURITY:
        return violation(case)
    if case.failure.category is ErrorCategory.EXECUTION_TIMEOUT:
        return limits.timeout(case) or by_category(case)
    if not case.raised:
        ended = limits.ended(case)
        if ended is not None:
            return ended
    if case.failure.category is ErrorCategory.MEMORY:
        return limits.memory(case) or by_category(case)
    return _by_class(case) or _at_the_root(case) or by_category(case)


def _by_class(case: Case) -> Diagnosis | None:
    for base in case.bases:
        name = base.rpartition(".")[2]
        found = _room(name)(case) if name in _ROOMS else by_rules(case, RULES.get(name, ()))
        if found is not None:
            return found
    return None


def _at_the_root(case: Case) -> Diagnosis | None:
    """Explain what an exception that says nothing to us was raised from, in the end."""
    root = case.raised
    for _ in range(_MOST_DEEP):
        root = mapping(root.get("cause")) or root
    if root is case.raised:
        return None
    below = Case(replace(case.failure, exception=cast("Captured", root), violation=None))
    found = _by_class(below)
    if found is None:
        return None
    where = f" on line {below.line}" if below.line is not None else ""
    given: dict[str, Json] = {**found.specifics, "root_cause": below.type, "root_cause_line": below.line}
    if found.suggested_fix is not None:
        given.setdefault("fix_applies_to", _place_of_fix(below, found.suggested_fix))
    cause = f"it began with {below.type}{where}: {found.immediate_cause}"
    return replace(found, immediate_cause=cause, context="", specifics=given)


def _room(name: str) -> Room:
    module, function = _ROOMS[name]
    found: Room = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return found


def _finished(case: Case, found: Diagnosis) -> Diagnosis:
    """Return what was found, bounded and fit to be sent."""
    suggestions = dict.fromkeys(_sentence(each) for each in found.suggestions if each.strip())
    given = dict(found.specifics)
    if found.suggested_fix is not None:
        given.setdefault("fix_applies_to", _place_of_fix(case, found.suggested_fix))
    specifics = safe_value(given)
    return replace(
        found,
        immediate_cause=_sentence(found.immediate_cause),
        contributing_factors=tuple(_sentence(each) for each in found.contributing_factors[:_MOST_FACTORS]),
        suggestions=tuple(suggestions)[:_MOST_SUGGESTIONS],
        context=_sentence(found.context or context_of(case)),
        specifics=specifics if isinstance(specifics, dict) else {},
    )


def _place_of_fix(case: Case, fix: str) -> str:
    is_new = fix.startswith(("import ", "from ")) and not case.code.startswith(("import ", "from "))
    return "a new line at the top" if is_new else f"line {case.line}"


def _sentence(text: str) -> str:
    return safe_text(text, _MOST_SENTENCE)
