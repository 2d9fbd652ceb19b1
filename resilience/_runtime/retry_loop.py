"""Retry as a loop: ``for attempt in retrying(...): with attempt: ...``, and with ``async for``."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import cast

from resilience._runtime import async_runner, sync_runner
from resilience._runtime.protocol import Call, Effect, Emit, PassThrough, Policy, Proceed, Steps
from resilience.outcome import Outcome
from resilience.settings import DISABLED
from resilience.subscription import emit

__all__ = ["Attempt", "AttemptLoop", "Attempts"]


class Attempts:
    """What `retrying` returns: iterate over it, as often as you like, each time for one piece of work."""

    __slots__ = ("_policy",)

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __iter__(self) -> AttemptLoop:
        return AttemptLoop(self._policy)

    def __aiter__(self) -> AttemptLoop:
        return AttemptLoop(self._policy)


class AttemptLoop:
    """One loop over attempts. Ends after the first attempt that succeeds; an error that is final leaves its block."""

    __slots__ = ("_call", "_effect", "_finished", "_number", "_open", "_steps")

    def __init__(self, policy: Policy) -> None:
        # The loop is named after the function it stands in: two frames up, over __iter__.
        frame = sys._getframe(2)
        self._call = Call(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}", _the_body)
        policy = _ONCE if DISABLED.used and DISABLED.is_on() else policy
        self._call.stack = (policy,)
        #: The policy, suspended where it proceeds while an attempt runs, or where it yields *effect*.
        self._steps: Steps[Outcome] = policy.run(self._call)
        #: What is to be done before the next attempt: to wait, or, to know that, to ask a function of the user's.
        self._effect: Effect | None = None
        self._decided(sync_runner.advance(self._steps, None, self._call))
        self._number = 0
        self._open = False  # whether an attempt is out whose outcome is not known
        self._finished = False

    def __iter__(self) -> AttemptLoop:
        return self

    def __aiter__(self) -> AttemptLoop:
        return self

    def __next__(self) -> Attempt:
        if self._ended():
            raise StopIteration
        if self._effect is not None:
            answer = sync_runner.perform(self._pending(), self._call)
            self._decided(sync_runner.advance(self._steps, answer, self._call))
        return self._attempt()

    async def __anext__(self) -> Attempt:
        if self._ended():
            raise StopAsyncIteration
        if self._effect is not None:
            answer = await async_runner.perform(self._pending(), self._call)
            self._decided(await async_runner.advance(self._steps, answer, self._call))
        return self._attempt()

    def _pending(self) -> Effect:
        effect, self._effect = self._effect, None  # an event holds its error, whose frames hold this loop
        return cast("Effect", effect)

    def _ended(self) -> bool:
        if self._open:
            self._finished = True
            raise RuntimeError("an attempt was not used: put the work in `with attempt:` inside the loop")
        return self._finished

    def _decided(self, step: Proceed | Outcome) -> None:
        if isinstance(step, Proceed):
            return
        self._finished = True
        # Only an error can come late: it was final, but to know that a function of the user's had to be asked.
        try:
            raise step.error or RuntimeError("the loop's policy ended without an error")
        finally:
            del step

    def _attempt(self) -> Attempt:
        self._number += 1
        self._open = True
        return Attempt(self, self._number)

    def record(self, error: BaseException | None) -> bool:
        """Tell the policy how an attempt went; return whether its error ends here."""
        self._open = False
        if error is not None and not isinstance(error, Exception):
            self._finished = True
            self._steps.close()
            return False
        if error is None:  # who is told of it is told here: the loop may well be left now
            self._finished = True
            sync_runner.advance(self._steps, Outcome(), self._call)
            return False
        answer: object = Outcome(None, error)
        try:
            effect = self._steps.send(answer)
            while isinstance(effect, Emit):
                emit(effect.event)
                effect = self._steps.send(None)
        except StopIteration as done:
            answer = done.value
        else:
            # To ask and to wait is for the loop, which may be async.
            self._effect = None if isinstance(effect, Proceed) else effect
            return True
        outcome = cast("Outcome", answer)
        self._finished = True
        if outcome.error is None or outcome.error is error:
            return False
        try:
            raise outcome.error  # wrapped
        finally:
            del outcome, answer


class Attempt:
    """One attempt of a loop, *number* from 1: the work goes into its ``with`` block."""

    __slots__ = ("_loop", "number")

    def __init__(self, loop: AttemptLoop, number: int) -> None:
        self._loop = loop
        self.number: int = number

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return self._loop.record(error)


_ONCE = PassThrough()
"""What retries a loop while policies are switched off."""


def _the_body() -> None:
    """Stand for the loop's body where a function is expected."""
