"""Calls of our own once the program has imported a module: its figures are captured, its source is registered.

Neither the program nor a library imports anything earlier for that. Runs in the worker and in kernels: standard library
only.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

    OnImport = Callable[[Any], object]

__all__ = ["ImportHooks"]


class ImportHooks:
    """Calls a function with a module when it has been imported, or at once if it is imported already.

    While it is installed it stands first in `sys.meta_path`. It finds no module by itself: it asks the other finders,
    and has the module's loader call the function afterwards.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, OnImport] = {}
        self._finders: list[Any] = sys.meta_path

    def install(self) -> None:
        """Watch imports from now on. Idempotent."""
        if self not in self._finders:
            self._finders.insert(0, self)

    def remove(self) -> None:
        """Watch imports no longer."""
        if self in self._finders:
            self._finders.remove(self)

    def add(self, name: str, callback: OnImport) -> None:
        """Call *callback* with the module *name* once it is imported."""
        module = sys.modules.get(name)
        if module is None:
            self._callbacks[name] = callback
        else:
            callback(module)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> object:
        """Return the spec that the other finders have for a watched module; None for any other module."""
        callback = self._callbacks.pop(name, None)
        if callback is None:
            return None
        for finder in self._finders:
            spec: Any = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                _call_after_import(spec.loader, callback)
                return spec
        self._callbacks[name] = callback  # not installed
        return None


def _call_after_import(loader: Any, callback: OnImport) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        callback(module)

    try:
        loader.exec_module = exec_module
    except (AttributeError, TypeError):  # a loader that is a class, or has slots
        pass
