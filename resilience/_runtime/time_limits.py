"""What is inside a limit or a deadline, run: who leaves when the time has passed, and what the inside is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, cast

from resilience._runtime.protocol import Call, Policy, Proceed
from resilience._runtime.thread_timeout import Drive, run_in_worker
from resilience.due import Announcement, Due, due_here, running_task
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.shields import place

__all__ = ["Scope", "run_limited", "run_limited_async"]

AsyncDrive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Awaitable[Outcome]]


class Scope:
    """The time a limit gives to what is inside it of *call*: its own, or what is left of a moment further out.

    Call `enter` and `leave` in one ``try``, and `leave` again in a ``finally`` around it: an exception from a signal
    handler may come in the middle of either.
    """

    __slots__ = ("_announced", "_call", "_due", "_limit", "_outer", "late", "left")

    def __init__(self, limit: float, call: Call) -> None:
        now = call.clock.now()
        self._call = call
        self._limit = limit
        self._outer = call.due
        own = now + limit
        self._due = min(own, call.due)
        self._announced: Announcement | None = None
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
        self._announced = Announcement(Due(self._due, call.clock, task, None if task is None else place(task)))
        self._announced.begin()
        return seconds

    def leave(self) -> None:
        """Take it back, unless that is done."""
        if self._announced is not None:
            self._announced.end()
        self._call.due = self._outer


def run_limited(drive: Drive, stack: Sequence[Policy], depth: int, effect: Proceed, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards for at most *effect*'s timeout, and what is left of more.

    A deadline is kept by what is inside: no attempt, wait or limited call begins that could not end in time. A limit is
    kept by leaving a worker thread, or by a signal.
    """
    scope = Scope(cast("float", effect.timeout), call)
    if scope.left <= 0:
        return scope.late
    outcome = EXPIRED
    try:
        try:
            scope.enter(cancels=False)
            if effect.cooperative:
                outcome = drive(stack, depth, call, depth)
            else:
                run = run_in_worker
                if effect.interrupts:
                    from resilience._runtime.signal_timeout import can_interrupt, run_interruptible

                    run = run_interruptible if can_interrupt() else run
                outcome = run(drive, stack, depth, scope.left, call)
                if outcome is EXPIRED:
                    outcome = scope.late
        finally:
            scope.leave()
        return outcome
    finally:
        scope.leave()  # where Ctrl-C came before the other was done
        del outcome  # see `drive`: this frame must not lead back to the error


async def run_limited_async(
    drive: AsyncDrive, stack: Sequence[Policy], depth: int, effect: Proceed, call: Call
) -> Outcome:
    """Do what `run_limited` does, by cancellation."""
    scope = Scope(cast("float", effect.timeout), call)
    if scope.left <= 0:
        return scope.late
    outcome = scope.late
    try:
        try:
            seconds = scope.enter()
            with call.clock.limit(seconds, shared=seconds == effect.timeout):
                try:
                    outcome = await drive(stack, depth, call, depth)
                except BaseException as cut:  # the limit's own cancellation, if the block is left by it
                    call.cut = cut
                    raise
        except BaseException:  # somebody else's, after all: nothing may keep it, nor its traceback, alive
            call.cut = None
            raise
        finally:
            scope.leave()
        return outcome
    finally:
        scope.leave()
        del outcome
