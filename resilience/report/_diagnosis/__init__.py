"""Why something failed, and what to do about it: a room for each family of failures."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from resilience._callback_errors import log_callback_error
from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json, bounded, safe_value
from resilience.errors._redaction import redact_forms
from resilience.report._diagnosis.activity import context_of
from resilience.report._diagnosis.categories import by_category
from resilience.report._diagnosis.context import Case, mapping
from resilience.report._diagnosis.policy import violation
from resilience.report._diagnosis.rules import by_rules
from resilience.report._diagnosis.system_rules import RULES
from resilience.report.captured_exception import Captured
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure

__all__ = ["diagnose"]

Diagnoser = Callable[[Case], Diagnosis | None]

_MOST_SUGGESTIONS = 5
_MOST_FACTORS = 6
_MOST_SENTENCE = 400
_MOST_DEEP = 10

_DIAGNOSERS = {
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
    "KeyError": ("missing_keys", "key_error"),
    "IndexError": ("missing_keys", "index_error"),
    "StopIteration": ("missing_keys", "stop_iteration"),
    "StopAsyncIteration": ("missing_keys", "stop_iteration"),
    "ModuleNotFoundError": ("imports", "module_not_found"),
    "ImportError": ("imports", "import_error"),
    "AssertionError": ("runtime_errors", "assertion"),
    "RuntimeError": ("runtime_errors", "runtime_error"),
    "RuntimeWarning": ("runtime_errors", "runtime_error"),
    "BaseExceptionGroup": ("runtime_errors", "group"),
    "MemoryError": ("limits", "memory"),
}
"""For each class of Python's own the module, and the function in it; imported when it is first needed."""


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
        log_callback_error("diagnosis", diagnose, error)
    return Diagnosis(
        immediate_cause=f"{case.type}: {case.message}"[:_MOST_SENTENCE],
        suggestions=("Look at the message and at the line that failed.",),
    )


def _found(case: Case) -> Diagnosis:
    from resilience.report._diagnosis import limits

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
        found = _diagnoser(name)(case) if name in _DIAGNOSERS else by_rules(case, RULES.get(name, ()))
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


def _diagnoser(name: str) -> Diagnoser:
    module, function = _DIAGNOSERS[name]
    found: Diagnoser = getattr(importlib.import_module(f"{__name__}.{module}"), function)
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
    return redact_forms(bounded(text, _MOST_SENTENCE))  # a sentence quotes code, in which `token=token` is none
