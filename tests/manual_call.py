"""Calls through one circuit that a test begins and ends by hand, so that they may overlap and stand in each other.

`ManualCall` is the policy alone. The others are what users write: `ManualBlock` a ``with`` block that is entered and
left by hand, `ManualStream` a generator with a ``with`` block in it, `ManualPermit` a permit by hand. Each begins in a
context of its own or in that of the call it stands in, and ends in the context and the thread that calls its method.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Generator

from resilience._outcome import Outcome
from resilience._runtime.cut_off import CutOff, LimitPassed
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.sync_runner import advance
from resilience.circuits import CircuitBreaker
from resilience.errors.circuit import CircuitOpenError
from resilience.policies.circuit_breaker import CircuitBreakerPolicy

UNWINDING = {CutOff.TIMED_OUT: LimitPassed, CutOff.CANCELLED: asyncio.CancelledError}
"""What unwinds the code of a call that is cut off."""


class ManualCall:
    """A call by an independent caller, which the circuit has admitted, or rejected with *rejection*.

    With *context*, the caller is the code that runs there, and the call belongs to the calls noted in it.
    """

    def __init__(self, circuit: CircuitBreakerPolicy, context: contextvars.Context | None = None) -> None:
        self.context = context or contextvars.copy_context()
        self._call = Call("in flight", len)
        self._steps = circuit.run(self._call)
        step = self.context.run(advance, self._steps, None, self._call)
        self.rejection: CircuitOpenError | None = None
        if not isinstance(step, Proceed):
            assert isinstance(step.error, CircuitOpenError)
            self.rejection = step.error

    @property
    def admitted(self) -> object:
        """The state or the permit that has admitted the call."""
        return inspect.getgeneratorlocals(self._steps)["admitted"]

    def end(self, outcome: Outcome) -> object:
        """Have the circuit record *outcome*; return the outcome that it passes on."""
        return advance(self._steps, outcome, self._call)

    def cut_off(self, by: CutOff) -> None:
        """Close it, as a driver does when a limit outside or a cancellation has cut the call off."""
        self._call.ended_by = by
        self._steps.close()

    def cancel(self) -> None:
        """Close the policy, as a runner does when the call is cancelled."""
        self._steps.close()


class ManualUse:
    """A call as users make it. Subclasses have the methods of `ManualCall`, and `_begin`."""

    def __init__(self, breaker: CircuitBreaker, context: contextvars.Context | None = None) -> None:
        self.context = context or contextvars.copy_context()
        self.rejection: CircuitOpenError | None = None
        try:
            self.context.run(self._begin, breaker)
        except CircuitOpenError as rejection:
            self.rejection = rejection.with_traceback(None)

    def _begin(self, breaker: CircuitBreaker) -> None:
        raise NotImplementedError


class ManualBlock(ManualUse):
    """A block that ``calling()`` returns, entered and left by hand. Nothing is its result."""

    def _begin(self, breaker: CircuitBreaker) -> None:
        self._block = breaker.calling()
        self._block.__enter__()

    def end(self, outcome: Outcome) -> object:
        self._leave(outcome.error)
        return outcome

    def cut_off(self, by: CutOff) -> None:
        self._leave(UNWINDING[by]())

    def cancel(self) -> None:
        self._leave(KeyboardInterrupt())

    def _leave(self, error: BaseException | None) -> None:
        assert not self._block.__exit__(error and type(error), error, None)


class ManualStream(ManualUse):
    """A generator that is suspended in a ``with`` block of the circuit object, as a dependency of FastAPI is."""

    def _begin(self, breaker: CircuitBreaker) -> None:
        def stream() -> Generator[None]:
            with breaker:
                yield

        self._stream = stream()
        next(self._stream)

    def end(self, outcome: Outcome) -> object:
        if outcome.error is None:
            assert next(self._stream, "over") == "over"
        else:
            self._throw(outcome.error)
        return outcome

    def cut_off(self, by: CutOff) -> None:
        self._throw(UNWINDING[by]())

    def cancel(self) -> None:
        self._stream.close()

    def _throw(self, error: BaseException) -> None:
        try:
            self._stream.throw(error)
        except BaseException as raised:
            assert raised is error
        else:
            raise AssertionError("the block has swallowed the error")


class ManualPermit(ManualUse):
    """A permit by hand, which ends once: afterwards a second outcome is an error, and `release` does nothing."""

    def _begin(self, breaker: CircuitBreaker) -> None:
        self._permit = breaker.acquire()

    def end(self, outcome: Outcome) -> object:
        if outcome.error is None:
            self._permit.succeeded(outcome.value)
        else:
            self._permit.failed(outcome.error)
        self._end_again()
        return outcome

    def cut_off(self, by: CutOff) -> None:
        try:
            raise UNWINDING[by]
        except BaseException:
            self._permit.release()
        self._end_again()

    def cancel(self) -> None:
        self._permit.release()
        self._end_again()

    def _end_again(self) -> None:
        self._permit.release()
        for again in (self._permit.succeeded, lambda: self._permit.failed(ConnectionResetError())):
            with contextlib.suppress(RuntimeError):
                again()
                raise AssertionError("a permit has ended twice")
