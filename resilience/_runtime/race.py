"""The effect `Race`: copies of one async call. The first success wins, the others are cancelled and awaited.

Each copy runs the layers inside the policy that yielded the effect. When the caller goes on, nothing of the call runs
any more. The first copy runs in the caller's own task, and most calls end with it. Further copies run in tasks of
their own, with copies of the context in which the race began; one that follows a failure runs in the task of the copy
that has failed.

Two hosts differ in what starts the second copy. `_RaceUnderAlarm` has the event loop of asyncio call back when the
delay has passed, by a timer that it shares with others: a call that is answered in time costs no task. `_RaceInGroup`,
for trio and for a test's clock, has a task that waits for the delay.

What the winner has set of context variables is set for the caller, as if it had awaited that copy alone
(`carried_context`).

anyio is imported with the first race, as `import resilience` loads no event loop.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from resilience._asyncio_timeout import cancel_task, finish_timeout, start_alarm, stop_alarm
from resilience._outcome import Outcome
from resilience._runtime.carried_context import adopt
from resilience._runtime.generators import OpenStream
from resilience._runtime.protocol import Call, OnFailure, Race
from resilience._runtime.time_limits import AsyncDrive
from resilience._runtime.tracebacks import result_of
from resilience.clock import SYSTEM

if TYPE_CHECKING:
    import asyncio

    import anyio.abc

    from resilience._asyncio_timeout import TimeoutEntry

__all__ = ["race"]


def race(effect: Race, drive: AsyncDrive, call: Call) -> Coroutine[Any, Any, Outcome]:
    """Run the layers inside the policy that yielded *effect*, and copies of them; return the outcome that counts.

    That is the first success, or, when all copies in flight have failed, the last failure. A copy that ends without an
    outcome, as its policy breaks the protocol, ends the race with its error. Raises TypeError for a block, which cannot
    run twice.
    """
    if not call.suspended:  # no runner has called this policy
        raise TypeError(f"{call.target} is a block: Race cannot run it twice")
    if effect.delay == math.inf:
        return _Race(effect, drive, call).run()
    if call.clock is SYSTEM:
        under_alarm = _RaceUnderAlarm(effect, drive, call)
        if under_alarm.start():
            return under_alarm.run()
    return _RaceInGroup(effect, drive, call).run()


_PAUSE, _MIN_PAUSE = 0.25, 0.001
"""After the first pause the policy is asked again whether a copy may begin: a share of the delay, and seconds."""


class _Race:
    """The copies of one call: how many have begun and are in flight, and the outcomes of those that have ended.

    By itself it hosts a race without a delay that ends: a further copy begins only in the place of one that failed. A
    subclass starts copies side by side, and cancels in `_end` all that are in flight.
    """

    # Defaults in the class: most races end with their first copy, and set none of these.
    #: The further copies that have begun; all copies that have not ended.
    _begun = 0
    _in_flight = 1
    #: Whether the policy has not admitted a copy when the delay had passed.
    _refused = False
    #: Whether the outcome is known, or wanted no more: no copy begins then.
    _decided = False
    _success: Outcome | None = None
    _failure: Outcome | None = None
    _broken: Outcome | None = None
    #: The context of the winner, where it is not the caller's.
    _context: contextvars.Context | None = None
    #: The tasks of the further copies, once there are any.
    _group: anyio.abc.TaskGroup | None = None

    def __init__(self, effect: Race, drive: AsyncDrive, call: Call) -> None:
        self._effect = effect
        self._drive = drive
        self._call = call
        self._depth = call.base + len(call.suspended)
        #: Of the call, before policies inside change them for the first copy; and the context of that moment.
        self._arguments = call.arguments
        self._keywords = call.keywords
        self._due = call.due
        self._before = contextvars.copy_context()

    async def run(self) -> Outcome:
        """Run copies in the caller's own task, one after the other; return the outcome that counts."""
        await self._run_copies(self._call, 0)
        return self._result()

    def _end(self) -> None:
        """Cancel all copies in flight but the one that runs here; no other begins."""
        self._decided = True
        if self._group is not None:
            self._group.cancel_scope.cancel()

    def _result(self) -> Outcome:
        """Return the outcome that counts, or raise the error of a policy that breaks the protocol."""
        try:
            if self._broken is not None:
                result_of(self._broken)
            if self._context is not None:
                adopt(self._context, self._before)
            outcome = self._success or self._failure
            assert outcome is not None, "a copy that is cancelled from outside takes the race along"
            return outcome
        finally:  # the frames of an error must not lead back to it
            self._success = self._failure = self._broken = outcome = None

    # -- the copies ----------------------------------------------------------------------------------------------

    def _next_copy(self) -> Call | None:
        """Return the next copy, which begins now; None where none is left, or the policy admits none."""
        if self._decided or self._begun >= self._effect.copies:
            return None
        copy = self._call.fork(self._depth)
        copy.arguments, copy.keywords, copy.due = self._arguments, self._keywords, self._due
        if not self._effect.begin(copy, self._begun + 1):
            return None
        self._begun += 1
        self._in_flight += 1
        return copy

    async def _start_others(self) -> None:
        """Start further copies, each in a task, as soon as its delay has passed and the policy admits it."""
        assert self._group is not None
        delay, pause = self._effect.delay, self._first_pause()
        if self._refused:
            delay = pause
        while self._begun < self._effect.copies:
            before = self._begun
            await self._sleep(delay)
            if before != self._begun:  # one has begun meanwhile in the place of one that failed
                continue
            copy = self._next_copy()
            if copy is None:
                delay, pause = pause, 2 * pause
            else:
                delay, pause = self._effect.delay, self._first_pause()
                self._group.start_soon(self._run_copies, copy, self._begun)

    async def _sleep(self, seconds: float) -> None:
        """Wait by the call's clock. `no_waits` is for waits that follow a failure, and leaves this one as it is."""
        if self._call.clock is SYSTEM:
            await anyio.sleep(seconds)
        else:
            await self._call.clock.sleep_async(seconds)

    def _first_pause(self) -> float:
        """Return after how many seconds the policy is asked again that has not admitted a copy; then twice as many."""
        return max(self._effect.delay * _PAUSE, _MIN_PAUSE)

    async def _run_copies(self, copy: Call | None, number: int) -> None:
        """Run a copy, and the next one in its place where its failure calls for that at once.

        End the race with a success, a failure that is final, or the failure of the last copy in flight.
        """
        while copy is not None:
            try:
                outcome = await self._drive(self._call.stack, self._depth, copy, self._depth)
            except Exception as error:  # no outcome: a policy breaks the protocol
                self._broken = Outcome(None, error)
                self._end()
                return
            copy = None
            if outcome.error is None:
                if self._decided:
                    await _drop(outcome)
                else:
                    self._succeeded(outcome, number)
            elif self._failed(outcome):
                copy = self._next_copy()
            number = self._begun
            del outcome  # the traceback of its error may lead to this frame
            self._in_flight -= 1
        if self._decided or self._in_flight == 0:
            self._end()

    def _succeeded(self, outcome: Outcome, number: int) -> None:
        """Note the first success, and the context it has run in."""
        self._decided = True
        self._success = outcome
        if number:
            self._context = contextvars.copy_context()
        self._effect.won(number)

    def _failed(self, outcome: Outcome) -> bool:
        """Note the failure of a copy; return whether the next one is to begin at once."""
        if self._decided:
            return False
        self._failure = outcome
        follows = self._effect.judge(outcome)
        self._decided = follows is OnFailure.END
        return follows is OnFailure.NEXT


async def _drop(outcome: Outcome) -> None:
    """Close the stream that a copy has opened too late: it has swallowed its cancellation."""
    if isinstance(outcome.value, OpenStream):
        with anyio.CancelScope(shield=True):
            await outcome.value.discard()


class _RaceInGroup(_Race):
    """A race whose further copies are started by a task that waits for the delay; on asyncio and trio, by any clock.

    Ending it cancels the group's scope, and with it all copies but the one that ended it.
    """

    async def run(self) -> Outcome:
        """Run the first copy in the caller's own task, and the others in tasks; return the outcome that counts."""
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._start_others)
                await self._run_copies(self._call, 0)
        except BaseExceptionGroup as several:
            raise _only_one_of(several) from None
        return self._result()


class _RaceUnderAlarm(_Race):
    """A race on asyncio: an alarm of the event loop starts one task, the *others*, which hosts the further copies.

    The first copy runs in the caller's task. Where another one wins, it is cancelled as a limit cancels its task, so
    that a cancellation of the caller at the same moment is not lost.
    """

    _alarm: TimeoutEntry
    #: Whether the first copy has not ended, and whether the race has cancelled it.
    _first_runs = True
    _first_is_cancelled = False
    #: Whether the alarm has rung; the task that it has started, once that is known: it may run before.
    _has_rung = False
    _others: asyncio.Task[None] | None = None
    #: What has ended the other copies without an outcome: Ctrl-C in one of them.
    _raised: BaseException | None = None

    def start(self) -> bool:
        """Start the alarm; return whether there is one: none where `start_alarm` gives none."""
        alarm = start_alarm(self._effect.delay, self._ring)
        if alarm is None:
            return False
        self._alarm = alarm
        return True

    async def run(self) -> Outcome:
        """Run the first copy here, wait for the others if there are any, and return the outcome that counts."""
        try:
            await self._run_copies(self._call, 0)
        except BaseException as error:
            if not self._stop(error):
                self._end()
                raise
        else:
            self._stop(None)
        finally:
            if self._others is not None:
                await self._join(self._others)
        return self._result()

    def _stop(self, error: BaseException | None) -> bool:
        """Stop the alarm, as the first copy has ended; return whether the race has ended it, by cancellation."""
        self._first_runs = False
        stop_alarm(self._alarm)
        if not self._first_is_cancelled:
            return False
        self._call.ended_by = None  # of the first copy alone
        return finish_timeout(self._alarm, error)

    def _end(self) -> None:
        super()._end()
        if not self._has_rung or not self._first_runs or self._first_is_cancelled:
            return
        import asyncio

        if asyncio.current_task() is not self._alarm.task:
            self._first_is_cancelled = True
            cancel_task(self._alarm)

    def _ring(self) -> None:
        """Start the next copy: the delay has passed. Called by the event loop, in the context of another call."""
        import asyncio

        self._has_rung = True
        copy = self._before.run(self._next_copy)
        self._refused = copy is None
        others = self._run_others(copy, self._begun)
        self._others = asyncio.get_running_loop().create_task(others, context=self._before.copy())

    async def _run_others(self, copy: Call | None, number: int) -> None:
        """Run *copy*, unless the policy did not admit it, and those that follow it, each in a task."""
        try:
            async with anyio.create_task_group() as self._group:
                if self._decided:  # before this task has begun
                    return
                if copy is not None:
                    self._group.start_soon(self._run_copies, copy, number)
                await self._start_others()
        except BaseException as error:
            self._raised = error
            self._end()
        finally:
            self._group = None

    async def _join(self, others: asyncio.Task[None]) -> None:
        """Wait until the other copies have ended, however often this task is cancelled.

        A cancellation that comes meanwhile ends them, and is raised when they have ended.
        """
        import asyncio

        cancelled: BaseException | None = None
        try:
            with anyio.CancelScope() as scope:
                while not others.done():
                    scope.shield = self._decided
                    try:
                        await asyncio.wait([others])
                    except asyncio.CancelledError as error:
                        cancelled = error
                        self._end()
            if self._raised is not None:
                raise _only_one_of(self._raised)
            if cancelled is not None:
                raise cancelled
        finally:
            cancelled = self._raised = None


def _only_one_of(error: BaseException) -> BaseException:
    """Return the exception of a group of one: Ctrl-C in one copy is raised as it is."""
    members: Sequence[BaseException] = getattr(error, "exceptions", ())
    if len(members) == 1:
        return members[0]
    return error
