"""What the exceptions of client libraries mean: one file per library, named like its top-level module.

A file holds one table, `ROWS`: qualified class name -> category, or a function of the exception that returns a
category, or None when it cannot tell. It is imported when the first exception of that library is met. It never
imports the library: the classes are recognised by the names of their module and of themselves.

A row UNKNOWN, or a function that answers None, leaves the answer to the rows of the base classes and then to what
the exception carries (status, code, SQLSTATE) and its built-in base classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from resilience.category import ErrorCategory
from resilience.classify.look import Found

__all__ = ["Row", "Rows", "libraries", "rows_of"]

Row = ErrorCategory | Callable[[BaseException], ErrorCategory | Found | None]
"""What one class means."""
Rows = Mapping[str, Row]
"""What the classes of one library mean, by qualified name."""

_NO_ROWS: Rows = MappingProxyType({})
_MOST_REMEMBERED = 1024
_tables: dict[str, Rows] = {"builtins": _NO_ROWS}


def rows_of(library: str) -> Rows:
    """Return the table of a library, empty where there is none."""
    rows = _tables.get(library)
    if rows is None:
        rows = _load(library)
        if len(_tables) >= _MOST_REMEMBERED:
            _tables.clear()
        _tables[library] = rows
    return rows


def libraries() -> list[str]:
    """Return the names of all libraries that have a table."""
    import pkgutil

    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def _load(library: str) -> Rows:
    # Any text may stand in the __module__ of a class.
    if not library.isidentifier() or library.startswith("_"):
        return _NO_ROWS
    import importlib
    import importlib.util

    name = f"{__name__}.{library}"
    if importlib.util.find_spec(name) is None:
        return _NO_ROWS
    rows: Rows = importlib.import_module(name).ROWS
    return rows
