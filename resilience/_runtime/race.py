"""The effect `Race`: copies of one async call in a task group. The first success wins, the others are cancelled.

Each copy runs the layers inside the policy that yielded the effect, on a `Call` of its own, so that copies share no
state. The losers are cancelled and awaited before the race is over: when the caller goes on, nothing of the
call runs any more.

The first copy runs in the caller's own task. A second task waits for the delay, and starts the others, each in a task
of its own with a copy of the caller's context variables. What the toolkit notes there, such as the report of
`last_call`, is carried back from the winner alone.

anyio is imported with the first race, as `import resilience` loads no event loop.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

from resilience._outcome import Outcome
from resilience._runtime.callables import is_generator
from resilience._runtime.carried_context import copy_back
from resilience._runtime.protocol import Call, Race
from resilience._runtime.time_limits import AsyncDrive
from resilience._runtime.tracebacks import result_of

if TYPE_CHECKING:
    import anyio.abc

__all__ = ["race"]


async def race(effect: Race, drive: AsyncDrive, call: Call) -> Outcome:
    """Run the layers inside the policy that yielded *effect*, and copies of them; return the outcome that counts.

    That is the first success, or, when all copies in flight have failed, the last failure. A copy that ends without an
    outcome, as its policy breaks the protocol, ends the race with its error. Raises TypeError where *call* cannot be
    made twice: a block, a generator function.
    """
    if not call.suspended:  # no runner has called this policy
        raise TypeError(f"{call.target} is a block: Race cannot run it twice")
    if is_generator(call.function):
        raise TypeError(f"{call.target} is a generator function: Race cannot run it twice")
    return await _Race(effect, drive, call).run()


class _Race:
    """One race: the copies in flight, and the outcomes of those that have ended.

    The first copy runs in the caller's own task, the others in tasks that begin ``effect.delay`` seconds after one
    another, as long as the race is open. Ending it cancels the group's scope, and with it all copies but the one that
    ended it.
    """

    __slots__ = (
        "_broken",
        "_call",
        "_context",
        "_decided",
        "_depth",
        "_drive",
        "_effect",
        "_failure",
        "_group",
        "_in_flight",
        "_success",
    )

    _group: anyio.abc.TaskGroup

    def __init__(self, effect: Race, drive: AsyncDrive, call: Call) -> None:
        self._effect = effect
        self._drive = drive
        self._call = call
        self._depth = call.base + len(call.suspended)
        self._in_flight = 1
        self._decided = False
        self._success: Outcome | None = None
        self._failure: Outcome | None = None
        self._broken: Outcome | None = None
        #: The context that the winner has run in.
        self._context: contextvars.Context | None = None

    async def run(self) -> Outcome:
        """Run the first copy in the caller's own task, and the others in tasks; return the outcome that counts."""
        import anyio

        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._start_others)
                await self._run_copy()
        except BaseExceptionGroup as several:
            if len(several.exceptions) == 1:  # Ctrl-C in one copy: raised as it is
                raise several.exceptions[0] from None
            raise
        try:
            if self._broken is not None:
                result_of(self._broken)
            if self._context is not None:
                copy_back(self._context)
            outcome = self._success or self._failure
            assert outcome is not None, "a copy that is cancelled from outside takes the race along"
            return outcome
        finally:  # the frames of an error must not lead back to it
            self._success = self._failure = self._broken = outcome = None

    async def _start_others(self) -> None:
        """Start the other copies, each as soon as its delay has passed, until the race is over."""
        for _ in range(self._effect.copies):
            await self._call.clock.sleep_async(self._effect.delay)
            self._in_flight += 1
            self._group.start_soon(self._run_copy)

    async def _run_copy(self) -> None:
        """Run one copy, and end the race where it has succeeded or was the last one in flight."""
        try:
            outcome = await self._drive(self._call.stack, self._depth, self._call.fork(self._depth), self._depth)
        except Exception as error:  # no outcome: a policy breaks the protocol
            self._broken = Outcome(None, error)
            self._decided = True
        else:
            self._record(outcome)
            del outcome  # the traceback of its error may lead to this frame
        self._in_flight -= 1
        if self._decided or self._in_flight == 0:
            self._group.cancel_scope.cancel()  # where all have failed: what was to begin later is not begun

    def _record(self, outcome: Outcome) -> None:
        """Note the outcome of a copy: the last failure, or the first success with the context it has run in.

        A success that comes after the first one, from a copy that swallowed its cancellation, is dropped.
        """
        if outcome.error is not None:
            self._failure = outcome
        elif self._success is None:
            self._success = outcome
            self._context = contextvars.copy_context()
            self._decided = True
