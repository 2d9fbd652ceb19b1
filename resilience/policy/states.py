"""The states of a circuit, and who is told of them.

The state object is the generation: a circuit holds one object for its present state, and every transition
replaces it. A call records its result on the object it was admitted by, so that a late result lands on an
object nobody looks at any more and can neither close nor reopen anything.
"""

from __future__ import annotations

import enum
from typing import Protocol

from resilience.policy.base import Admission, Call

__all__ = ["CircuitState", "Closed", "HalfOpen", "Open", "State", "Transition", "Watcher"]


class CircuitState(enum.Enum):
    """The three states. The values are the names on the wire; pybreaker spells the last one ``half-open``."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Closed(Admission):
    """Everybody passes; *failures* in a row are counted."""

    __slots__ = ()
    kind = CircuitState.CLOSED
    name = "closed"  # as pybreaker spells the states
    # Never the last error: it would keep the frames of a failed call alive for as long as the circuit is closed.
    last: None = None
    last_type: None = None
    until: float = 0.0


class Open(Admission):
    """Nobody passes before *until*."""

    __slots__ = ("last", "last_type", "opened_at", "until")
    kind = CircuitState.OPEN
    name = "open"

    def __init__(self, failures: int, last: Exception | None, opened_at: float, until: float) -> None:
        super().__init__(quiet=False, failures=failures)
        self.last: Exception | None = last
        self.last_type: str | None = None if last is None else type(last).__name__
        self.opened_at: float = opened_at
        self.until: float = until


class HalfOpen(Admission):
    """One call at a time passes, as a probe. Its permit is a lease *until* then: a lost probe cannot keep it."""

    __slots__ = ("last", "last_type", "probing", "until")
    kind = CircuitState.HALF_OPEN
    name = "half-open"

    def __init__(self, failures: int, last: Exception | None) -> None:
        super().__init__(quiet=False, failures=failures)
        self.last: Exception | None = last
        self.last_type: str | None = None if last is None else type(last).__name__
        self.probing: bool = False
        self.until: float = 0.0


State = Closed | Open | HalfOpen
Transition = tuple[State, State]


class Watcher(Protocol):
    """Somebody who is told everything: pybreaker's listeners and storages, adapted. *blocking* if it does I/O."""

    blocking: bool

    def before_call(self, call: Call) -> None:
        """A call is about to be admitted or rejected."""

    def admitted(self, call: Call) -> None:
        """The call is about to be made."""

    def failed(self, error: Exception) -> None:
        """A call failed and counted."""

    def succeeded(self) -> None:
        """A call succeeded."""

    def changed(self, old: State, new: State) -> None:
        """The circuit changed its state."""
