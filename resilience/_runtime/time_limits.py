"""Time limits and deadlines around a part of a call: the deadline that inner calls see, and the means to enforce it.

A limit puts its deadline into the context, so that inner calls begin no attempt, wait or limited call that could not
end in time. Async code is then cancelled. A sync call under a limit is abandoned in its worker thread, or interrupted
by a signal; under a deadline its caller waits, since the inner calls keep the deadline by themselves.

The earlier of an outer and an inner deadline wins, and the outcome says which: TIMED_OUT where a limit's own time has
passed, DEADLINE_EXCEEDED where that of an enclosing one has.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, cast

from resilience._deadline_context import (
    ActiveDeadline,
    ActiveLimit,
    DeadlineScope,
    current_deadline,
    current_deadline_any_clock,
    running_task,
)
from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome
from resilience._runtime.open_transactions import refused_in_transaction
from resilience._runtime.protocol import Call, Policy, Proceed
from resilience._runtime.thread_timeout import Drive, run_in_worker
from resilience._shields import place

__all__ = ["AsyncDrive", "LimitScope", "run_with_timeout", "run_with_timeout_async"]

AsyncDrive: TypeAlias = Callable[[Sequence[Policy], int, Call, int], Awaitable[Outcome]]
_Way: TypeAlias = Callable[[Drive, Sequence[Policy], int, float, Call], Outcome]


class LimitScope:
    """The time that a limit leaves to the inner part of *call*: its own, or the rest of an outer deadline.

    While it is in force, ``call.due`` and `resilience.remaining` show the moment, to policies and to the user's code.

    Call `enter` or `enter_task`, and `leave`, in one ``try``, and `leave` again in a ``finally`` around it: an
    exception from a signal handler may come in the middle of either. Seconds throughout, by the call's clock.
    """

    __slots__ = ("_announced", "_call", "_due", "_limit", "_outer", "expired_outcome", "limit_here", "remaining")

    def __init__(self, limit: float, call: Call) -> None:
        now = call.clock.now()
        self._call = call
        self._limit = limit
        self._outer = call.due
        self._due = now + limit
        self._announced: DeadlineScope | None = None
        #: What cancels the task that runs the block, while it is in force.
        self.limit_here: ActiveLimit = ActiveLimit()
        #: The outcome when the time has passed: it says whose time it was.
        self.expired_outcome: Outcome = TIMED_OUT
        #: Seconds there are. Not by the difference of two moments: a limit may be shorter than the clock can tell.
        self.remaining: float = limit
        if call.due < self._due:
            self._due, self.expired_outcome = call.due, DEADLINE_EXCEEDED
            self.remaining = min(limit, call.due - now)

    def enter(self) -> None:
        """Put the deadline into the context. A sync caller cancels nothing, also not the task it may run in."""
        outer = current_deadline_any_clock()
        self._announce(ActiveDeadline(self._due, self._call.clock, outer=outer))

    def enter_task(self) -> float:
        """Put the deadline into the context; return the seconds after which this task has to cancel its inner part.

        An outer moment of this very task cancels it by itself. Two cancellations at one moment would leave one for
        later, so this one then keeps to its own limit.
        """
        clock, task, position = self._call.clock, running_task(), None
        if task is not None:
            position = place(task)
        due = ActiveDeadline(self._due, clock, task, position, self.limit_here, current_deadline_any_clock())
        seconds = self._limit
        outer = current_deadline(clock)
        if outer is not None and (task is None or outer.task is not task):
            seconds = min(seconds, outer.moment - clock.now())
        self._announce(due)
        return seconds

    def _announce(self, due: ActiveDeadline) -> None:
        """Show the deadline to policies, by the call, and to the user's code, by the context."""
        self._call.due = self._due
        self._announced = DeadlineScope(due)
        self._announced.begin()

    def leave(self) -> None:
        """Take the deadline out of the context, unless that is done."""
        self.limit_here.timer = None
        if self._announced is not None:
            self._announced.end()
        self._call.due = self._outer


def run_with_timeout(drive: Drive, stack: Sequence[Policy], depth: int, effect: Proceed, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards for at most *effect*'s timeout, or until an outer moment.

    TIMED_OUT or DEADLINE_EXCEEDED where that time has passed; an outcome that comes later is dropped.
    """
    scope = LimitScope(cast("float", effect.timeout), call)
    if scope.remaining <= 0:
        return scope.expired_outcome
    way = _way_of(effect)
    if way is run_in_worker and (refused := refused_in_transaction(call)) is not None:
        return refused
    outcome = TIMED_OUT
    try:
        try:
            scope.enter()
            outcome = way(drive, stack, depth, scope.remaining, call)
        finally:
            scope.leave()
        if outcome is TIMED_OUT:
            return scope.expired_outcome
        return outcome
    finally:
        scope.leave()  # where Ctrl-C came before the other was done
        del outcome  # see `drive`: this frame must not lead back to the error


def _way_of(effect: Proceed) -> _Way:
    """Return what runs sync code under a limit: in this thread, interrupted by a signal, or in a worker thread."""
    if effect.cooperative:
        return _run_here
    if effect.interrupts and not sys.is_finalizing():  # then nothing is imported any more
        from resilience._runtime.signal_timeout import can_interrupt, run_interruptible

        if can_interrupt():
            return run_interruptible
    return run_in_worker


def _run_here(drive: Drive, stack: Sequence[Policy], depth: int, _limit: float, call: Call) -> Outcome:
    """Drive the call in this thread, under a deadline: the inner calls keep it, and nothing interrupts other code."""
    return drive(stack, depth, call, depth)


async def run_with_timeout_async(
    drive: AsyncDrive, stack: Sequence[Policy], depth: int, effect: Proceed, call: Call
) -> Outcome:
    """Do what `run_with_timeout` does, by cancellation.

    The exception that the limit's own cancellation raised inside is kept as ``call.cancellation``, whose traceback says
    where the call hung. Of any other nothing is kept: it would keep its frames alive.
    """
    scope = LimitScope(cast("float", effect.timeout), call)
    if scope.remaining <= 0:
        return scope.expired_outcome
    outcome = scope.expired_outcome
    try:
        try:
            seconds = scope.enter_task()
            with call.clock.move_on_after(seconds, shared=seconds == effect.timeout) as limit:
                scope.limit_here.timer = limit
                try:
                    outcome = await drive(stack, depth, call, depth)
                except BaseException as cut:
                    call.cancellation = cut
                    raise
        except BaseException:  # an outer limit's, a caller's or a program's, after all
            call.cancellation = None
            raise
        finally:
            scope.leave()
        return outcome
    finally:
        scope.leave()
        del outcome
