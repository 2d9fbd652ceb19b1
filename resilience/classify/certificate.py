"""A certificate that was not accepted, inside what looks like a network failure."""

from __future__ import annotations

import sys

from resilience.classify.look import chained
from resilience.classify.static import says_nothing

__all__ = ["hides_certificate", "is_alone", "leads_nowhere"]


def hides_certificate(exc: BaseException) -> bool:
    """Return whether *exc*, or anything it was made of, is a failed certificate verification."""
    ssl = sys.modules.get("ssl")  # where nobody imported it, no such error exists
    refused: object = getattr(ssl, "SSLCertVerificationError", None)
    if not isinstance(refused, type):
        return False
    return issubclass(type(exc), refused) or any(issubclass(type(part), refused) for part in chained(exc))


def is_alone(exc: BaseException) -> bool:
    """Return whether there is nothing to follow from *exc*; quick, and sure for a type that `leads_nowhere`."""
    if exc.__context__ is not None or exc.__cause__ is not None or exc.__dict__:
        return False
    for part in exc.args:  # noqa: SIM110 - a generator costs as much as all the rest
        if type(part) is not str and issubclass(type(part), BaseException):
            return False
    return True


def leads_nowhere(kind: type) -> bool:
    """Return whether exceptions of this type keep what they wrap where `is_alone` looks."""
    return says_nothing(kind, "reason", "os_error", "orig", "args", "__cause__", "__context__")
