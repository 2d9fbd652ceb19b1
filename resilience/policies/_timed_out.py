"""The end of a call whose limit has passed, for `Timeout` and `Deadline` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._outcome import Outcome
from resilience._runtime.protocol import Call, Steps
from resilience.errors.base import ResilienceError
from resilience.policies._announce import announce

if TYPE_CHECKING:
    from resilience.events import TimedOut

__all__ = ["time_out"]


def time_out(call: Call, error: ResilienceError, policy: str, limit: float) -> Steps[Outcome]:
    """Emit `TimedOut`, and return *error* as the outcome of *call*, which took longer than *limit* seconds.

    The cause of the error is the cancellation: its traceback says where the call hung, as the error of
    `asyncio.timeout` does.
    """
    error.__cause__, call.cancellation = call.cancellation, None
    yield from announce(_timed_out, call.target, policy, limit)
    return Outcome.failed(error)


def _timed_out(target: str, policy: str, limit: float) -> TimedOut:
    from resilience.events import TimedOut

    return TimedOut(target=target, policy=policy, limit=limit)
