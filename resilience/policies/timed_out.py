"""The end of a call whose limit has passed, for `Timeout` and `Deadline` alike."""

from __future__ import annotations

from resilience._runtime.protocol import Call, Emit, Steps
from resilience.errors.base import ResilienceError
from resilience.outcome import Outcome
from resilience.subscription import listened

__all__ = ["time_out"]


def time_out(call: Call, error: ResilienceError, policy: str, limit: float) -> Steps[Outcome]:
    """Emit `TimedOut`, and return *error* as the outcome of *call*, which took longer than *limit* seconds.

    The cause of the error is the cancellation: its traceback says where the call hung, as the error of
    `asyncio.timeout` does.
    """
    error.__cause__, call.cut = call.cut, None
    if listened():
        from resilience.events import TimedOut

        yield Emit(TimedOut(target=call.target, policy=policy, limit=limit))
    return Outcome.failed(error)
