"""Failures which prove that the server has not processed a call: it may be made again though it is not idempotent.

The evidence a category needs is the field ``unsafe`` of its row. A failure that proves nothing is never assumed to be
safe: the call may have been processed, and only its answer was lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from resilience._safe_access import int_attribute, safe_getattr
from resilience.categories import ErrorCategory
from resilience.classification._attributes import by_grpc, status_of, status_of_result
from resilience.classification._delivery import never_connected
from resilience.classification._exception_groups import members_of
from resilience.classification.classifier import classify
from resilience.classification.retry_hints import retry_after, retry_after_of_result
from resilience.profiles import Profile, RetrySafety, profile_for

__all__ = ["may_be_sent_again", "result_may_be_followed_by_another"]

_GATEWAYS = frozenset({502, *range(520, 528)})
"""Statuses by which a gateway answers for a server that may have processed the request: 502, and Cloudflare's own."""

_SUCCESSES = frozenset(range(200, 300))
_UNPROVEN = _GATEWAYS | {None}  # of a result: not the server's own answer, or none by HTTP


def may_be_sent_again(row: Profile, error: Exception, rows: Callable[[ErrorCategory], Profile] = profile_for) -> bool:
    """Return whether a call that is not idempotent may be made again after *error*, whose category has this *row*.

    Of an exception group every member must allow it, each by its own row, which *rows* gives.
    """
    if issubclass(type(error), BaseExceptionGroup):
        members = members_of(error)
        return bool(members) and all(_is_proven(rows(classify(member)), member) for member in members)
    return _is_proven(row, error)


def result_may_be_followed_by_another(row: Profile, result: object) -> bool:
    """Return whether a call that is not idempotent may be made again after it returned *result*: a 429, for example."""
    if status_of_result(result) in _UNPROVEN:
        return False
    if row.unsafe is RetrySafety.HINTED:
        return _is_finite(retry_after_of_result(result))
    return row.unsafe is RetrySafety.ALWAYS


def _is_proven(row: Profile, error: BaseException) -> bool:
    return any(proves(error) for proves in _PROOFS[row.unsafe])


def _rejected(error: BaseException) -> bool:
    """Return whether the server itself rejected the call, and not a gateway in its place."""
    return not _passed_on(error)


def _asked_back(error: BaseException) -> bool:
    """Return whether the server asks for the call once more: it answered before it did anything (RFC 9110, 10.2.3)."""
    return _is_finite(retry_after(error)) and not _passed_on(error)


_PROOFS: Mapping[RetrySafety, Sequence[Callable[[BaseException], bool]]] = {
    RetrySafety.NEVER: (),
    RetrySafety.UNCONNECTED: (never_connected,),
    RetrySafety.HINTED: (_asked_back, never_connected),
    RetrySafety.ALWAYS: (_rejected, never_connected),
}
"""By what the row of the category asks for: what may prove it. One proof is enough."""


def _passed_on(error: BaseException) -> bool:
    """Return whether the call may have been processed, whatever its category.

    A gateway answered; or a client for the connection it lost, which is a status of gRPC's; or the answer had begun
    well, and failed in the middle.
    """
    if status_of(error) in _GATEWAYS:
        return True
    if int_attribute(safe_getattr(error, "response"), "status_code") in _SUCCESSES:
        return True
    said = by_grpc(error)
    return said is not None and said.category is ErrorCategory.UNAVAILABLE


def _is_finite(hint: float | None) -> bool:
    """Whether the server names a time: by infinity it says not to try again."""
    return hint is not None and hint != math.inf
