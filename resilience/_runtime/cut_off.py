"""Calls that are cut off: they end from outside, without an outcome.

A call is cut off when a time limit around it passes, when its task is cancelled, on Ctrl-C, and where a stream is
dropped. Its policies are closed and give back what they took. For most of them that is all. A circuit breaker has to
know more: a dependency that hangs must open its circuit also where the limit stands outside of the circuit. So
`Call.cut_off` tells a policy that is closed what has cut the call off, where that says anything about the dependency.

A sync call under a limit is left in its thread, and its policies stay suspended until the function returns. A policy
that has to know at once has a function called by `Call.on_abandoned`.
"""

from __future__ import annotations

import enum
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol, cast

from resilience._callback_errors import log_callback_error
from resilience._deadline_context import limit_has_passed

__all__ = ["AbandonWatch", "CutOff", "LimitPassed", "Watchable", "cut_off_by", "thread_limit_here"]


class CutOff(enum.Enum):
    """The ways in which a call is cut off, by `Call.cut_off`."""

    TIMED_OUT = "timed_out"
    """A time limit or a deadline of the toolkit's, around the policy."""
    CANCELLED = "cancelled"
    """A cancellation of asyncio, anyio or trio: of the task itself, by their time limits, by a sibling that failed."""


class LimitPassed(BaseException):
    """Base of what unwinds a sync call whose time limit has passed. Never reaches a caller."""


def cut_off_by(error: BaseException | None) -> CutOff | None:
    """Return what has cut off the call that *error* has ended.

    None where that says nothing about what was called: Ctrl-C, SystemExit, GeneratorExit, a thread that was left
    before it made the call.

    >>> cut_off_by(KeyboardInterrupt())
    >>> cut_off_by(LimitPassed())
    <CutOff.TIMED_OUT: 'timed_out'>
    """
    if isinstance(error, BaseExceptionGroup):
        found = {cut_off_by(each) for each in cast("BaseExceptionGroup[BaseException]", error).exceptions}
        if len(found) == 1:
            return found.pop()
        return None
    if isinstance(error, LimitPassed):
        return CutOff.TIMED_OUT
    if not _is_cancellation(error):
        return None
    if limit_has_passed():
        return CutOff.TIMED_OUT
    return CutOff.CANCELLED


def _is_cancellation(error: BaseException | None) -> bool:
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and isinstance(error, asyncio.CancelledError):
        return not _is_ctrl_c()
    return trio is not None and isinstance(error, trio.Cancelled)


def _is_ctrl_c() -> bool:
    """Whether `asyncio.run` cancels its main task for Ctrl-C. Its handler of SIGINT, a bound method, counts them."""
    handler = getattr(signal.getsignal(signal.SIGINT), "func", None)
    return getattr(getattr(handler, "__self__", None), "_interrupt_count", 0) > 0


class AbandonWatch:
    """A *function* to be called when the caller of this thread leaves it; `end` when the call is over."""

    __slots__ = ("_ended", "_function")

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._ended = threading.Lock()

    @property
    def has_ended(self) -> bool:
        """Whether the call is over, or the function has been called."""
        return self._ended.locked()

    def end(self) -> bool:
        """End it; return whether that is in time: the caller has not left, and the function is not called."""
        return self._ended.acquire(blocking=False)

    def fire(self) -> None:
        """Call the function, unless the call is over. Its error is logged: it must not reach the caller."""
        if self.end():
            try:
                self._function()
            except Exception as error:
                log_callback_error("on_abandoned callback", self._function, error)


class Watchable(Protocol):
    """A call in a thread, whose caller leaves it when a limit passes: `thread_timeout.CancelToken`."""

    def watch(self, function: Callable[[], object]) -> AbandonWatch | None:
        """Have *function* called when the caller leaves; None where it has left, or the call is over."""
        ...


thread_limit: ContextVar[Watchable | None] = ContextVar("resilience.thread_limit", default=None)

thread_limit_here: Callable[[], Watchable | None] = thread_limit.get
"""Return the call in a worker thread, under a limit, that the running code belongs to; None outside of one."""
