"""One file for each library: how its breaker is set up, in which styles it is called, and which clock it reads."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from benchmarks.half_open.terms import Library
from benchmarks.terms import Unsupported, require_python

__all__ = ["load"]

#: In the order of the columns. `ours` comes last.
_FILES = (
    "pybreaker",
    "circuitbreaker",
    "purgatory",
    "pyresilience",
    "redress",
    "interlock",
    "nopanic",
    "grelmicro",
    "ours",
)


def load(names: Sequence[str] = _FILES) -> tuple[tuple[Library, ...], dict[str, str]]:
    """Return the libraries that run on this interpreter, and for each of the others the reason."""
    found: list[Library] = []
    unsupported: dict[str, str] = {}
    for name in names:
        try:
            require_python(name)
            found.append(cast("Library", importlib.import_module(f"{__name__}.{name}")))
        except Unsupported as reason:
            unsupported[name] = str(reason)
    return tuple(found), unsupported
