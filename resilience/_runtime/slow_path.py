"""From a wrapper to a runner: makes the `Call` of a guarded call that the wrapper could not end by itself.

A wrapper (`fast_path`) holds a `SlowPath` for its function. A call that succeeds on the fast path has no `Call`. When
the function fails, a limit passes or the gate is not on the fast path, the `SlowPath` makes one, with its outcome so
far and the *position* at which the runner begins: the fast path has admitted the call for the policies above it.
The runner sends them the outcome. The policies below the position have not been run, or have ended already.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeAlias

from resilience._deadline_context import current_deadline_any_clock, deadlines_used
from resilience._outcome import Outcome, set_context
from resilience._process_bound import ProcessBound, function_by_its_code
from resilience._runtime import async_runner
from resilience._runtime.circuit_context import Permit, calls_here
from resilience._runtime.cut_off import CutOff, cut_off_by
from resilience._runtime.generators import cancel, finish, start_iteration
from resilience._runtime.limiters import permits_of
from resilience._runtime.protocol import Admission, Call, Limiter, Policy
from resilience._runtime.steps import end
from resilience._runtime.tracebacks import failed_here
from resilience.clock import current_clock

__all__ = ["NOWHERE", "Arguments", "Keywords", "SlowPath", "StreamSlowPath"]

Arguments: TypeAlias = tuple[object, ...]
Keywords: TypeAlias = Mapping[str, object] | None

NOWHERE = -1
"""The position of a policy that the stack does not have."""


class SlowPath(ProcessBound):
    """Makes the call that a wrapper hands to its runner, `drive`.

    It owns what a wrapper needs off the happy path. A wrapper looks everything up here that it does not need for a call
    that succeeds, since each name of its closure costs every call a little.

    One object serves all calls of a function, from any thread: what belongs to a single call is in the `Call` that it
    returns.
    """

    __slots__ = ("drive", "function", "gate_at", "limiter", "opener", "stack", "target", "timed_at", "wrapper")

    clock = staticmethod(current_clock)
    set_context = staticmethod(set_context)
    due_here = staticmethod(current_deadline_any_clock)
    deadlines_used = deadlines_used

    def __init__(
        self,
        target: str,
        function: Callable[..., object],
        stack: Sequence[Policy],
        opener: Callable[..., object] | None,
        drive: Any,
    ) -> None:
        self.target = target
        self.function = function
        self.stack = stack
        #: What a runner calls in place of the function: a stream's first item is fetched, a first result is looked at.
        self.opener = opener
        #: The runner, sync or async.
        self.drive = drive
        #: The positions of the gate, and of the policy that times the calls.
        self.gate_at = self.timed_at = NOWHERE
        #: What the fast path asks for admission, if anything.
        self.limiter: Limiter | None = None
        #: The wrapper that has it among the constants of its code, if one has.
        self.wrapper: weakref.ref[FunctionType] | None = None

    def _instead_of_pickling(self) -> tuple[str, str]:
        return function_by_its_code(self.target)

    def call(self, arguments: Arguments, keywords: Keywords) -> Call:
        """Return a call that no policy has admitted yet."""
        call = Call(self.target, self.function, arguments, keywords)
        call.opener = self.opener
        return call

    def failed(self, error: Exception, arguments: Arguments, keywords: Keywords) -> Call:
        """Return a call whose function has raised *error*, without the wrapper's frame in its traceback.

        The wrapper raises the error itself in the end, and puts its frame there.
        """
        call = Call(self.target, self.function, arguments, keywords)
        call.opener = self.opener
        call.initial_outcome = failed_here(error)
        call.position = len(self.stack)
        return call

    def rejected(self, error: Exception | None, arguments: Arguments, keywords: Keywords) -> Call:
        """Return a call that the gate rejects with *error*; without one, a call that all policies have to be asked."""
        call = self.call(arguments, keywords)
        if error is not None:
            call.initial_outcome = Outcome(None, error)
            call.position = self.gate_at
        return call

    def hand_over(self, call: Call, permit: Permit) -> None:
        """Give each *permit* of the limiter to the policy that it belongs to, which leaves it when the call has ended.

        A policy inside a time limit that has passed is cut off at once, as it would be if it had been run.
        """
        assert self.limiter is not None, "it has given the permit"
        call.permits = dict(permits_of(self.limiter, permit))
        for policy in self.stack[call.position :]:
            limiter = policy.fast_path_limiter
            if limiter is not None and limiter.leaves:
                self._time_out(policy, {limiter: call.permits.pop(limiter)})

    def _time_out(self, policy: Policy, permits: dict[Limiter, Permit]) -> None:
        """Have a *policy* with a limiter end the call, which a time limit outside of it has cut off."""
        call = Call(self.target, self.function)
        call.permits, call.admitted, call.ended_by = permits, True, CutOff.TIMED_OUT
        steps = policy.run(call)
        next(steps)
        end(steps)

    @staticmethod
    def cut_off_here() -> CutOff | None:
        """Return what has cut off the call that the exception being handled has ended."""
        return cut_off_by(sys.exception())

    def cut_off(self, call: Call, state: Admission, by: CutOff | None = None) -> None:
        """Have the gate end *call*, which *state* has admitted, and which the exception being handled has cut off."""
        call.ended_by = by or self.cut_off_here()
        if call.ended_by is not None:
            call.admission, call.admitted = state, True
            steps = self.stack[self.gate_at].run(call)
            next(steps)
            end(steps)


class StreamSlowPath(SlowPath):
    """Makes the call of a generator function. It always goes through the runner, which opens the stream."""

    __slots__ = ()

    finish = staticmethod(finish)
    cancel = staticmethod(cancel)

    def call(self, arguments: Arguments, keywords: Keywords) -> Call:
        """Return a call that no policy has admitted yet, which knows the calls that its consumer's code belongs to."""
        call = super().call(arguments, keywords)
        call.enclosing = calls_here()
        return call

    def begin(self, call: Call, outcome: Outcome) -> tuple[object, object]:
        """Return the items of an opened stream, and the first one."""
        return start_iteration(call, outcome, self.drive, asynchronously=self.drive is async_runner.drive)
