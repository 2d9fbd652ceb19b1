"""Permits by hand: admission and outcome as two calls, for callbacks, futures and two-step protocols."""

from __future__ import annotations

import contextvars
import sys
import threading

from resilience._outcome import Outcome
from resilience._runtime import sync_runner
from resilience._runtime.cut_off import cut_off_by
from resilience._runtime.protocol import Call, Policy, Proceed
from resilience._runtime.steps import end, policy_in_force
from resilience._runtime.tracebacks import result_of

__all__ = ["Permit"]


class Permit:
    """The admission of one call by a circuit, to be ended once, from any thread or task.

    `CircuitBreaker.acquire` returns it. `succeeded` and `failed` record how the call ended; `release` gives the permit
    back without an outcome, for a call that was not made or was cancelled, and does nothing once it has ended. A permit
    that is dropped is given back by the garbage collector, and one that is lost holds a probe's place only until its
    lease ends. Calls made meanwhile are calls of their own: none of them belongs to this one.

    >>> from resilience import circuit_breaker
    >>> billing = circuit_breaker("billing", failure_threshold=1)
    >>> permit = billing.acquire()
    >>> permit.failed(ConnectionResetError())
    >>> billing.current_state
    'open'
    """

    __slots__ = ("_call", "_ended", "_steps", "_target")

    def __init__(self, policy: Policy, target: str) -> None:
        policy = policy_in_force(policy)
        self._target = target
        self._call = Call(target, _no_function)
        self._call.stack = (policy,)
        self._steps = policy.run(self._call)
        self._ended = threading.Lock()
        # In a context of its own: what the caller does next in this one is not a part of the call.
        step = contextvars.copy_context().run(sync_runner.advance, self._steps, None, self._call)
        try:
            if isinstance(step, Outcome):
                self._ended.acquire()
                result_of(step)  # raises the rejection
        finally:
            del step

    def succeeded(self, result: object = None) -> None:
        """Record that the call returned *result*, which *failure_if* of the circuit may judge.

        Raises RuntimeError where the permit has ended already.
        """
        self._end(Outcome(result))

    def failed(self, error: Exception) -> None:
        """Record that the call raised *error*, which counts by its category.

        Raises TypeError for what is no `Exception`, and RuntimeError where the permit has ended already.
        """
        if not isinstance(error, Exception):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"failed({error!r}): give an Exception; release() is for a call that was cancelled")
        self._end(Outcome.failed(error))

    def release(self) -> None:
        """Give the permit back: the call has no outcome. Does nothing where it has ended.

        While a cancellation is handled, the call counts as any call that is cut off: as a time-out where a limit of the
        toolkit's has passed, as slow where it has become that.
        """
        if self._ended.acquire(blocking=False):
            self._call.ended_by = cut_off_by(sys.exception())
            end(self._steps)

    def _end(self, outcome: Outcome) -> None:
        if not self._ended.acquire(blocking=False):
            raise RuntimeError(f"this permit of {self._target} has ended: acquire() one for each call")
        step = sync_runner.advance(self._steps, outcome, self._call)
        if isinstance(step, Proceed):
            end(self._steps)

    def __repr__(self) -> str:
        return f"<Permit of {self._target}{', ended' if self._ended.locked() else ''}>"


def _no_function() -> None:
    """Stand where a call has its function: a permit's call is made elsewhere."""
