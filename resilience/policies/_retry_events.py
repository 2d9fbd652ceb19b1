"""Events of a retry, made from the state of the call.

Each function makes one event and is handed to `announce`, which calls it only where something listens. It imports the
class of its event itself, so that a program without a listener never imports the event classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.policies._retry_state import RetryState
from resilience.policies.stop_reason import StopReason

if TYPE_CHECKING:
    from resilience.events import AttemptFailed, CallRevised, RetriesExhausted, RetryScheduled

__all__ = ["attempt_failed", "call_revised", "retries_exhausted", "retry_scheduled"]


def attempt_failed(state: RetryState, error: Exception, *, retryable: bool) -> AttemptFailed:
    """Return the event of the attempt that failed last, by *error*."""
    from resilience.events import AttemptFailed

    return AttemptFailed(
        target=state.target,
        policy="retry",
        attempt=state.attempts,
        category=state.category,
        error=error,
        retryable=retryable,
    )


def retry_scheduled(state: RetryState, error: Exception | None) -> RetryScheduled:
    """Return the event of a retry that follows after `RetryState.next_wait` seconds; without *error*, of a result."""
    from resilience.events import RetryScheduled

    return RetryScheduled(
        target=state.target,
        policy="retry",
        attempt=state.attempts,
        category=state.category,
        wait=state.next_wait,
        error=error,
    )


def call_revised(state: RetryState, error: Exception) -> CallRevised:
    """Return the event of an attempt that follows with other arguments, at once."""
    from resilience.events import CallRevised

    return CallRevised(
        target=state.target,
        policy="retry",
        attempt=state.attempts,
        category=state.category,
        revision=state.revisions,
        error=error,
    )


def retries_exhausted(state: RetryState, reason: StopReason, error: Exception | None) -> RetriesExhausted:
    """Return the event of a call that is not retried any further, and why."""
    from resilience.events import RetriesExhausted

    return RetriesExhausted(
        target=state.target,
        policy="retry",
        attempts=state.attempts,
        category=state.category,
        reason=reason.value,
        error=error,
    )
