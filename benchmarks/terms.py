"""The settings that all candidates share, so that all of them do the same work."""

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
    "RATE",
    "RESET",
    "SLOTS",
    "THRESHOLD",
    "Function",
    "Unsupported",
    "Wrap",
    "new_name",
    "require_python",
]

# Some peers have no types, so the functions that are measured have none.
Function: TypeAlias = Callable[..., Any]
Wrap: TypeAlias = Callable[[Function], Function]

ATTEMPTS = 3
THRESHOLD = 5
#: Seconds an open circuit stays open: longer than any run.
RESET = 3600.0
#: Seconds of a time limit that never fires.
NEVER = 60.0
#: The calls that a bulkhead admits at a time; further ones are refused at once.
SLOTS = 20
#: The calls per second of a rate limit, and those that may go at once: it has a token for each call that is measured.
RATE = 10**8
#: The argument of every call.
ARGUMENT = 7
#: The value of every fallback.
DEFAULT = "default"
#: The error of every failing call: transient to all candidates.
ERROR = ConnectionResetError

#: The peers that need a later Python than this project does.
_LATER_PYTHON = {"grelmicro": (3, 12)}

_names = itertools.count(1)


class Unsupported(Exception):
    """A peer has no such thing, or does not run here; the message is the reason."""


def require_python(peer: str) -> None:
    """Raise `Unsupported` where *peer* needs a later Python than the running one."""
    major, minor = _LATER_PYTHON.get(peer, (3, 0))
    if sys.version_info < (major, minor):
        raise Unsupported(f"needs Python {major}.{minor}")


def new_name() -> str:
    """Return a new name of a circuit: some peers keep circuits by name for as long as the process lives."""
    return f"circuit-{next(_names)}"
