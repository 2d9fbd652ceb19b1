"""TLS certificates that were refused, inside what looks like a network failure.

A client's connection error may wrap an `ssl.SSLCertVerificationError` several exceptions deep. Trying again cannot
cure it, so NETWORK is not believed before the chain has been searched. `wraps_no_exception` and
`adds_no_wrapping_attribute` keep that search away from the common case: an exception without a chain.
"""

from __future__ import annotations

import sys

from resilience._safe_access import wrapped_exceptions
from resilience.classification._type_traits import declares_none_of

__all__ = ["adds_no_wrapping_attribute", "hides_certificate", "wraps_no_exception"]


def hides_certificate(exc: BaseException) -> bool:
    """Return whether *exc*, or anything it was made of, is a failed certificate verification."""
    ssl = sys.modules.get("ssl")  # not imported: then no such error exists
    refused: object = getattr(ssl, "SSLCertVerificationError", None)
    if not isinstance(refused, type):
        return False
    return any(issubclass(type(part), refused) for part in (exc, *wrapped_exceptions(exc)))


def wraps_no_exception(exc: BaseException) -> bool:
    """Return whether there is no chain to follow from *exc*; sure where its type `adds_no_wrapping_attribute`.

    Part of the fast path of `classify`, so it reads attributes without any care for hostile ones; the caller has it.
    """
    if exc.__context__ is not None or exc.__cause__ is not None or exc.__dict__:
        return False
    for part in exc.args:  # noqa: SIM110 - a generator costs as much as all the rest
        if type(part) is not str and issubclass(type(part), BaseException):
            return False
    return True


def adds_no_wrapping_attribute(kind: type) -> bool:
    """Return whether exceptions of this type keep what they wrap only where `wraps_no_exception` looks."""
    return declares_none_of(kind, "reason", "os_error", "orig", "args", "__cause__", "__context__")
