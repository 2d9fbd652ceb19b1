"""Exceptions of any library that the classifier has a table of, those of `register_library` included.

A row that gives a class one leaf is read backwards: the class is looked up in the library's modules, and called with a
message.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory
from resilience.classification.libraries import library_named
from resilience.faults._errors.source import MESSAGE, module_of

__all__ = ["by_table"]

_USUAL_PLACES = ("", ".exceptions", ".errors", ".error", ".exc")


def by_table(leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield exceptions of the classes whose row says *leaf*, in the order of the table."""
    for name, row in library_named(library).categories.items():
        if row is leaf and not name.rpartition(".")[2].startswith("_"):
            kind = _class_named(library, name)
            if kind is not None:
                yield from _made(kind)


def _class_named(library: str, name: str) -> type[Exception] | None:
    """Return an exception class of a library, by the name that its table has."""
    for module in _modules_of(library):
        found: object = module
        for part in name.split("."):
            found = safe_getattr(found, part)
        if isinstance(found, type) and issubclass(found, Exception) and found.__module__.startswith(library):
            return found
    return None


def _modules_of(library: str) -> Iterator[object]:
    """Yield the modules where a library is likely to have its exceptions, then all that are loaded."""
    for place in _USUAL_PLACES:
        yield module_of(library + place)
    for name, module in tuple(sys.modules.items()):
        if name.startswith(f"{library}."):
            yield module


def _made(kind: Any) -> Iterator[Exception]:
    """Yield an exception of a class that takes a message, or nothing."""
    for arguments in ((MESSAGE,), ()):
        try:
            yield kind(*arguments)
        except Exception:  # noqa: S110 - it wants other arguments: the next class may not
            pass
        else:
            return
