"""Precedence between categories: which one stands for several.

An exception group has a category of its own, and an exception may declare a group of categories in place of a leaf.
Policies decide by one leaf. The order is from what heals by itself to what nothing heals, and where it matters whether
a call may be repeated at all, the table of profiles in force goes first: an application may have changed it.
"""

from __future__ import annotations

from collections.abc import Iterable

from resilience.categories import ErrorCategory
from resilience.profiles import RetrySafety, profile_for

__all__ = ["least_recoverable", "representative"]

_C = ErrorCategory
# From what heals by itself to what nothing heals.
_BY_RECOVERABILITY = (
    _C.UNAVAILABLE, _C.RATE_LIMIT, _C.NETWORK, _C.SERVER_ERROR, _C.TIMEOUT,
    _C.REJECTED, _C.DEPENDENCY, _C.CAPACITY,
    _C.RUNTIME, _C.SYNTAX, _C.IMPORT, _C.GENERATION, _C.MEMORY,
    _C.VALIDATION, _C.NOT_FOUND, _C.CONFLICT,
    _C.AUTHENTICATION, _C.CONFIGURATION, _C.AUTHORIZATION, _C.SECURITY,
    _C.EXECUTION_TIMEOUT, _C.EXHAUSTED, _C.APPROVAL,
    _C.UNKNOWN, _C.INTERNAL, _C.CANCELLED,
)  # fmt: skip
_RANK = {category: rank for rank, category in enumerate(_BY_RECOVERABILITY)}
_UNSAFE_RANK = {RetrySafety.ALWAYS: 0, RetrySafety.HINTED: 1, RetrySafety.UNCONNECTED: 2, RetrySafety.NEVER: 3}
_TURNED_AWAY = (RetrySafety.ALWAYS, RetrySafety.HINTED)


def least_recoverable(leaves: Iterable[ErrorCategory]) -> ErrorCategory:
    """Return the leaf whose profile is right for all of *leaves*: retried only if each of them is.

    Among leaves that are retried, the one that is most careful with calls that must not be repeated.

    >>> least_recoverable([_C.TIMEOUT, _C.VALIDATION, _C.UNAVAILABLE]).label
    'validation'
    """
    return max(leaves, key=_retry_rank)


def _retry_rank(leaf: ErrorCategory) -> tuple[bool, bool, int, int]:
    """Return how far a leaf is from being retried, for comparison: cancelled last of all, then what is not retried."""
    profile = profile_for(leaf)  # the row in force: an application may have changed what is retried
    careful = _UNSAFE_RANK[profile.unsafe] if profile.retry else 0
    return leaf is _C.CANCELLED, not profile.retry, careful, _RANK[leaf]


def representative(group: ErrorCategory) -> ErrorCategory:
    """Return the leaf that stands for an exception which says no more than *group*.

    The most recoverable leaf, except that a coarse word is no proof that the call never arrived: a leaf whose
    calls may be turned away speaks only where there is no other of its kind. So INFRASTRUCTURE and TRANSIENT
    are NETWORK, RETRYABLE is SERVER_ERROR, CLIENT_ERROR is VALIDATION, CODE_RELATED is RUNTIME.

    >>> representative(ErrorCategory.TRANSIENT).label
    'network'
    """
    leaves = sorted(group, key=lambda leaf: (not profile_for(leaf).retry, _RANK[leaf]))
    retried = [leaf for leaf in leaves if profile_for(leaf).retry]
    careful = [leaf for leaf in retried if profile_for(leaf).unsafe not in _TURNED_AWAY]
    return (careful or retried or leaves)[0]
