"""Statistics of the demo: outcomes, durations and requests by client and phase, and the circuit's transitions.

The load writes, the table and the summary read, all on one event loop. Requests are counted by the server itself, in a
file that survives its process.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import Counter

from resilience.cli.demo.phases import BARE, CIRCUIT, PHASES, PROTECTED, Settings
from resilience.cli.demo.shared_counters import RequestCounter
from resilience.clock import current_clock
from resilience.events import AttemptFailed, CircuitTransition, Event

__all__ = ["ClientStats", "DemoStats", "Outcome", "PhaseStats", "Transition"]


class Outcome(enum.Enum):
    """The outcome of a call for its caller: the server's answer, the fallback's, or an error."""

    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclasses.dataclass
class PhaseStats:
    """Outcomes and durations of the calls that began in one phase, and the requests sent meanwhile."""

    outcomes: Counter[Outcome] = dataclasses.field(default_factory=Counter[Outcome])
    sent: int = 0
    durations: list[float] = dataclasses.field(default_factory=list[float])

    def __add__(self, other: PhaseStats) -> PhaseStats:
        return PhaseStats(self.outcomes + other.outcomes, self.sent + other.sent, self.durations + other.durations)

    @property
    def calls(self) -> int:
        """The number of calls that have ended."""
        return self.outcomes.total()

    @property
    def success_rate(self) -> float | None:
        """The share of calls whose caller got an answer, direct or degraded."""
        if not self.calls:
            return None
        return 1 - self.outcomes[Outcome.FAILED] / self.calls

    def percentile(self, percent: int) -> float | None:
        """Return the time within which *percent* of the calls were over, failed ones included (nearest rank)."""
        if not self.durations:
            return None
        rank = math.ceil(len(self.durations) * percent / 100)
        return sorted(self.durations)[max(0, rank - 1)]


@dataclasses.dataclass
class ClientStats:
    """Statistics of one client: the protected or the bare one."""

    name: str
    phases: list[PhaseStats] = dataclasses.field(default_factory=lambda: [PhaseStats() for _ in PHASES])
    failed_attempts: Counter[str] = dataclasses.field(default_factory=Counter[str])
    recovered_at: float | None = None
    """When the first call succeeded directly after the process had been killed."""

    @property
    def total(self) -> PhaseStats:
        """All phases together."""
        return sum(self.phases, PhaseStats())


@dataclasses.dataclass(frozen=True)
class Transition:
    """A transition of the circuit, *at* seconds after the beginning."""

    at: float
    old: str
    new: str


class DemoStats:
    """Statistics of both clients, written by the load and read by the table.

    All times are seconds since the first phase began. Requests that reached the server are counted by the server
    itself, in a file that survives its process.
    """

    def __init__(self, settings: Settings, counter: RequestCounter) -> None:
        self.settings = settings
        self.protected: ClientStats = ClientStats(PROTECTED)
        self.bare: ClientStats = ClientStats(BARE)
        self.phase: int = 0
        self.phase_starts: list[float] = []
        self.ended_at: float | None = None
        self.server_back_at: float | None = None
        self.circuit: str = "closed"
        self.transitions: list[Transition] = []
        self._counter = counter
        self._began = current_clock().now()

    @property
    def clients(self) -> tuple[ClientStats, ClientStats]:
        """Both clients, the protected one first."""
        return self.protected, self.bare

    def now(self) -> float:
        """Seconds since the first phase began."""
        return current_clock().now() - self._began

    def begin_phase(self, phase: int) -> None:
        """Begin a phase: calls and requests are counted in it from now on."""
        if not self.phase_starts:
            self._began = current_clock().now()
        self.phase = phase
        self.phase_starts.append(self.now())

    @property
    def phases_done(self) -> int:
        """The number of phases that have ended."""
        return self.phase + (self.ended_at is not None)

    def end(self) -> None:
        """Record the end of the last phase."""
        self.ended_at = self.now()

    def duration(self, phase: int) -> float:
        """Return how many seconds a phase took, or has taken so far."""
        if phase >= len(self.phase_starts):
            return 0.0
        if phase + 1 < len(self.phase_starts):
            return self.phase_starts[phase + 1] - self.phase_starts[phase]
        return self.elapsed - self.phase_starts[phase]

    @property
    def elapsed(self) -> float:
        """Seconds since the first phase began, until the end of the last one."""
        if self.ended_at is None:
            return self.now()
        return self.ended_at

    def requests_reached(self, client: ClientStats, phase: int | None = None) -> int:
        """Return how many requests reached the server, by its own count; *phase* None: in all phases."""
        if phase is not None:
            return self._counter.read(client.name, phase)
        return sum(self._counter.read(client.name, index) for index in range(len(PHASES)))

    def record_call(self, client: ClientStats, phase: int, outcome: Outcome, took: float) -> None:
        """Record the outcome of a call that began in *phase*."""
        client.phases[phase].outcomes[outcome] += 1
        client.phases[phase].durations.append(took)
        if outcome is Outcome.SUCCEEDED and client.recovered_at is None and self.server_back_at is not None:
            client.recovered_at = self.now()

    def time_to_recover(self, client: ClientStats) -> float | None:
        """Return the seconds from the process being back to the first call that succeeded directly."""
        if client.recovered_at is None or self.server_back_at is None:
            return None
        return max(0.0, client.recovered_at - self.server_back_at)

    def on_event(self, event: Event) -> None:
        """Record an event of the protected client's policies."""
        if isinstance(event, AttemptFailed):
            self.protected.failed_attempts[event.category.label] += 1
        elif isinstance(event, CircuitTransition) and event.circuit == CIRCUIT:
            self.transitions.append(Transition(self.now(), self.circuit, event.state))
            self.circuit = event.state
