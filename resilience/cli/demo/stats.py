"""Everything the demo knows while it runs: what happened to each call, in which phase, and to the circuit."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter

from resilience.cli.demo.phases import BARE, CIRCUIT, PHASES, PROTECTED, Settings
from resilience.cli.demo.shared_counters import SuccessCounter
from resilience.clock import current_clock
from resilience.events import AttemptFailed, CircuitTransition, Event

__all__ = ["Board", "Ending", "Numbers", "Side", "Transition"]


class Ending(enum.Enum):
    """How a call ended for its caller."""

    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclasses.dataclass
class Numbers:
    """What happened to the calls that began, and to the requests that were sent, in one phase."""

    endings: Counter[Ending] = dataclasses.field(default_factory=Counter[Ending])
    sent: int = 0
    took: list[float] = dataclasses.field(default_factory=list[float])

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(self.endings + other.endings, self.sent + other.sent, self.took + other.took)

    @property
    def calls(self) -> int:
        """The calls that are over."""
        return self.endings.total()

    @property
    def success_rate(self) -> float | None:
        """The share of calls whose caller got an answer, direct or degraded."""
        return None if not self.calls else 1 - self.endings[Ending.FAILED] / self.calls

    def percentile(self, percent: int) -> float | None:
        """Return the time within which *percent* of the calls were over, failed ones included (nearest rank)."""
        ordered = sorted(self.took)
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


@dataclasses.dataclass
class Side:
    """One of the two that call."""

    name: str
    phases: list[Numbers] = dataclasses.field(default_factory=lambda: [Numbers() for _ in PHASES])
    failed_attempts: Counter[str] = dataclasses.field(default_factory=Counter[str])
    recovered_at: float | None = None
    """When the first call succeeded directly after the process had been killed."""

    @property
    def total(self) -> Numbers:
        """All phases together."""
        return sum(self.phases, Numbers())


@dataclasses.dataclass(frozen=True)
class Transition:
    """The circuit changed its state *at* so many seconds after the beginning."""

    at: float
    old: str
    new: str


class Board:
    """What the load reports and the table shows. All times are seconds since the first phase began."""

    def __init__(self, settings: Settings, tally: SuccessCounter) -> None:
        self.settings = settings
        self.protected: Side = Side(PROTECTED)
        self.bare: Side = Side(BARE)
        self.phase: int = 0
        self.entered: list[float] = []
        self.ended: float | None = None
        self.back_at: float | None = None
        self.circuit: str = "closed"
        self.transitions: list[Transition] = []
        self._tally = tally
        self._began = current_clock().now()

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, the protected one first."""
        return self.protected, self.bare

    def now(self) -> float:
        """Seconds since the first phase began."""
        return current_clock().now() - self._began

    def enter(self, phase: int) -> None:
        """Begin a phase: calls and requests belong to it from now on."""
        if not self.entered:
            self._began = current_clock().now()
        self.phase = phase
        self.entered.append(self.now())

    def end(self) -> None:
        """Note that the last phase is over."""
        self.ended = self.now()

    def lasted(self, phase: int) -> float:
        """Return how long a phase took, or takes so far."""
        if phase >= len(self.entered):
            return 0.0
        if phase + 1 < len(self.entered):
            return self.entered[phase + 1] - self.entered[phase]
        return (self.now() if self.ended is None else self.ended) - self.entered[phase]

    def reached(self, side: Side, phase: int | None = None) -> int:
        """Return the requests that reached the server, by its own count."""
        phases = range(len(PHASES)) if phase is None else (phase,)
        return sum(self._tally.read(side.name, index) for index in phases)

    def over(self, side: Side, phase: int, ending: Ending, took: float) -> None:
        """Note that a call that began in *phase* is over."""
        side.phases[phase].endings[ending] += 1
        side.phases[phase].took.append(took)
        if ending is Ending.SUCCEEDED and side.recovered_at is None and self.back_at is not None:
            side.recovered_at = self.now()

    def time_to_recover(self, side: Side) -> float | None:
        """Return the seconds from the process being back to the first call that succeeded directly."""
        if side.recovered_at is None or self.back_at is None:
            return None
        return max(0.0, side.recovered_at - self.back_at)

    def heard(self, event: Event) -> None:
        """Take note of an event of the protected side's policies."""
        if isinstance(event, AttemptFailed):
            self.protected.failed_attempts[event.category.label] += 1
        elif isinstance(event, CircuitTransition) and event.circuit == CIRCUIT:
            self.transitions.append(Transition(self.now(), self.circuit, event.state))
            self.circuit = event.state
