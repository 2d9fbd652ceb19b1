"""Retry as a loop: ``for attempt in retrying(...): with attempt: ...``, and with ``async for``.

The loop's policy is one generator. It is suspended at its `Proceed` while the body of the loop runs, and is sent each
attempt's outcome when the attempt's ``with`` block ends. What it yields then is shared out: events are emitted there
and then, in `AttemptLoop.record_attempt`, while waits and questions are left for the next turn of the loop, which knows
whether it may await them. So `record_attempt` is the same for both kinds of loop.

An attempt that succeeds ends the loop, and is reported where its block ends, as the loop may be left right after it. An
error that is final leaves the block of the attempt that raised it. Where the loop is cancelled or interrupted inside an
attempt, the policy is closed, and gives back what it took.
"""

from __future__ import annotations

import sys
from types import TracebackType

from resilience._listeners import emit
from resilience._outcome import Outcome
from resilience._runtime import async_runner, sync_runner
from resilience._runtime.cut_off import cut_off_by
from resilience._runtime.protocol import Call, Effect, Emit, Policy, Proceed, Steps
from resilience._runtime.steps import end, policy_in_force, resume
from resilience._runtime.tracebacks import result_of

__all__ = ["Attempt", "AttemptLoop", "RetryLoop"]


class RetryLoop:
    """The value of `retrying`: iterate over it, as often as you like, each time for one piece of work.

    >>> from resilience import retrying
    >>> failures = [TimeoutError()]
    >>> for attempt in retrying(attempts=2, base_delay=0):
    ...     with attempt:
    ...         if failures:
    ...             raise failures.pop()
    ...         print(attempt.number)
    2
    """

    __slots__ = ("_policy",)

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __iter__(self) -> AttemptLoop:
        return AttemptLoop(self._policy)

    def __aiter__(self) -> AttemptLoop:
        return AttemptLoop(self._policy)


class AttemptLoop:
    """One loop over attempts. It owns the call, the policy's generator, and whether an attempt is unfinished.

    The policy is suspended at its `Proceed` while an attempt's block runs. When a block fails, `record_attempt` sends
    the policy the error and has its events emitted, but waits for nothing: the block's ``__exit__`` is sync, also in
    async code. A wait that the policy yields is kept, and performed where the loop asks for the next attempt.
    """

    __slots__ = ("_effect", "_finished", "_number", "_open", "_steps", "call")

    def __init__(self, policy: Policy) -> None:
        # The loop is named after the function it stands in: two frames up, over __iter__.
        frame = sys._getframe(2)
        self.call: Call = Call(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}", _loop_body)
        policy = policy_in_force(policy)
        self.call.stack = (policy,)
        #: The policy, suspended where it proceeds while an attempt runs, or where it yields *effect*.
        self._steps: Steps[Outcome] = policy.run(self.call)
        #: What is to be done before the next attempt: to wait, or, to know that, to ask a function of the user's.
        self._effect: Effect | None = None
        self._number = 0
        self._open = False  # whether an attempt has begun whose outcome is not known
        self._finished = False
        self._decided(sync_runner.advance(self._steps, None, self.call))

    def __iter__(self) -> AttemptLoop:
        return self

    def __aiter__(self) -> AttemptLoop:
        return self

    def __next__(self) -> Attempt:
        if self._has_ended():
            raise StopIteration
        if self._effect is not None:
            answer = sync_runner.perform(self._pending(), self.call)
            self._decided(sync_runner.advance(self._steps, answer, self.call))
        return self._attempt()

    async def __anext__(self) -> Attempt:
        if self._has_ended():
            raise StopAsyncIteration
        if self._effect is not None:
            answer = await async_runner.perform(self._pending(), self.call)
            self._decided(await async_runner.advance(self._steps, answer, self.call))
        return self._attempt()

    def _pending(self) -> Effect | None:
        """Return the effect that is left to perform, and forget it: it may lead to an error whose frames hold this."""
        effect, self._effect = self._effect, None
        return effect

    def _has_ended(self) -> bool:
        """Whether no attempt follows. Raises RuntimeError where the last one was not used as a block."""
        if self._open:
            self._finished = True
            raise RuntimeError("an attempt was not used: put the work in `with attempt:` inside the loop")
        return self._finished

    def _decided(self, step: Proceed | Outcome) -> None:
        """Go on with the loop where the policy proceeds, or raise its final error.

        Only an error can come here: it was final, but to know that a function of the user's had to be asked.
        """
        if isinstance(step, Proceed):
            return
        self._finished = True
        try:
            result_of(step)
            raise RuntimeError("the loop's policy ended without an error")
        finally:
            del step

    def _attempt(self) -> Attempt:
        """Return the next attempt, which is open until its block ends."""
        self._number += 1
        self._open = True
        return Attempt(self, self._number)

    def record_attempt(self, error: BaseException | None) -> bool:
        """Send the policy the outcome of an attempt; return whether its error ends here, as the loop goes on.

        A success ends the loop, and so does a cancellation or Ctrl-C, which closes the policy. An error that is final
        leaves the block; where the policy has wrapped it, the policy's error is raised in its place.
        """
        self._open = False
        self._finished = True
        if error is None:
            sync_runner.advance(self._steps, Outcome(), self.call)
            return False
        if not isinstance(error, Exception):
            self.call.ended_by = cut_off_by(error)
            end(self._steps)
            return False
        step = resume(self._steps, Outcome(None, error))
        while isinstance(step, Emit):
            emit(step.event)
            step = resume(self._steps, None)
        if isinstance(step, Outcome):
            try:
                if step.error is not error:  # wrapped
                    result_of(step)
                return False
            finally:
                del step
        self._finished = False
        self._effect = None if isinstance(step, Proceed) else step
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
        return self._loop.record_attempt(error)


def _loop_body() -> None:
    """Stand for the loop's body where a function is expected."""
