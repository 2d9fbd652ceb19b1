"""The demo's script: the phases of the server, and the settings that both clients run with."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

__all__ = ["BARE", "CIRCUIT", "DOWN", "PHASES", "PROTECTED", "SIDES", "Mode", "Phase", "Settings"]

Mode = Literal["healthy", "slow", "unavailable", "reset", "down"]

PROTECTED: Final = "protected"
BARE: Final = "bare"
SIDES: Final = (PROTECTED, BARE)
CIRCUIT: Final = "demo server"


@dataclasses.dataclass(frozen=True)
class Phase:
    """A fault of the server.

    It takes *share* of the demo's time; after *fault_share* of that the server is healthy again.
    """

    name: str
    mode: Mode
    share: float
    fault_share: float = 1.0


# The 503s pass before the connections break, so that the circuit is seen to close; the broken connections do not
# pass before the process is killed, so that the circuit is open when it is and lets only probes through.
PHASES: Final = (
    Phase("healthy", "healthy", 1.0 / 12),
    Phase("slow, 1 in 3 late", "slow", 3.0 / 12),
    Phase("503, Retry-After: 1", "unavailable", 2.5 / 12, fault_share=0.6),
    Phase("connections reset", "reset", 1.0 / 12),
    Phase("process killed", "down", 3.0 / 12),
    Phase("process back", "healthy", 1.5 / 12),
)
DOWN: Final = 4
"""The index of the phase in which the server's process is dead."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options of the demo. Times are seconds; *rate* is calls per second of each client."""

    seconds: float = 12.0
    rate: float = 80.0
    seed: int = 1
    backend: str = "asyncio"
    attempts: int = 3
    failure_threshold: int = 5
    time_limit: float = 0.25

    @property
    def reset_timeout(self) -> float:
        """The time between two probes of an open circuit: five fit into the time the process is dead."""
        return min(1.0, self.seconds / 20)

    @property
    def late(self) -> float:
        """How long a slow answer takes."""
        return 2 * self.time_limit

    def document(self) -> dict[str, object]:
        """Return the settings as plain values."""
        return {**dataclasses.asdict(self), "reset_timeout": self.reset_timeout}
