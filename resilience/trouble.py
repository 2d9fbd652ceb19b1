"""Errors of the user's own hooks: told once, never the caller's problem."""

from __future__ import annotations

import threading

__all__ = ["report_trouble"]

_MOST_REMEMBERED = 1000
_told: set[tuple[object, ...]] = set()
_lock = threading.Lock()


def report_trouble(role: str, hook: object, error: Exception) -> None:
    """Log that *hook*, called as *role*, raised: once for each hook and type of error.

    The traceback goes along, since it is the hook's own; nothing of the guarded call does.
    """
    name = str(getattr(hook, "__qualname__", None) or type(hook).__qualname__)
    # Two lambdas share a name, not a line. Not the hook itself: it may be made anew for every call.
    code = getattr(hook, "__code__", None)
    key = (role, name, getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", 0), type(error))
    with _lock:
        if key in _told:
            return
        if len(_told) >= _MOST_REMEMBERED:  # hooks made anew for every call must not fill the memory
            _told.clear()
        _told.add(key)
    import logging

    logging.getLogger("resilience").warning(
        "%s %s raised %s; the call goes on without it (told once)",
        role,
        name,
        type(error).__name__,
        exc_info=error,
    )
