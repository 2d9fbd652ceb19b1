"""Tell the code of installed distributions from that of the application.

What is not known of a library is decided by general rules that leave an application's own classes alone, and a proof
that nothing was sent trusts the application's functions more than a library's. Both ask here. A module counts as
installed where it lies in a folder with the metadata of distributions; an application may be installed there too, and
is known by its use of this toolkit. Nothing is imported, and nothing but folder names is read from disk.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType

from resilience._safe_access import as_str, safe_getattr

__all__ = ["is_among_libraries", "is_class_of_a_library", "uses_this_toolkit"]


def is_class_of_a_library(kind: type) -> bool:
    """Return whether a class belongs to an installed distribution or to a module of the standard library.

    A class whose module is not loaded under its name, such as one made at run time, counts as the application's. So do
    Python's built-in classes, since everything raises them.

    >>> import sqlite3
    >>> is_class_of_a_library(sqlite3.Error), is_class_of_a_library(RuntimeError)
    (True, False)
    """
    return _is_library_module(as_str(safe_getattr(kind, "__module__")) or "")


@lru_cache(maxsize=1024)
def _is_library_module(name: str) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top != "builtins"
    file = as_str(safe_getattr(sys.modules.get(name), "__file__"))
    return file is not None and is_among_libraries(file, name) and not _is_application(top)


def _is_application(top: str) -> bool:
    """Return whether a loaded module of the package *top* has imported this toolkit."""
    prefix = f"{top}."
    modules = [module for name, module in list(sys.modules.items()) if f"{name}.".startswith(prefix)]
    return any(uses_this_toolkit(vars(module)) for module in modules if type(module) is ModuleType)


@lru_cache(maxsize=1024)
def is_among_libraries(file: str, module: str) -> bool:
    """Return whether a module's top-level package lies in a folder that has the metadata of distributions.

    Its name tells in the usual layouts, its content where libraries were installed by ``pip install --target``.
    """
    path = Path(file)
    depth = module.count(".") + (path.stem == "__init__")
    where = path.parent
    if depth < len(path.parents):
        where = path.parents[depth]
    if where.name in {"site-packages", "dist-packages"}:
        return True
    try:
        return any(entry.suffix == ".dist-info" for entry in where.iterdir())
    except OSError:  # an archive, say
        return False


def uses_this_toolkit(variables: Mapping[str, object]) -> bool:
    """Return whether a module, given by its variables, has imported this toolkit, or a class or function of it."""
    return any(_home(value).partition(".")[0] == "resilience" for value in list(variables.values()))


def _home(value: object) -> str:
    """Return the module that a module, class or function is, or was written in; empty for any other value."""
    if type(value) is ModuleType:
        return as_str(safe_getattr(value, "__name__")) or ""
    if issubclass(type(value), FunctionType | type):
        return as_str(safe_getattr(value, "__module__")) or ""
    return ""
