"""`ManualCall`: a sync call through one circuit that a test begins and ends by hand, so that calls may overlap."""

from __future__ import annotations

import inspect

from resilience._outcome import Outcome
from resilience._runtime.cut_off import CutOff
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.sync_runner import advance
from resilience.errors.circuit import CircuitOpenError
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from tests.independent_caller import IndependentCaller


class ManualCall:
    """A call by an independent caller, which the circuit has admitted, or rejected with *rejection*."""

    def __init__(self, circuit: CircuitBreakerPolicy) -> None:
        self._call = Call("in flight", len)
        self._steps = circuit.run(self._call)
        step = IndependentCaller().call(advance, self._steps, None, self._call)
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
