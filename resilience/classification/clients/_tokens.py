"""Failures to get a token, which identity clients raise as errors of authentication, whatever has happened."""

from __future__ import annotations

from resilience.categories import ErrorCategory
from resilience.classification._attributes import by_status
from resilience.classification.match import Match
from resilience.classification.tables import wrapped_category

__all__ = ["no_token"]


def no_token(exc: BaseException) -> Match | ErrorCategory:
    """Return what stopped the client from getting a token where that may pass, else AUTHENTICATION.

    An identity server that is down, slow or busy says nothing about the credentials: its status decides, or the
    exception of the HTTP client, which is the cause. A refusal is AUTHENTICATION with any other status.

    >>> error = PermissionError("no token")
    >>> error.__cause__ = ConnectionRefusedError()
    >>> no_token(error).label, no_token(PermissionError("no token")).label
    ('network', 'authentication')
    """
    answered = by_status(exc)
    if answered is not None and answered.category in ErrorCategory.TRANSIENT:
        return answered
    cause = wrapped_category(exc, "__cause__")
    if cause is not None and cause in ErrorCategory.TRANSIENT:
        return cause
    return ErrorCategory.AUTHENTICATION
