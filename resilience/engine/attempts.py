"""Retry as a loop: ``for attempt in retrying(...): with attempt: ...``, and with ``async for``."""

from __future__ import annotations

import sys
from types import TracebackType

from resilience.engine import asynchronous, blocking
from resilience.outcome import Outcome
from resilience.policy.base import Call, Effect, Emit, Policy, Proceed, Steps
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

    __slots__ = ("_answer", "_call", "_finished", "_number", "_open", "_steps")

    def __init__(self, policy: Policy) -> None:
        # The loop is named after the function it stands in: two frames up, over __iter__.
        frame = sys._getframe(2)
        self._call = Call(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}", _the_body)
        self._steps: Steps = policy.run(self._call)
        self._number = 0
        self._open = False  # whether an attempt is out whose outcome is not known
        self._finished = False
        #: An effect the steps asked for when they heard of the last outcome, to be performed before the next attempt.
        self._answer: Outcome | Effect | None = None

    def __iter__(self) -> AttemptLoop:
        return self

    def __aiter__(self) -> AttemptLoop:
        return self

    def __next__(self) -> Attempt:
        if self._ended():
            raise StopIteration
        return self._next(blocking.advance(self._steps, self._call, self._answer))

    async def __anext__(self) -> Attempt:
        if self._ended():
            raise StopAsyncIteration
        return self._next(await asynchronous.advance(self._steps, self._call, self._answer))

    def _ended(self) -> bool:
        if self._open:
            self._finished = True
            self._steps.close()
            raise RuntimeError("an attempt was not used: put the work in `with attempt:` inside the loop")
        return self._finished

    def _next(self, step: Proceed | Outcome) -> Attempt:
        if isinstance(step, Proceed):
            self._number += 1
            self._open = True
            return Attempt(self, self._number)
        self._finished = True
        # Only an error can come late: it was final, but to know that a function of the user's had to be asked.
        try:
            raise step.error or RuntimeError("the loop's policy ended without an attempt")
        finally:
            del step

    def record(self, error: BaseException | None) -> bool:
        """Tell the policy how an attempt went; return whether its error ends here."""
        self._open = False
        if error is not None and not isinstance(error, Exception):
            self._finished = True
            self._steps.close()
            return False
        try:
            effect = self._steps.send(Outcome(None, error))
            while isinstance(effect, Emit):
                emit(effect.event)
                effect = next(self._steps)
        except StopIteration:
            self._finished = True
            return False
        self._answer = effect  # waiting is for the loop, which may be async
        return True


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


def _the_body() -> None:
    """Stand for the loop's body where a function is expected."""
