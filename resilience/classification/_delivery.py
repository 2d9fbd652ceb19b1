"""Decide whether a failure came before anything was sent: what never left this machine cannot have been done twice.

A retry repeats a call that is not idempotent only on such a proof. Most of the answer is in the `never_sent` tables of
the client libraries; here are the walk through wrapped exceptions and groups, and Python's own refusals.
"""

from __future__ import annotations

import errno
from typing import cast

from resilience._safe_access import int_attribute, mro, qualified_name, safe_getattr
from resilience.classification._exception_groups import members_of
from resilience.classification._prior_requests import proven_first
from resilience.classification.frames import frames_of, library_of
from resilience.classification.libraries import library_named

__all__ = ["never_connected", "never_sent"]

_MAX_WRAPPED = 16  # wrappers around one error; the deepest real one (sqlalchemy over asyncpg) has 3


def never_connected(exc: BaseException) -> bool:
    """Return whether *exc* surely came before anything of the request reached the server. Never raises.

    Surely: a connection that was refused, a name that was not resolved, what a client library raises only while it
    connects. A plain time-out, a reset, a broken pipe or an unreachable host may come in the middle of a request too.
    An earlier request of the same call counts: one that was answered with a redirect, one that the client retried.
    Where the traceback runs through a client that may have made one, its frames must show that there was none; an
    installed library that is not known to call once may have made one. Of a group, every member must be so.

    >>> never_connected(ConnectionRefusedError())
    True
    >>> never_connected(ConnectionResetError())
    False
    """
    try:
        return _never(exc, _MAX_WRAPPED, frozenset())
    except Exception:  # an exception that cannot be examined proves nothing
        return False


def never_sent(exc: BaseException) -> bool:
    """Return the same of the request that failed with *exc* alone, whatever came before it.

    For tables that know of each attempt how it ended, and put the answers together themselves.
    """
    return _never(exc, _MAX_WRAPPED, None)


def _never(exc: BaseException, depth: int, proven: frozenset[str] | None) -> bool:
    """Do what `never_connected` does, for an exception that has *depth* wrappers left to look into.

    *proven* are the clients that have sent nothing before, by what is known so far; None: that is not asked.
    """
    if proven is not None:
        proven = proven_first(exc, proven)
        if proven is None:
            return False
    if not depth:
        return False
    if issubclass(type(exc), BaseExceptionGroup):
        # Members were raised apart, and prove nothing for each other.
        return _all_never(members_of(exc), depth, None if proven is None else frozenset())
    for base in mro(exc):
        library, name = qualified_name(base)
        row = library_named(library).never_sent.get(name)
        if isinstance(row, bool):
            return row
        if callable(row):
            return row(exc)
        if row is not None:
            return _all_never(_wrapped(exc, library, row), depth, proven)
    return _is_refused(exc)


def _all_never(parts: list[BaseException], depth: int, proven: frozenset[str] | None) -> bool:
    return bool(parts) and all(_never(part, depth - 1, proven) for part in parts)


def _is_refused(exc: BaseException) -> bool:
    """Return whether the operating system has refused a connection.

    Unreachable hosts and networks (EHOSTUNREACH, ENETUNREACH) are reported to established connections as well.
    """
    kind: type = type(exc)
    return issubclass(kind, ConnectionRefusedError) or (
        issubclass(kind, OSError) and int_attribute(exc, "errno") == errno.ECONNREFUSED
    )


def _wrapped(exc: BaseException, library: str, names: tuple[str, ...]) -> list[BaseException]:
    """Return the exceptions that *exc* keeps in the named attributes, each one exception or a tuple of them."""
    found: list[object] = []
    for name in names:
        part = safe_getattr(exc, name)
        if type(part) is tuple:
            found += cast("tuple[object, ...]", part)
        elif name != "__context__" or _is_handled_by(library, part, exc):
            found.append(part)
    return [cast("BaseException", part) for part in found if issubclass(type(part), BaseException)]


def _is_handled_by(library: str, context: object, exc: BaseException) -> bool:
    """Return whether it was the library that handled the *context* of *exc*.

    Any other context is an exception that the caller was just dealing with, and shows nothing of this call.
    """
    handlers = frames_of(context)[:1]
    return bool(handlers) and handlers[0] in frames_of(exc) and library_of(handlers[0]) == library
