"""Import loader that holds the helper's modules inside a kernel, hidden from programs. It is sent to a kernel first.

The modules are imported under their own names, since they import each other, and then removed from `sys.modules`: a
program must import the toolkit that is installed there, or none. They return while the helper works. Standard library
only.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

__all__ = ["RemoteLoader"]

_ROOT = "resilience"


class RemoteLoader(Loader):
    """Loads the modules of *sources*: of each whether it is a package, and its text. *name* is the helper."""

    def __init__(self, name: str, sources: Mapping[str, tuple[bool, str]]) -> None:
        self._sources = sources
        self._modules: dict[str, ModuleType] = {}
        self._installed: dict[str, ModuleType] = {}
        with self:
            __import__(name)
            self._helper: ModuleType = sys.modules[name]
        self._helper.toolkit = self  # type: ignore[attr-defined]  # replaces a null context

    def call(self, function: str, *arguments: object) -> object:
        """Call a function of the helper."""
        return getattr(self._helper, function)(*arguments)

    def __enter__(self) -> None:
        self._installed = _take_own_modules()
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self)

    def __exit__(self, *raised: object) -> None:
        sys.meta_path.remove(self)
        self._modules = _take_own_modules()
        sys.modules.update(self._installed)

    # -- importlib's protocol ------------------------------------------------------------------------------------

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of *sources*."""
        if name not in self._sources:
            return None
        return ModuleSpec(name, self, origin=_file_of(name), is_package=self._sources[name][0])

    def create_module(self, spec: ModuleSpec) -> None:
        """Let importlib create the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module's source."""
        module.__file__ = _file_of(module.__name__)
        source = self._sources[module.__name__][1]
        exec(compile(source, module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # source of this toolkit


def _take_own_modules() -> dict[str, ModuleType]:
    """Remove the toolkit's modules from `sys.modules` and return them."""
    names = [name for name in sys.modules if name.partition(".")[0] == _ROOT]
    return {name: sys.modules.pop(name) for name in names}


def _file_of(name: str) -> str:
    return f"<{name}>"
