"""Whether greenlets take turns in the running thread, as gevent and eventlet have them do.

A signal's handler runs in whichever greenlet it finds, most often the hub's, so it cannot interrupt the one that a time
limit is for. Neither library is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["greenlets_take_turns"]


def greenlets_take_turns() -> bool:
    """Return whether a hub of gevent or eventlet runs in this thread, or will at the first wait."""
    for module, takes_turns in _SIGNS:
        if module in sys.modules:
            try:
                if takes_turns(sys.modules[module]):
                    return True
            except AttributeError:  # another version, or one that is being imported
                continue
    return False


_SIGNS: Sequence[tuple[str, Callable[[Any], bool]]] = (
    ("gevent._hub_local", lambda module: module.get_hub_if_exists() is not None),
    ("gevent.monkey", lambda module: module.is_module_patched("time")),
    ("eventlet.hubs", lambda module: hasattr(module._threadlocal, "hub")),
    ("eventlet.patcher", lambda module: module.is_monkey_patched("time")),
)
"""The modules of these libraries, and how each tells."""
