"""Detection of greenlets that take turns in the running thread, as gevent and eventlet have them do.

A signal's handler runs in whichever greenlet it finds, most often the hub's, so it cannot interrupt the one that a time
limit is for. Neither library is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

__all__ = ["greenlets_take_turns"]


def greenlets_take_turns() -> bool:
    """Return whether a hub of gevent or eventlet runs in this thread, or will at the first wait."""
    return any(takes_turns(sys.modules.get(module)) for module, takes_turns in _SIGNS)


def _nothing(*_: object) -> None:
    """Stand for a function that a module has not: it is not loaded, is being loaded, or is another version."""


_SIGNS: Sequence[tuple[str, Callable[[object], bool]]] = (
    ("gevent._hub_local", lambda module: getattr(module, "get_hub_if_exists", _nothing)() is not None),
    ("gevent.monkey", lambda module: bool(getattr(module, "is_module_patched", _nothing)("time"))),
    ("eventlet.hubs", lambda module: hasattr(getattr(module, "_threadlocal", None), "hub")),
    ("eventlet.patcher", lambda module: bool(getattr(module, "is_monkey_patched", _nothing)("time"))),
)
"""The modules of these libraries, and how each tells."""
