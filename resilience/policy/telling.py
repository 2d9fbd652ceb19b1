"""What a retry tells: its events, made of a call's history. Apart, for they are only made where somebody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.policy.history import History
from resilience.policy.stop import StopReason

if TYPE_CHECKING:
    from resilience.events import AttemptFailed, CallRevised, RetriesExhausted, RetryScheduled

__all__ = ["exhausted", "failed", "revised", "scheduled"]


def failed(history: History, error: Exception) -> AttemptFailed:
    """Tell that an attempt failed."""
    from resilience.events import AttemptFailed

    category = history.recent[-1][0]
    return AttemptFailed(target=history.target, policy="retry", attempt=history.made, category=category, error=error)


def scheduled(history: History, wait: float, error: Exception | None) -> RetryScheduled:
    """Tell that the call is made again after *wait* seconds."""
    from resilience.events import RetryScheduled

    return RetryScheduled(
        target=history.target,
        policy="retry",
        attempt=history.made,
        category=history.recent[-1][0],
        wait=wait,
        error=error,
    )


def revised(history: History, error: Exception) -> CallRevised:
    """Tell that the call is made again with other arguments."""
    from resilience.events import CallRevised

    return CallRevised(
        target=history.target,
        policy="retry",
        attempt=history.made,
        category=history.recent[-1][0],
        revision=history.revisions,
        error=error,
    )


def exhausted(history: History, reason: StopReason, error: Exception | None) -> RetriesExhausted:
    """Tell that there is no further attempt."""
    from resilience.events import RetriesExhausted

    return RetriesExhausted(
        target=history.target,
        policy="retry",
        attempts=history.made,
        category=history.recent[-1][0],
        reason=reason.value,
        error=error,
    )
