"""Deadline: let a piece of work, and everything it calls, be over in time.

A deadline is a moment, not a duration: nested calls inherit it, and each reads the time that is left. Retries make no
attempt that could not end before it, waits and time limits are cut short. `_deadline_context` takes it to threads and
tasks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Unpack

from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome
from resilience._runtime.method_selection import MethodOptions, MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.worst_case import WorstCase
from resilience._validation import parse_duration
from resilience.errors.base import DeadlineExceededError
from resilience.policies._timed_out import time_out
from resilience.policies.base import Policy, Steps

__all__ = ["Deadline"]


class Deadline(Policy):
    """A moment by which the call and all that it calls must be over, unless an enclosing deadline is earlier.

    Async code is cancelled when it comes. Sync code is not stopped: the guarded calls in it keep the deadline, and the
    caller waits for the rest. Raises `DeadlineExceededError`, a TimeoutError.

    >>> from resilience import deadline, remaining
    >>> with deadline(5), deadline(60):
    ...     remaining() <= 5  # the earlier one holds
    True
    """

    # Not on the fast path: the calls inside must know of it.
    is_deadline = True
    place: Place | None = Place.DEADLINE
    supports_generators = False
    guards_local_methods = False

    def __init__(self, limit: float | timedelta, **methods: Unpack[MethodOptions]) -> None:
        self.seconds: float = parse_duration("seconds", limit)
        self.time_limit: float | None = self.seconds
        self.methods: MethodSelection | None = select_methods(**methods)

    def run(self, call: Call) -> Steps:
        """Return the outcome of the call, or a `DeadlineExceededError` of this deadline or an enclosing one."""
        outcome: Outcome = yield Proceed(self.time_limit, cooperative=True, raw=True)
        if outcome is TIMED_OUT:
            error = DeadlineExceededError(call.target, self.seconds)
        elif outcome is DEADLINE_EXCEEDED:
            error = DeadlineExceededError(call.target)
        else:
            return outcome
        return (yield from time_out(call, error, "deadline", self.seconds))

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside.within(self.seconds)

    def __str__(self) -> str:
        return f"deadline({self.seconds:g})"

    def __repr__(self) -> str:
        return str(self)
