"""The settings of all circuits, the verdicts as exceptions, and the interface of a library's file."""

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
    "NotApplicable",
    "Killed",
    "Library",
    "CallerBug",
    "CallerBugWithMetaclass",
    "Settings",
    "SetupError",
    "Clocks",
    "Violation",
]

#: Failures in a row that open a circuit, and the seconds it then stays open.
THRESHOLD = 2
RESET = 30.0

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"

#: The styles of calls through a circuit: a decorated function, a `with` block, a decorated async function.
THREADS, BLOCKS, TASKS = "threads", "blocks", "tasks"


class Violation(Exception):
    """The library has the bug; the message is what happened."""


class NotApplicable(Exception):
    """The scenario is about something that the library does not have; the message is the reason."""


class SetupError(Exception):
    """The circuit did not get into the state that the scenario is about: no verdict on the library."""


class CallerBug(NameError):
    """A bug of the caller's: no outcome of the dependency."""


class CallerBugWithMetaclass(Exception, metaclass=ABCMeta):
    """The same, of a class that has a metaclass."""


class Killed(BaseException):
    """Ends a call from outside, as `greenlet.GreenletExit` does: neither an `Exception` nor Ctrl-C."""


class Clocks:
    """The machine's clocks. `monotonic` never steps back; `wall` can be set."""

    def __init__(self) -> None:
        self._monotonic = 10_000.0
        self._wall = 1_700_000_000.0

    def monotonic(self) -> float:
        """Return the time of the clock that only goes forward, in seconds."""
        return self._monotonic

    def wall(self) -> float:
        """Return the time of day, in seconds since 1970."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, on both clocks."""
        self._monotonic += seconds
        self._wall += seconds

    def shift_wall_clock(self, seconds: float) -> None:
        """Set the wall clock ahead by *seconds*, or back if they are negative. No time passes."""
        self._wall += seconds


@dataclass(frozen=True)
class Settings:
    """The settings of a scenario's circuit. It opens after `THRESHOLD` failures in a row."""

    #: Successful probes that close it, if the library has such a number.
    successes: int = 1
    #: Probes that are admitted at a time, if the library has such a number.
    probes: int = 1
    #: The class of errors that are no outcome of the dependency.
    caller_bug: type[Exception] = CallerBug
    #: Called with every event, if the library has listeners.
    listener: Callable[[], object] | None = None


@dataclass(frozen=True)
class Breaker:
    """One circuit of a library, for one style of calls."""

    guard: Wrap
    #: Returns the present state: `CLOSED`, `OPEN` or `HALF_OPEN`.
    state: Callable[[], str]
    #: The class of the error that a rejected call raises.
    rejected: type[BaseException]
    #: Make errors that are bugs of the caller's. The library is set up to ignore the first.
    caller_bugs: tuple[Callable[[], Exception], ...]


class Library(Protocol):
    """The interface of a file in `benchmarks.half_open.libraries`."""

    @property
    def NAME(self) -> str:
        """The name in the tables."""
        ...

    @property
    def DISTRIBUTIONS(self) -> tuple[str, ...]:
        """The distributions whose versions are recorded."""
        ...

    @property
    def STYLES(self) -> Mapping[str, str]:
        """The styles of calls it offers. A reason says why only the scenarios about decorators apply to one."""
        ...

    @property
    def LACKS(self) -> Mapping[str, str]:
        """The reason why a style, or a scenario by its name, does not apply."""
        ...

    def patch_clock(self, clocks: Clocks) -> AbstractContextManager[object]:
        """Make the library read *clocks*."""
        ...

    def breaker(self, style: str, settings: Settings, clocks: Clocks) -> Breaker:
        """Return a new circuit."""
        ...
