"""Rejections of sync calls for which there is no thread: too many were abandoned, or the system starts none.

Such a call was not made. That says nothing about the dependency, so the outcome is an error of the category `REJECTED`,
which no circuit counts, and an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.protocol import Call
from resilience.errors.base import ThreadNotStartedError, TooManyAbandonedError
from resilience.settings import ABANDONED_THREADS

if TYPE_CHECKING:
    from resilience.events import Event

__all__ = ["has_abandoned_too_many", "no_thread_started", "too_many_abandoned"]


def too_many_abandoned(call: Call) -> Outcome | None:
    """Return the outcome of *call* where its target, or the process, has abandoned as many threads as may be."""
    of_target, of_process = ABANDONED_THREADS.of_target.get(call.target, 0), len(ABANDONED_THREADS.running)
    if of_process >= ABANDONED_THREADS.limit:
        return _rejected(TooManyAbandonedError(call.target, of_process))
    if of_target >= ABANDONED_THREADS.limit_per_target:
        return _rejected(TooManyAbandonedError(call.target, of_target, "target"))
    return None


def has_abandoned_too_many(call: Call) -> bool:
    """Whether the target of *call*, or the process, has abandoned as many threads as may be; it emits no event."""
    of_target = ABANDONED_THREADS.of_target.get(call.target, 0)
    return len(ABANDONED_THREADS.running) >= ABANDONED_THREADS.limit or of_target >= ABANDONED_THREADS.limit_per_target


def no_thread_started(call: Call, error: Exception) -> Outcome:
    """Return the outcome of *call*, for which no thread was started; *error* is what the system said.

    Nothing of *error* is kept but its text: its frames lead to the call.
    """
    return _rejected(ThreadNotStartedError(call.target, str(error) or type(error).__name__))


def _rejected(error: TooManyAbandonedError | ThreadNotStartedError) -> Outcome:
    """Emit the event of a rejection, and return it as the outcome of the call."""
    if has_listeners():
        emit(_event_of(error))
    return Outcome(None, error)


def _event_of(error: TooManyAbandonedError | ThreadNotStartedError) -> Event:
    """Return the event for *error*. The module of events is imported with the first of them."""
    from resilience import events

    if isinstance(error, ThreadNotStartedError):
        return events.ThreadNotStarted(target=error.target, policy=error.policy, reason=error.reason)
    kind = {"target": events.TargetThreadsExhausted, "process": events.ThreadsExhausted}[error.scope]
    return kind(target=error.target, policy=error.policy, running=error.running)
