"""Diagnosis of a failure: its cause, the facts that led to it, and what to do.

A module for each family of failures holds its diagnosers: functions of a `FailureContext` that return a `Diagnosis`, or
None where they recognise nothing. `diagnose` asks those of the exception's class and its bases, then those of its root
cause, then the category's row.

* **Input.** Diagnosers read the captured exception, the source and the hints. They never run code of the program, and
  never touch one of its objects: the failure may come from another process, or from a text.
* **Errors.** A diagnoser that raises is logged, and a plainer diagnosis is returned: none may cost the report.
* **Bounds.** A diagnosis has a bounded number of sentences, each of bounded length and without secrets.
* **Corrections.** A corrected line is proposed only if the program compiles with it (`correction`, `line_edits`); where
  two corrections are possible, none is proposed.
* **Imports.** Modules of diagnosers are imported when the first failure of their class is diagnosed.

To explain a new message, add a `Rule` to one of the tables where the message says enough; write a diagnoser only where
the source or the values have to be looked at.
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
    """Add the corrected line that follows from the program. The diagnosis stands without it where that raises."""
    try:
        return with_correction(context, found)
    except Exception as error:  # the diagnosis stands without a corrected line, too
        log_callback_error("correction", with_correction, error)
    return found


def _diagnose(context: FailureContext) -> Diagnosis:
    """Ask the diagnosers in the order of how much they know.

    A violation of a policy and the limits of time and memory come first: the exception that they end with, if any, says
    nothing of the cause. A process that ended without an exception is explained by its signal or exit code. The
    sentence of a library comes after the root cause on a line of the program, and before one inside of the library.
    """
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
    """Return what the first of an exception's classes has: libraries, then its diagnoser, then its rules.

    ``ConnectionRefusedError`` is asked for before ``ConnectionError`` and ``OSError``: the nearest class says most.
    """
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
    """Explain the root cause of an exception that no diagnoser recognises: the end of its chain of causes.

    *in_library* says whether the root may lie in a library's own code. Such a root is explained after the library's
    message only: its variables are not the program's. The chain is followed `_MAX_DEPTH` links far, and the line that
    is named is that of the root.
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
    """Import the diagnoser of a class of Python's own, a key of `_DIAGNOSERS`."""
    module, function = _DIAGNOSERS[name]
    found: Diagnoser = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return found


def _bounded(context: FailureContext, found: Diagnosis) -> Diagnosis:
    """Return what was found, bounded and fit to be sent.

    Suggestions are each given once, at most `_MAX_SUGGESTIONS`; sentences are cut and redacted; ``specifics`` hold JSON
    alone. Where no diagnoser has said in which function and call the failure happened, `activity.context_of` does.
    """
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
    """Return where a corrected line belongs: at the failing line, or, for an import that is missing, at the top."""
    if fix.startswith(_IMPORTS) and not context.code.startswith(_IMPORTS):
        return "a new line at the top"
    return f"line {context.line}"


def _bounded_sentence(text: str) -> str:
    # A sentence quotes code, in which `token=token` is no secret.
    return redact_forms(bounded(text, _MAX_SENTENCE))
