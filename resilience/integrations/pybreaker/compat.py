"""The attributes of a `pybreaker.CircuitBreaker`, answered by the circuit of this toolkit.

Libraries that ask for a pybreaker circuit (redis-py's multi-database client does) read and set these. Nothing of
pybreaker's own engine runs: it would catch BaseException, hold a lock while a call runs, and not see that an async
function has failed.
"""

from __future__ import annotations

import dataclasses
import sys
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, NoReturn, Self

import pybreaker

from resilience.clock import current_clock
from resilience.integrations.pybreaker.storage import STATES_BY_NAME
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import CircuitState, State

__all__ = ["SETTABLE", "PybreakerCompat"]

SETTABLE = ("fail_max", "name", "reset_timeout", "state", "success_threshold")
"""The attributes that a program may set. Setting another one raises AttributeError."""


class PybreakerCompat(pybreaker.CircuitBreaker):
    """A `pybreaker.CircuitBreaker` by type alone: its ``__init__`` is not called, each attribute has an answer here.

    The subclass `CircuitBreaker` adds what calls go through, and what opens and closes it by hand. Where pybreaker's
    answer would be wrong here, as for excluded exceptions, setting it is a TypeError that says what to do instead.
    """

    _circuit: CircuitBreakerPolicy
    _named: bool
    _own_listeners: Sequence[pybreaker.CircuitBreakerListener]

    @abstractmethod
    def _force(self, kind: CircuitState) -> None:
        """Go to a state by hand."""

    @abstractmethod
    def children(self) -> Sequence[tuple[Hashable, Self]]:
        """Return the circuits that were made after this one."""

    @abstractmethod
    def _set_listeners(self, listeners: Sequence[pybreaker.CircuitBreakerListener]) -> None:
        """Notify *listeners*, and no others, from now on."""

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The dependency's name, in errors, events and logs."""
        return self._circuit.name

    @name.setter
    def name(self, name: str) -> None:
        self._circuit.name, self._named = name, True

    @property
    def circuit_state(self) -> CircuitState:
        """The present state: half-open as soon as the next call would be a probe."""
        return self._circuit.state_at(current_clock().now())

    @property
    def current_state(self) -> str:
        """The present state as pybreaker spells it: ``closed``, ``open`` or ``half-open``."""
        return self.circuit_state.value.replace("_", "-")

    @property  # type: ignore[override]  # an object with a name, as pybreaker's
    def state(self) -> State:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The present state object; set it by name to force one."""
        return self._circuit.state

    @state.setter
    def state(self, state_str: str) -> None:
        if state_str not in STATES_BY_NAME:
            raise ValueError(f"state={state_str!r}: give one of {', '.join(map(repr, list(STATES_BY_NAME)[:3]))}")
        self._force(STATES_BY_NAME[state_str])

    @property
    def fail_counter(self) -> int:
        """The weight of the failures in a row that count against the threshold, or that opened the circuit."""
        return self._circuit.state.consecutive_failures

    @property
    def success_counter(self) -> int:
        """The probes that have succeeded since the circuit is half-open."""
        return self._circuit.state.successes

    # -- options that users of pybreaker set ---------------------------------------------------------------------------

    @property
    def success_threshold(self) -> int:
        """The successful probes that close the circuit."""
        return self._circuit.config.success_threshold

    @success_threshold.setter
    def success_threshold(self, threshold: int) -> None:
        self._replace(success_threshold=threshold)

    @property
    def fail_max(self) -> int:
        """The failures in a row that open the circuit: *failure_threshold*; ``sys.maxsize`` where that is None."""
        return self._circuit.config.failure_threshold or sys.maxsize

    @fail_max.setter
    def fail_max(self, number: int) -> None:
        self._replace(failure_threshold=number)

    @property
    def reset_timeout(self) -> float:
        """Seconds an open circuit waits before it admits a probe, the first time."""
        return self._circuit.config.reset_seconds

    @reset_timeout.setter
    def reset_timeout(self, timeout: float) -> None:
        self._replace(reset_timeout=timeout)

    def _replace(self, **options: Any) -> None:
        """Change options of this circuit and of those made after it, checked as where it was made. States stay."""
        self._circuit.config = dataclasses.replace(self._circuit.config, **options)
        for _, child in self.children():
            child._replace(**options)

    # -- failures ------------------------------------------------------------------------------------------------------

    def is_system_error(self, exception: BaseException) -> bool:
        """Whether a call that raises *exception* counts as a failure."""
        return isinstance(exception, Exception) and self._circuit.counts(exception)

    @property
    def excluded_exceptions(self) -> tuple[NoReturn, ...]:
        """Always empty: the category decides which errors count."""
        return ()

    def add_excluded_exception(self, exception: object) -> NoReturn:
        """Raise TypeError: the category decides which errors count."""
        raise TypeError(
            f"add_excluded_exception({exception!r}): what counts is decided by category; give trip_on=, or"
            " resilience.register(exception, ErrorCategory.VALIDATION) for a type that should not count"
        )

    def add_excluded_exceptions(self, *exceptions: object) -> NoReturn:
        """Raise TypeError: the category decides which errors count."""
        self.add_excluded_exception(exceptions)

    remove_excluded_exception: ClassVar[Callable[..., NoReturn]] = add_excluded_exception

    # -- listeners -----------------------------------------------------------------------------------------------------

    @property
    def listeners(  # type: ignore[override]  # pybreaker's own type variable is unbound there
        self,
    ) -> tuple[pybreaker.CircuitBreakerListener, ...]:
        """The listeners that are notified of calls and transitions."""
        return tuple(self._own_listeners)

    def add_listener(self, listener: pybreaker.CircuitBreakerListener) -> None:
        """Notify *listener*, too. An error of its own is logged once and changes nothing."""
        self.add_listeners(listener)

    def add_listeners(self, *listeners: pybreaker.CircuitBreakerListener) -> None:
        """Notify each of *listeners*, too. Raises TypeError for what is no listener."""
        for listener in listeners:
            if not isinstance(listener, pybreaker.CircuitBreakerListener):
                raise TypeError(f"listeners: {listener!r}; give pybreaker.CircuitBreakerListener objects")
        self._set_listeners([*self._own_listeners, *listeners])

    def remove_listener(self, listener: pybreaker.CircuitBreakerListener) -> None:
        """Notify *listener* no more. Raises ValueError where it is not notified."""
        if listener not in self._own_listeners:
            raise ValueError(f"{listener!r} is not a listener of circuit {self.name!r}")
        self._set_listeners([kept for kept in self._own_listeners if kept is not listener])
