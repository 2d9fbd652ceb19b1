"""What every candidate is set up with, so that all of them do the same."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = [
    "ARGUMENT",
    "ATTEMPTS",
    "DEFAULT",
    "ERROR",
    "NEVER",
    "RESET",
    "THRESHOLD",
    "Function",
    "Unsupported",
    "Wrap",
    "new_name",
    "require_python",
]

# Peers without type stubs pass through here: what is measured is untyped on purpose.
Function: TypeAlias = Callable[..., Any]
Wrap: TypeAlias = Callable[[Function], Function]

ATTEMPTS = 3
THRESHOLD = 5
#: Seconds an open circuit stays open: longer than any run.
RESET = 3600.0
#: Seconds of a time limit that never fires.
NEVER = 60.0
#: What every function is called with.
ARGUMENT = 7
#: What a fallback answers with.
DEFAULT = "default"
#: What a failing call raises: everybody's idea of an error that passes.
ERROR = ConnectionResetError

#: The peers that need a later Python than this project does.
_LATER_PYTHON = {"grelmicro": (3, 12)}

_names = itertools.count(1)


class Unsupported(Exception):
    """A peer cannot do this; the text says why."""


def require_python(peer: str) -> None:
    """Raise `Unsupported` where *peer* needs a later Python than the running one."""
    major, minor = _LATER_PYTHON.get(peer, (3, 0))
    if sys.version_info < (major, minor):
        raise Unsupported(f"needs Python {major}.{minor}")


def new_name() -> str:
    """Return a name no circuit has had: some peers keep circuits by name for as long as the process lives."""
    return f"circuit-{next(_names)}"
