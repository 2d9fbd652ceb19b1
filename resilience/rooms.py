"""Packages whose names are imported when somebody first asks for one."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

__all__ = ["open_rooms"]


def open_rooms(package: str, rooms: Mapping[str, str], modules: Collection[str] = ()) -> None:
    """Have a *package* that is being imported find its names in *rooms*, modules of its own, when they are asked for.

    Its *modules* themselves, too, for those who write ``package.module`` and have imported the package alone.
    """

    def get(name: str) -> object:
        import importlib

        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in rooms:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(importlib.import_module(f"{package}.{rooms[name]}"), name)
        names[name] = found
        return found

    def listed() -> list[str]:
        return sorted(names["__all__"])

    names = vars(sys.modules[package])
    names["__getattr__"] = get  # PEP 562
    names["__dir__"] = listed
