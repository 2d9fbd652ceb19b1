"""What the libraries are set up with, and what their files give to the scenarios."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.terms import Wrap

__all__ = [
    "BLOCKS",
    "CLOSED",
    "HALF_OPEN",
    "OPEN",
    "RESET",
    "TASKS",
    "THREADS",
    "THRESHOLD",
    "Breaker",
    "DoesNotApply",
    "Killed",
    "Library",
    "OwnFault",
    "OwnFaultOfAnotherKind",
    "Settings",
    "SetupError",
    "Time",
    "Wrong",
]

#: Failures in a row that open a circuit, and the seconds it then stays open.
THRESHOLD = 2
RESET = 30.0

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"

#: The ways to go through a breaker: a decorated function, a `with` block, a decorated async function.
THREADS, BLOCKS, TASKS = "threads", "blocks", "tasks"


class Wrong(Exception):
    """The library does what it should not; the text says what."""


class DoesNotApply(Exception):
    """The scenario is about something the library does not have; the text says what."""


class SetupError(Exception):
    """The scenario did not get to the moment it is about: it says nothing of the library."""


class OwnFault(NameError):
    """A mistake of the caller's own: it says nothing of the dependency."""


class OwnFaultOfAnotherKind(Exception, metaclass=ABCMeta):
    """The same, of a class that has a metaclass."""


class Killed(BaseException):
    """What ends a call from outside, as `greenlet.GreenletExit` does: no `Exception`, and not Ctrl-C either."""


class Time:
    """The machine's clocks. `monotonic` never steps back; `wall` does what somebody sets it to."""

    def __init__(self) -> None:
        self._monotonic = 10_000.0
        self._wall = 1_700_000_000.0

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, on both."""
        self._monotonic += seconds
        self._wall += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock ahead by *seconds*, or back where they are negative. No time passes."""
        self._wall += seconds


@dataclass(frozen=True)
class Settings:
    """What a scenario asks of a breaker. Each opens after `THRESHOLD` failures in a row and lets out one probe."""

    #: Successful probes that close it, where a library has such a number.
    successes: int = 1
    #: Probes that may be out at the same time, where a library has such a number.
    probes: int = 1
    #: The class of errors that say nothing of the dependency.
    own_fault: type[Exception] = OwnFault
    #: Called with every event, where a library has listeners.
    listener: Callable[[], object] | None = None


@dataclass(frozen=True)
class Breaker:
    """One breaker of a library, for one way to go through it."""

    guard: Wrap
    #: Returns the present state, by one of the three names.
    state: Callable[[], str]
    #: What a rejected call raises.
    rejected: type[BaseException]
    #: Make the errors that the library was told to take for nothing the dependency did; the first is what it ignores.
    own_faults: tuple[Callable[[], Exception], ...]


class Library(Protocol):
    """What a file of `benchmarks.half_open.libraries` defines."""

    @property
    def NAME(self) -> str: ...

    @property
    def DISTRIBUTIONS(self) -> tuple[str, ...]: ...

    @property
    def ROADS(self) -> Mapping[str, str]:
        """The ways it offers; with a reason where all that can be looked at is what its decorator does."""
        ...

    @property
    def LACKS(self) -> Mapping[str, str]:
        """Why a way, or a scenario by its name, does not apply."""
        ...

    def patched(self, time: Time) -> AbstractContextManager[object]:
        """Make the clock this library reads that of *time*."""
        ...

    def breaker(self, road: str, settings: Settings, time: Time) -> Breaker:
        """Return a new breaker."""
        ...
