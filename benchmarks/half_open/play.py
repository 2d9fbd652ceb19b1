"""The steps scenarios are made of. Each makes sure that the circuit is where it has to be."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from benchmarks.half_open.flights import Flight, Tasks, Threads
from benchmarks.half_open.terms import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    RESET,
    TASKS,
    THRESHOLD,
    DoesNotApply,
    Library,
    Settings,
    SetupError,
    Time,
    Wrong,
)
from benchmarks.terms import ERROR

__all__ = ["Play"]

_SERIAL = "its lock is held through a call: no second call is on its way"


class Play:
    """One breaker, its clock, and the calls through it."""

    def __init__(self, library: Library, road: str, settings: Settings) -> None:
        self.time = Time()
        self._library = library
        self._road = road
        self._settings = settings

    @contextmanager
    def on(self) -> Generator[Play]:
        """Make the breaker; in the end, end its calls."""
        with self._library.patched(self.time):
            self._breaker = self._library.breaker(self._road, self._settings, self.time)
            self._calls: Tasks | Threads = (Tasks if self._road == TASKS else Threads)(self._breaker.guard)
            try:
                yield self
            finally:
                self._calls.close()

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """Return what the library says its state is."""
        return self._breaker.state()

    @property
    def own_faults(self) -> tuple[Callable[[], Exception], ...]:
        """Return what makes the errors that say nothing of the dependency."""
        return self._breaker.own_faults

    def rejected(self, flight: Flight) -> bool:
        """Whether the breaker did not let it through."""
        return not flight.entered and isinstance(flight.error, self._breaker.rejected)

    def must(self, right: bool, otherwise: str) -> None:
        """Find the library wrong where *right* is not the case."""
        if not right:
            raise Wrong(otherwise)

    def must_be(self, *states: str, after: str) -> None:
        """Find it wrong where it is in another state than *states*."""
        state = self.state
        self.must(state in states, f"{state} after {after}")

    def must_let_through(self, what: str) -> None:
        """Find it wrong where the next call is not let through, and end that call well."""
        flight = self.start()
        self.must(flight.entered, f"{what} {flight.told()}")
        self.end(flight)

    # -- calling -------------------------------------------------------------------------------------------------

    def start(self, *, by_hand: bool = False) -> Flight:
        """Make a call that may be on its way, then."""
        return self._calls.start(by_hand=by_hand)

    def end(self, flight: Flight, error: BaseException | None = None) -> None:
        """Let it return, or raise *error*."""
        self._calls.end(flight, error)
        if not flight.ended:
            raise SetupError(f"a call that was to end {flight.told()}")

    def interrupt(self, flight: Flight) -> None:
        """Cancel it; in a thread, let it raise KeyboardInterrupt."""
        self._calls.interrupt(flight)

    def lose(self, flight: Flight) -> None:
        """End it from outside, in a way that few think of."""
        self._calls.lose(flight)

    def call(self, error: BaseException | None = None) -> Flight:
        """Make a call; where it is let through, let it return, or raise *error*."""
        flight = self.start()
        if flight.entered:
            self.end(flight, error)
        return flight

    # -- getting there -------------------------------------------------------------------------------------------

    def begin(self, *, by_hand: bool = False) -> Flight:
        """Make a call that has to be on its way."""
        flight = self.start(by_hand=by_hand)
        if flight.blocked:
            raise DoesNotApply(_SERIAL)
        if not flight.running:
            raise SetupError(f"a call that should be on its way {flight.told()}")
        return flight

    def fail(self) -> Flight:
        """Make a call that fails."""
        flight = self.begin()
        self.end(flight, ERROR())
        return flight

    def trip(self) -> None:
        """Open the circuit."""
        self._expect(CLOSED)
        for _ in range(THRESHOLD):
            self.fail()
        self._expect(OPEN)
        if not self.rejected(self.call()):
            raise SetupError("it is open and yet lets a call through")

    def wait(self) -> None:
        """Let the time pass for which it stays open."""
        self.time.advance(RESET + 1)

    def probe(self, *, by_hand: bool = False) -> Flight:
        """Let a probe out."""
        flight = self.begin(by_hand=by_hand)
        self._expect(HALF_OPEN)
        return flight

    def half_open(self, *, by_hand: bool = False) -> Flight:
        """Open the circuit, wait, and return the probe that is then on its way."""
        self.trip()
        self.wait()
        return self.probe(by_hand=by_hand)

    def _expect(self, state: str) -> None:
        if self.state != state:
            raise SetupError(f"it is {self.state}, and should be {state}")
