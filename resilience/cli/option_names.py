"""Advice in the words of the command line.

Reports of executed code give advice in Python's words, ``allowed_imports=['os']``. At a terminal the same is
``--allow os``. Only parameters of an execution that have an option are rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from resilience.report.model import ErrorReport

__all__ = ["in_option_names", "with_option_names"]

_OPTIONS = {
    "allowed_imports": "--allow",
    "memory_limit": "--memory",
    "security_level": "--level",
    "working_directory": "--directory",
}
_PARAMETER = re.compile(rf"\b(?P<parameter>{'|'.join(_OPTIONS)})(?:=\[?'(?P<value>[^']*)'\]?|(?=:))")


def in_option_names(text: str) -> str:
    """Return *text* with options in place of parameters.

    >>> in_option_names("allow it: allowed_imports=['os'], or security_level='moderate'.")
    'allow it: --allow os, or --level moderate.'
    """
    return _PARAMETER.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    return " ".join(filter(None, [_OPTIONS[found["parameter"]], found["value"]]))


def with_option_names(report: ErrorReport) -> ErrorReport:
    """Return *report* with its advice in the words of the command line; texts of the program stay as they are."""
    exception = report.exception
    if exception is not None:
        exception = replace(exception, suggestions=_all_in_option_names(exception.suggestions))
    options = (replace(each, description=in_option_names(each.description)) for each in report.recovery_options)
    return replace(
        report,
        exception=exception,
        suggestions=_all_in_option_names(report.suggestions),
        recovery_options=tuple(options),
    )


def _all_in_option_names(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(in_option_names, texts))
