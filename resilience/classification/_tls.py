"""TLS certificates that were refused, inside what looks like a network failure.

A client's connection error may wrap an `ssl.SSLCertVerificationError` several exceptions deep. Trying again cannot
cure it, so NETWORK is not believed before the chain has been searched. `wraps_no_exception` and
`adds_no_wrapping_attribute` keep that search away from the common case: an exception without a chain.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import cast

from resilience._safe_access import safe_getattr
from resilience.classification._type_traits import declares_none_of, uses_plain_lookup

__all__ = ["SEARCHED", "adds_no_wrapping_attribute", "hides_certificate", "wraps_no_exception"]

_WRAPPERS = frozenset({"reason", "os_error", "orig"})
"""Attributes that hold the wrapped exception: urllib3's and requests' `reason`, aiohttp's `os_error`, SQLAlchemy's
`orig`."""

SEARCHED = _WRAPPERS | {"args", "__cause__"}
"""Places whose exceptions are searched whenever the exception that has them is."""

_WRAPPING = _WRAPPERS | {"args", "__cause__", "__context__"}
_MAX_CHAINED = 64  # exceptions looked at in one chain; the deepest real one seen (requests over urllib3) has 9


def hides_certificate(exc: BaseException) -> bool:
    """Return whether *exc*, or anything it was made of, is a failed certificate verification.

    It was made of causes, contexts, arguments and wrapped errors. A chain may lead back to its beginning.
    """
    ssl = sys.modules.get("ssl")  # not imported: then no such error exists
    refused: object = getattr(ssl, "SSLCertVerificationError", None)
    if not isinstance(refused, type):
        return False
    chain = [exc]
    seen = {id(exc)}
    for one in chain:  # which grows meanwhile
        if issubclass(type(one), refused):
            return True
        for part in _parts_of(one):
            if issubclass(type(part), BaseException) and id(part) not in seen and len(seen) < _MAX_CHAINED:
                seen.add(id(part))
                chain.append(part)  # type: ignore[arg-type]
    return False


def _parts_of(exc: BaseException) -> list[object]:
    """Return what an exception refers to, and may wrap. ``raise ... from None`` has nothing to do with its context."""
    kind: type = type(exc)
    if not _keeps_parts_as_usual(kind):
        return _unusual_parts_of(exc)
    parts: list[object] = [*exc.args[:_MAX_CHAINED]]
    if exc.__cause__ is not None:
        parts.append(exc.__cause__)
    if not exc.__suppress_context__ and exc.__context__ is not None:
        parts.append(exc.__context__)
    own = exc.__dict__
    if own:
        parts += [own[name] for name in _WRAPPERS if name in own]
    return parts


def _unusual_parts_of(exc: BaseException) -> list[object]:
    """Return what an exception refers to where the class computes some of it, which may fail."""
    parts: list[object] = [safe_getattr(exc, "__cause__")]
    if not safe_getattr(exc, "__suppress_context__"):
        parts.append(safe_getattr(exc, "__context__"))
    parts += [safe_getattr(exc, name) for name in _WRAPPERS]
    args = safe_getattr(exc, "args")
    if type(args) is tuple:
        parts += cast("tuple[object, ...]", args)[:_MAX_CHAINED]
    return parts


@lru_cache(maxsize=1024)
def _keeps_parts_as_usual(kind: type) -> bool:
    return uses_plain_lookup(kind) and adds_no_wrapping_attribute(kind) and declares_none_of(kind, _SUPPRESS)


_SUPPRESS = frozenset({"__suppress_context__"})


def wraps_no_exception(exc: BaseException, own: dict[str, object]) -> bool:
    """Return whether there is no chain to follow from *exc*, whose instance attributes are *own*; sure where its type
    `adds_no_wrapping_attribute`.

    Part of the fast path of `classify`, so it reads attributes without any care for hostile ones; the caller has it.
    """
    if exc.__context__ is not None or exc.__cause__ is not None or not _WRAPPERS.isdisjoint(own):
        return False
    for part in exc.args:  # noqa: SIM110 - a generator costs as much as all the rest
        if type(part) is not str and issubclass(type(part), BaseException):
            return False
    return True


def adds_no_wrapping_attribute(kind: type) -> bool:
    """Return whether exceptions of this type keep what they wrap only where `wraps_no_exception` looks."""
    return declares_none_of(kind, _WRAPPING)
