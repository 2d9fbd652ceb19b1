"""Sync time limits inside a transaction of Django: the call runs in a thread, which has another connection.

Django keeps a connection for each thread. What a limited call writes is then not part of the caller's transaction: it
stays after a rollback, and it does not see what the transaction has written. A warning says so once for each function.

Django is never imported here. Where the program has not loaded it, no call can be in a transaction of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import cast

from resilience._outcome import Outcome
from resilience._runtime.protocol import Call
from resilience._runtime.warn_once import WarnOnce
from resilience._safe_access import safe_getattr

__all__ = ["refused_in_transaction"]

IN_TRANSACTION = WarnOnce()
"""The warnings that have been given."""


def refused_in_transaction(call: Call) -> Outcome | None:
    """Warn where the thread that makes *call* is inside a Django transaction; return the warning as an error, if it is.

    None where the call may be made: all that costs a program without Django is one look at the loaded modules.
    """
    database = sys.modules.get("django.db")
    if database is None or IN_TRANSACTION.has_warned(call.target):
        return None
    alias = _alias_in_transaction(database)
    if alias is None:
        return None
    message = (
        f"{call.target} runs in a thread for its time limit, with a database connection of its own: it is no part of"
        f" the transaction that is open on {alias!r}. Begin the transaction inside of it, or give"
        " timeout(..., mode='signal')"
    )
    try:
        IN_TRANSACTION.warn(call.target, message)
    except RuntimeWarning as warning:
        return Outcome(None, warning)
    return None


def _alias_in_transaction(database: object) -> str | None:
    """Return the alias of a connection of this thread that is inside an atomic block; None without one."""
    try:
        connections = cast("Iterable[object]", database.connections.all(initialized_only=True))  # type: ignore[attr-defined]
        open_ones = [each for each in connections if safe_getattr(each, "in_atomic_block") is True]
    except Exception:  # settings that are not configured, or another version of Django
        return None
    return next((str(safe_getattr(each, "alias")) for each in open_ones), None)
