"""The events of a hedge: that a copy was made, that one has won, that no more are made for a while.

They are made only where something listens. `resilience.events` is imported with the first of them.
"""

from __future__ import annotations

from resilience._listeners import emit, has_listeners
from resilience._runtime.protocol import Call

__all__ = ["copy_started", "copy_won", "hedge_paused"]

_POLICY = "hedge"


def copy_started(call: Call, copy: int, reason: str, delay: float) -> None:
    """Say that a copy was made, *delay* seconds after the call began, as it was "slow" or had "failed"."""
    if has_listeners():
        from resilience.events import HedgeStarted

        emit(HedgeStarted(target=call.target, policy=_POLICY, copy=copy, reason=reason, delay=delay))


def copy_won(call: Call, copy: int, seconds: float) -> None:
    """Say that a further copy has answered first, so many *seconds* after the call began."""
    if has_listeners():
        from resilience.events import HedgeWon

        emit(HedgeWon(target=call.target, policy=_POLICY, copy=copy, seconds=seconds))


def hedge_paused(call: Call, reason: str, seconds: float) -> None:
    """Say that no copies are made for so many *seconds*."""
    if has_listeners():
        from resilience.events import HedgePaused

        emit(HedgePaused(target=call.target, policy=_POLICY, reason=reason, seconds=seconds))
