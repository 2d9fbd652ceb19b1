"""The first thing that is sent to a kernel: it holds the helper's modules there, where no program finds them.

They are imported under their own names, for they name each other, and then put aside: a program in the kernel must find
the toolkit that is installed there, or none. While the helper is at work they are back. Standard library only.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

__all__ = ["Shipped"]

_ROOT = "resilience"


class Shipped(Loader):
    """The modules of *sources* (of each whether it is a package, and its text), of which *name* is the helper."""

    def __init__(self, name: str, sources: Mapping[str, tuple[bool, str]]) -> None:
        self._sources = sources
        self._modules: dict[str, ModuleType] = {}
        self._theirs: dict[str, ModuleType] = {}
        with self:
            __import__(name)
            self._helper: ModuleType = sys.modules[name]
        self._helper.toolkit = self  # type: ignore[attr-defined]  # it has one to be replaced

    def call(self, function: str, *arguments: object) -> object:
        """Call a function of the helper."""
        return getattr(self._helper, function)(*arguments)

    def __enter__(self) -> None:
        self._theirs = _taken()
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self)

    def __exit__(self, *raised: object) -> None:
        sys.meta_path.remove(self)
        self._modules = _taken()
        sys.modules.update(self._theirs)

    # -- what the import system asks for -------------------------------------------------------------------------

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say that a module is one of these."""
        if name not in self._sources:
            return None
        return ModuleSpec(name, self, origin=_file_of(name), is_package=self._sources[name][0])

    def create_module(self, spec: ModuleSpec) -> None:
        """Have the module made as usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the source of a module."""
        module.__file__ = _file_of(module.__name__)
        source = self._sources[module.__name__][1]
        exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # of our own


def _taken() -> dict[str, ModuleType]:
    """Take the toolkit's modules out of the list of modules."""
    names = [name for name in sys.modules if name.partition(".")[0] == _ROOT]
    return {name: sys.modules.pop(name) for name in names}


def _file_of(name: str) -> str:
    return f"<{name}>"
