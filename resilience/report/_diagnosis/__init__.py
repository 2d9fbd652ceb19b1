"""Diagnosis of a failure: its cause, the facts that led to it, and what to do.

A module for each family of failures holds its diagnosers: functions of a `FailureContext` that return a `Diagnosis`, or
None where they recognise nothing. `diagnose` asks those of the exception's class and its bases, then those of its root
cause, then the category's row. No diagnoser runs code of the program, and none may cost the report: an error in one is
logged, and a plainer diagnosis is returned.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from resilience._callback_errors import log_callback_error
from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json, bounded, safe_value
from resilience.errors._redaction import redact_forms
from resilience.report._diagnosis import libraries
from resilience.report._diagnosis.activity import context_of
from resilience.report._diagnosis.categories import diagnose_by_category
from resilience.report._diagnosis.context import FailureContext, as_mapping
from resilience.report._diagnosis.corrections import with_correction
from resilience.report._diagnosis.policy import violation
from resilience.report._diagnosis.rules import diagnose_by_rules
from resilience.report._diagnosis.system_rules import RULES
from resilience.report._path_redaction import is_library
from resilience.report.captured_exception import Captured
from resilience.report.diagnosis import Diagnosis
from resilience.report.failure import Failure

__all__ = ["diagnose"]

Diagnoser = Callable[[FailureContext], Diagnosis | None]

_IMPORTS = ("import ", "from ")
_MAX_SUGGESTIONS = 5
_MAX_FACTORS = 6
_MAX_SENTENCE = 400
_MAX_DEPTH = 10

_DIAGNOSERS = {
    "SyntaxError": ("syntax", "syntax_error"),
    "UnboundLocalError": ("names", "unbound_local"),
    "UndefinedVariableError": ("names", "undefined_in_query"),
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
    "SystemExit": ("exits", "system_exit"),
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
    context = FailureContext(failure)
    try:
        return _bounded(context, _corrected(context, _diagnose(context)))
    except Exception as error:  # a report with less in it is better than none
        log_callback_error("diagnosis", diagnose, error)
    return Diagnosis(
        immediate_cause=f"{context.type}: {context.message}"[:_MAX_SENTENCE],
        suggestions=("Look at the message and at the line that failed.",),
    )


def _corrected(context: FailureContext, found: Diagnosis) -> Diagnosis:
    try:
        return with_correction(context, found)
    except Exception as error:  # the diagnosis stands without a corrected line, too
        log_callback_error("correction", with_correction, error)
    return found


def _diagnose(context: FailureContext) -> Diagnosis:
    from resilience.report._diagnosis import limits

    if context.failure.violation is not None or context.failure.category is ErrorCategory.SECURITY:
        return violation(context)
    if context.failure.category is ErrorCategory.EXECUTION_TIMEOUT:
        return limits.timeout(context) or diagnose_by_category(context)
    if not context.exception:
        ended = limits.ended(context)
        if ended is not None:
            return ended
    if context.failure.category is ErrorCategory.MEMORY:
        return limits.memory(context) or diagnose_by_category(context)
    return (
        _diagnose_by_class(context)
        or _diagnose_root(context, in_library=False)
        or libraries.own_message(context)
        or _diagnose_root(context, in_library=True)
        or diagnose_by_category(context)
    )


def _diagnose_by_class(context: FailureContext) -> Diagnosis | None:
    refused = libraries.diagnose_library(context)
    if refused is not None:
        return refused
    for base in context.bases:
        name = base.rpartition(".")[2]
        found = _diagnoser(name)(context) if name in _DIAGNOSERS else None
        found = found or diagnose_by_rules(context, RULES.get(name, ()))
        if found is not None:
            return found
    return None


def _diagnose_root(context: FailureContext, *, in_library: bool) -> Diagnosis | None:
    """Explain what an exception that says nothing to us was raised from, in the end: on a line of the program, or not.

    What failed inside of a library is explained after the library's own message only: its variables are not the
    program's.
    """
    root = context.exception
    for _ in range(_MAX_DEPTH):
        root = as_mapping(root.get("cause")) or root
    if root is context.exception:
        return None
    below = FailureContext(replace(context.failure, exception=cast("Captured", root), violation=None))
    found = _diagnose_by_class(below)
    if found is None:
        return None
    line, where = below.line, ""
    if is_library(below.frame.filename):
        if not in_library:
            return None
        line = None  # a line of another file
    if line is not None:
        where = f" on line {line}"
    given: dict[str, Json] = {**found.specifics, "root_cause": below.type, "root_cause_line": line}
    if found.suggested_fix is not None:
        given.setdefault("fix_applies_to", _target_of_fix(below, found.suggested_fix))
    cause = f"it began with {below.type}{where}: {found.immediate_cause}"
    return replace(found, immediate_cause=cause, context="", specifics=given)


def _diagnoser(name: str) -> Diagnoser:
    module, function = _DIAGNOSERS[name]
    found: Diagnoser = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return found


def _bounded(context: FailureContext, found: Diagnosis) -> Diagnosis:
    """Return what was found, bounded and fit to be sent."""
    suggestions = dict.fromkeys(_bounded_sentence(each) for each in found.suggestions if each.strip())
    given = dict(found.specifics)
    if found.suggested_fix is not None:
        given.setdefault("fix_applies_to", _target_of_fix(context, found.suggested_fix))
    specifics = safe_value(given)
    return replace(
        found,
        immediate_cause=_bounded_sentence(found.immediate_cause),
        contributing_factors=tuple(_bounded_sentence(each) for each in found.contributing_factors[:_MAX_FACTORS]),
        suggestions=tuple(suggestions)[:_MAX_SUGGESTIONS],
        context=_bounded_sentence(found.context or context_of(context)),
        specifics=specifics if isinstance(specifics, dict) else {},
    )


def _target_of_fix(context: FailureContext, fix: str) -> str:
    if fix.startswith(_IMPORTS) and not context.code.startswith(_IMPORTS):
        return "a new line at the top"
    return f"line {context.line}"


def _bounded_sentence(text: str) -> str:
    # A sentence quotes code, in which `token=token` is no secret.
    return redact_forms(bounded(text, _MAX_SENTENCE))
