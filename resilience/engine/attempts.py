"""Retry as a loop: ``for attempt in retrying(...): with attempt: ...``, and with ``async for``."""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import TracebackType
from typing import cast

from resilience.engine import asynchronous, blocking
from resilience.outcome import Outcome
from resilience.policy.base import Call, Effect, Emit, Policy, Steps
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

    __slots__ = ("_call", "_effect", "_finished", "_number", "_open", "_policy", "_steps", "_wait")

    def __init__(self, policy: Policy) -> None:
        # The loop is named after the function it stands in: two frames up, over __iter__.
        frame = sys._getframe(2)
        self._call = Call(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}", _the_body)
        self._policy = _ONCE if DISABLED.used and DISABLED.is_on() else policy
        self._policy.before(self._call, 0)
        self._number = 0
        self._open = False  # whether an attempt is out whose outcome is not known
        self._finished = False
        #: What is to be done before the next attempt: to wait, or, to know that, to perform an effect.
        self._wait: float | None = None
        self._steps: Steps[Outcome | float] | None = None
        self._effect: Effect | None = None

    def __iter__(self) -> AttemptLoop:
        return self

    def __aiter__(self) -> AttemptLoop:
        return self

    def __next__(self) -> Attempt:
        if self._ended():
            raise StopIteration
        if self._steps is not None:
            steps, effect = self._pending()
            self._decided(blocking.perform(steps, effect))
        if self._wait is not None:
            self._call.clock.sleep(self._wait)
            self._policy.resumed(self._call, 0)
        return self._attempt()

    async def __anext__(self) -> Attempt:
        if self._ended():
            raise StopAsyncIteration
        if self._steps is not None:
            steps, effect = self._pending()
            self._decided(await asynchronous.perform(steps, effect))
        if self._wait is not None:
            await self._call.clock.sleep_async(self._wait)
            self._policy.resumed(self._call, 0)
        return self._attempt()

    def _pending(self) -> tuple[Steps[Outcome | float], Effect | None]:
        pending = self._steps, self._effect
        self._steps = self._effect = None  # an event holds its error, whose frames hold this loop
        return cast("tuple[Steps[Outcome | float], Effect | None]", pending)

    def _ended(self) -> bool:
        if self._open:
            self._finished = True
            raise RuntimeError("an attempt was not used: put the work in `with attempt:` inside the loop")
        return self._finished

    def _decided(self, answer: Outcome | float) -> None:
        if not isinstance(answer, Outcome):
            self._wait = answer
            return
        self._finished = True
        # Only an error can come late: it was final, but to know that a function of the user's had to be asked.
        try:
            raise answer.error or RuntimeError("the loop's policy ended without an error")
        finally:
            del answer

    def _attempt(self) -> Attempt:
        self._wait = None
        self._number += 1
        self._open = True
        return Attempt(self, self._number)

    def record(self, error: BaseException | None) -> bool:
        """Tell the policy how an attempt went; return whether its error ends here."""
        self._open = False
        if error is not None and not isinstance(error, Exception):
            self._finished = True
            self._policy.release(self._call, 0)
            return False
        answer = self._policy.after(self._call, 0, Outcome(None, error))
        if error is None:  # who is told of it is told here: the loop may well be left now
            self._finished = True
            if isinstance(answer, Generator):
                blocking.perform(answer)
            return False
        if isinstance(answer, Generator):
            steps = answer
            try:
                effect = next(steps)
                while isinstance(effect, Emit):
                    emit(effect.event)
                    effect = next(steps)
            except StopIteration as done:
                answer = done.value
            else:  # asking and waiting are for the loop, which may be async
                self._steps, self._effect = steps, effect
                return True
        if isinstance(answer, Outcome):
            self._finished = True
            if answer.error is None or answer.error is error:
                return False
            try:
                raise answer.error  # wrapped
            finally:
                del answer
        self._wait = answer
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


_ONCE = Policy()
"""What retries a loop while policies are switched off."""


def _the_body() -> None:
    """Stand for the loop's body where a function is expected."""
