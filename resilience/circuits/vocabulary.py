"""The words of pybreaker's that ask and tell: its names for what a circuit knows, and its listeners."""

from __future__ import annotations

import dataclasses
import sys
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import pybreaker

from resilience.circuits.store import KINDS
from resilience.policies.circuit_breaker import Circuit
from resilience.policies.circuit_states import CircuitState, HalfOpen, State

__all__ = ["Vocabulary"]


class Vocabulary(pybreaker.CircuitBreaker):
    """A `pybreaker.CircuitBreaker` of which nothing is left but the type: each of its attributes has an answer here.

    What it is called with, and opened and closed by, is `CircuitBreaker`'s.
    """

    _circuit: Circuit
    _named: bool
    _told: list[pybreaker.CircuitBreakerListener]

    @abstractmethod
    def _force(self, kind: CircuitState) -> None: ...

    @abstractmethod
    def _watched_by(self, listeners: list[pybreaker.CircuitBreakerListener]) -> None: ...

    # -- what it knows -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The dependency's name, in errors, events and logs."""
        return self._circuit.name

    @name.setter
    def name(self, name: str) -> None:
        self._circuit.name, self._named = name, True

    @property
    def circuit_state(self) -> CircuitState:
        """The present state."""
        return self._circuit.state.kind

    @property
    def current_state(self) -> str:
        """The present state as pybreaker spells it: ``closed``, ``open`` or ``half-open``."""
        return self._circuit.state.name

    @property  # type: ignore[override]  # an object with a name, as pybreaker's
    def state(self) -> State:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The present state object; set it by name to force one."""
        return self._circuit.state

    @state.setter
    def state(self, state_str: str) -> None:
        if state_str not in KINDS:
            raise ValueError(f"state={state_str!r}: give one of {', '.join(map(repr, list(KINDS)[:3]))}")
        self._force(KINDS[state_str])

    @property
    def fail_counter(self) -> int:
        """Failures in a row that count against the threshold, or that opened the circuit."""
        return self._circuit.state.consecutive_failures

    @property
    def success_counter(self) -> int:
        """Successful probes towards closing."""
        state = self._circuit.state
        return state.successes if isinstance(state, HalfOpen) else 0

    @property
    def success_threshold(self) -> int:
        """Successful probes that close the circuit."""
        return self._circuit.rules.success_threshold

    @success_threshold.setter
    def success_threshold(self, threshold: int) -> None:
        self._change(success_threshold=threshold)

    @property
    def fail_max(self) -> int:
        """The failures in a row that open the circuit: *failure_threshold*; endless where it opens by other rules."""
        threshold = self._circuit.rules.failure_threshold
        return sys.maxsize if threshold is None else threshold

    @fail_max.setter
    def fail_max(self, number: int) -> None:
        self._change(failure_threshold=number)

    @property
    def reset_timeout(self) -> float:
        """Seconds an open circuit waits before it lets a probe through, the first time."""
        return self._circuit.rules.reset_seconds

    @reset_timeout.setter
    def reset_timeout(self, timeout: float) -> None:
        self._change(reset_timeout=timeout)

    def _change(self, **parameters: Any) -> None:
        self._circuit.rules = dataclasses.replace(self._circuit.rules, **parameters)

    # -- what counts ---------------------------------------------------------------------------------------------

    def is_system_error(self, exception: BaseException) -> bool:
        """Whether a call that raises *exception* counts as a failure."""
        return isinstance(exception, Exception) and self._circuit.counts(exception)

    @property
    def excluded_exceptions(self) -> tuple[NoReturn, ...]:
        """Always empty: what counts is decided by category."""
        return ()

    def add_excluded_exception(self, exception: object) -> NoReturn:
        """Raise TypeError: what counts is decided by category."""
        raise TypeError(
            f"add_excluded_exception({exception!r}): what counts is decided by category; give trip_on=, or"
            " resilience.register(exception, ErrorCategory.VALIDATION) for a type that should not count"
        )

    def add_excluded_exceptions(self, *exceptions: object) -> NoReturn:
        """Raise TypeError: what counts is decided by category."""
        self.add_excluded_exception(exceptions)

    remove_excluded_exception: ClassVar[Callable[..., NoReturn]] = add_excluded_exception

    # -- who is told ---------------------------------------------------------------------------------------------

    @property
    def listeners(  # type: ignore[override]  # pybreaker's own type variable is unbound there
        self,
    ) -> tuple[pybreaker.CircuitBreakerListener, ...]:
        """Those who are told of calls and changes."""
        return tuple(self._told)

    def add_listener(self, listener: pybreaker.CircuitBreakerListener) -> None:
        """Have *listener* told. One that raises is reported once and changes nothing."""
        self.add_listeners(listener)

    def add_listeners(self, *listeners: pybreaker.CircuitBreakerListener) -> None:
        """Have each of *listeners* told."""
        for listener in listeners:
            if not isinstance(listener, pybreaker.CircuitBreakerListener):
                raise TypeError(f"listeners: {listener!r}; give pybreaker.CircuitBreakerListener objects")
        self._watched_by([*self._told, *listeners])

    def remove_listener(self, listener: pybreaker.CircuitBreakerListener) -> None:
        """Tell *listener* no more. Raises ValueError when it is not on the list."""
        if listener not in self._told:
            raise ValueError(f"{listener!r} is not a listener of circuit {self.name!r}")
        self._watched_by([kept for kept in self._told if kept is not listener])
