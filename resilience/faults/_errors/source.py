"""Tools of the makers of exceptions: the message, an import that may fail, and the choice by leaf."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

from resilience.categories import ErrorCategory

__all__ = ["MESSAGE", "URL", "Source", "chosen", "module_of"]

C = TypeVar("C", int, str)

MESSAGE = "injected by chaos"
"""The message of every exception that is injected."""
URL = "http://injected.invalid/"
"""The address of requests that were not made."""

Source: TypeAlias = Callable[[ErrorCategory, str], Iterator[Exception]]
"""Yields exceptions of a library, given by its name, that may mean a leaf; the likeliest first."""


def module_of(name: str) -> Any:
    """Return a module of a library; None where it cannot be imported.

    >>> module_of("json").__name__, module_of("json.missing")
    ('json', None)
    """
    try:
        found: ModuleType = importlib.import_module(name)
    except Exception:  # it is not installed, or not for this version of Python
        return None
    return found


def chosen(
    leaf: ErrorCategory,
    by_leaf: Mapping[ErrorCategory, Callable[[], Exception]],
    codes: Mapping[ErrorCategory, C],
    by_code: Callable[[C], Exception],
) -> Iterator[Exception]:
    """Yield the exception that a leaf has for itself, then the one that is made of the code of the leaf.

    >>> timeout = ErrorCategory.TIMEOUT
    >>> list(chosen(timeout, {timeout: TimeoutError}, {timeout: 504}, OSError))
    [TimeoutError(), OSError(504)]
    """
    if leaf in by_leaf:
        yield by_leaf[leaf]()
    if leaf in codes:
        yield by_code(codes[leaf])
