"""Lazy attributes of packages: a public name is imported when it is first asked for (PEP 562).

`import resilience` then costs a few modules and no optional library, and a package can offer names of modules that
import much. Type checkers read the imports that each `__init__` has under `TYPE_CHECKING`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

__all__ = ["attach_lazy"]


def attach_lazy(package: str, attributes: Mapping[str, str], submodules: Collection[str] = ()) -> None:
    """Make *attributes* and *submodules* of *package* available without importing them yet.

    *attributes* has for each name the module of the package that defines it. *submodules* can be reached as
    ``package.module`` by a program that has imported the package alone. Call it in the package's ``__init__``; the
    package's ``__all__`` is what `dir` lists.
    """

    def get(name: str) -> object:
        import importlib

        if name in submodules:
            return importlib.import_module(f"{package}.{name}")
        if name not in attributes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{package}.{attributes[name]}"), name)
        namespace[name] = value
        return value

    def listed() -> list[str]:
        return sorted(namespace["__all__"])

    namespace = vars(sys.modules[package])
    namespace["__getattr__"] = get
    namespace["__dir__"] = listed
