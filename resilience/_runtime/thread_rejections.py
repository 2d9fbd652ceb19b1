"""Rejections of sync calls for which there is no thread: too many were abandoned, or the system starts none.

Such a call was not made. That says nothing about the dependency, so the outcome is an error of the category `REJECTED`,
which no circuit counts, and an event.
"""

from __future__ import annotations

from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call
from resilience.errors.base import ThreadNotStartedError, TooManyAbandonedError
from resilience.settings import ABANDONED_THREADS

__all__ = ["no_thread_started", "too_many_abandoned"]


def too_many_abandoned(call: Call) -> Outcome | None:
    """Return the outcome of *call* where its target, or the process, has abandoned as many threads as may be."""
    of_target, of_process = ABANDONED_THREADS.of_target.get(call.target, 0), len(ABANDONED_THREADS.running)
    if of_process >= ABANDONED_THREADS.limit:
        if has_listeners():
            from resilience.events import ThreadsExhausted

            emit(ThreadsExhausted(target=call.target, policy="timeout", running=of_process))
        return Outcome(None, TooManyAbandonedError(call.target, of_process))
    if of_target >= ABANDONED_THREADS.limit_per_target:
        if has_listeners():
            from resilience.events import TargetThreadsExhausted

            emit(TargetThreadsExhausted(target=call.target, policy="timeout", running=of_target))
        return Outcome(None, TooManyAbandonedError(call.target, of_target, "target"))
    return None


def no_thread_started(call: Call, error: Exception) -> Outcome:
    """Return the outcome of *call*, for which no thread was started; *error* is what the system said.

    Nothing of *error* is kept but its text: its frames lead to the call.
    """
    rejection = ThreadNotStartedError(call.target, str(error) or type(error).__name__)
    if has_listeners():
        from resilience.events import ThreadNotStarted

        emit(ThreadNotStarted(target=call.target, policy="timeout", reason=rejection.reason))
    return Outcome(None, rejection)
