"""What is inside a limit or a deadline, run: who leaves when the time has passed, and what the inside is told of it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Token
from typing import TypeAlias, cast

from resilience.due import Due, announce, due_here, withdraw
from resilience.engine.worker import Drive, run_in_worker
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.policy.base import Call, Policy

__all__ = ["Scope", "run_limited", "run_limited_async", "running_task"]

AsyncDrive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Awaitable[Outcome]]


class Scope:
    """The time a limit gives to what is inside it of *call*: its own, or what is left of a moment further out."""

    __slots__ = ("_call", "_due", "_limit", "_outer", "_token", "late", "left")

    def __init__(self, limit: float, call: Call) -> None:
        now = call.clock.now()
        self._call = call
        self._limit = limit
        self._outer = call.due
        own = now + limit
        self._due = min(own, call.due)
        #: What it comes to when the time has passed: it says whose time it was.
        self.late: Outcome = OVERDUE if call.due < own else EXPIRED
        #: Seconds there are.
        # Not by the difference of two moments: a limit may be shorter than the clock can tell.
        self.left: float = min(limit, call.due - now)

    def enter(self, *, cancels: bool = True) -> float:
        """Have what is inside know; return the seconds after which an async caller has to cancel it by itself.

        A sync caller *cancels* nobody, also not the task it may run in.
        """
        call, task = self._call, running_task() if cancels else None
        seconds = self._limit
        further_out = due_here(call.clock)
        # A moment of this very task's cancels it by itself. Two cancellations at one moment would leave one for later.
        if further_out is not None and (task is None or further_out.task is not task):
            seconds = min(seconds, further_out.moment - call.clock.now())
        call.due = self._due
        self._token: Token[Due | None] = announce(Due(self._due, call.clock, task))
        return seconds

    def leave(self) -> None:
        """Take it back."""
        withdraw(self._token)
        self._call.due = self._outer


def run_limited(drive: Drive, stack: Sequence[Policy], depth: int, policy: Policy, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards for at most `policy.limit` seconds, and what is left of more.

    A deadline is kept by what is inside: no attempt, wait or limited call begins that could not end in time. A limit is
    kept by leaving a worker thread, or by a signal.
    """
    scope = Scope(cast("float", policy.limit), call)
    if scope.left <= 0:
        return scope.late
    scope.enter(cancels=False)
    outcome = EXPIRED
    try:
        if policy.cooperative:
            return drive(stack, depth, call, depth)
        run = run_in_worker
        if policy.interrupts:
            from resilience.engine.interrupt import can_interrupt, run_interruptible

            run = run_interruptible if can_interrupt() else run
        outcome = run(drive, stack, depth, scope.left, call)
        return scope.late if outcome is EXPIRED else outcome
    finally:
        scope.leave()
        del outcome  # see `drive`: this frame must not lead back to the error


async def run_limited_async(
    drive: AsyncDrive, stack: Sequence[Policy], depth: int, policy: Policy, call: Call
) -> Outcome:
    """Do what `run_limited` does, by cancellation."""
    scope = Scope(cast("float", policy.limit), call)
    if scope.left <= 0:
        return scope.late
    outcome = scope.late
    seconds = scope.enter()
    try:
        with call.clock.limit(seconds, shared=seconds == policy.limit):
            try:
                outcome = await drive(stack, depth, call, depth)
            except BaseException as cut:  # the limit's own cancellation, if the block is left by it
                call.cut = cut
                raise
        return outcome
    except BaseException:  # somebody else's, after all: nothing may keep it, nor its traceback, alive
        call.cut = None
        raise
    finally:
        scope.leave()
        del outcome


def running_task() -> object:
    """Return the task that runs here, asyncio's or trio's; None outside of any."""
    for library in ("asyncio", "trio.lowlevel"):
        loaded = sys.modules.get(library)
        if loaded is not None:
            try:
                task: object = loaded.current_task()
            except RuntimeError:  # it does not run here
                continue
            if task is not None:
                return task
    return None
