"""The circuit that a scenario examines: its clocks, the calls through it, and the steps of a scenario.

A step that does not bring the circuit into its state raises `SetupError`: the scenario then has no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from benchmarks.half_open.calls import Call, TaskCalls, ThreadCalls
from benchmarks.half_open.terms import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    RESET,
    TASKS,
    THRESHOLD,
    Clocks,
    Library,
    NotApplicable,
    Settings,
    SetupError,
    Violation,
)
from benchmarks.terms import ERROR

__all__ = ["CircuitUnderTest"]

_LOCK_HELD = "its lock is held through a call: a second call cannot be in flight"


class CircuitUnderTest:
    """One circuit of a library."""

    def __init__(self, library: Library, style: str, settings: Settings) -> None:
        self.clocks = Clocks()
        self._library = library
        self._style = style
        self._settings = settings

    @contextmanager
    def prepared(self) -> Generator[CircuitUnderTest]:
        """Make the circuit; end all calls in the end."""
        with self._library.patch_clock(self.clocks):
            self._breaker = self._library.breaker(self._style, self._settings, self.clocks)
            self._calls: TaskCalls | ThreadCalls = (TaskCalls if self._style == TASKS else ThreadCalls)(
                self._breaker.guard
            )
            try:
                yield self
            finally:
                self._calls.close()

    # -- judging -------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The state that the library reports."""
        return self._breaker.state()

    @property
    def caller_bugs(self) -> tuple[Callable[[], Exception], ...]:
        """Make the errors that are bugs of the caller's, and no failures of the dependency."""
        return self._breaker.caller_bugs

    def rejected(self, call: Call) -> bool:
        """Whether the circuit rejected *call*."""
        return not call.entered and isinstance(call.error, self._breaker.rejected)

    def require(self, right: bool, violation: str) -> None:
        """Judge the library wrong, for the reason *violation*, unless it is *right*."""
        if not right:
            raise Violation(violation)

    def require_state(self, *states: str, after: str) -> None:
        """Judge it wrong unless it is in one of *states*."""
        state = self.state
        self.require(state in states, f"{state} after {after}")

    def require_admission(self, of: str) -> None:
        """Judge it wrong unless it admits the next call, which then succeeds."""
        call = self.start()
        self.require(call.entered, f"{of} {call.outcome()}")
        self.end(call)

    # -- calls ---------------------------------------------------------------------------------------------------

    def start(self, *, manual: bool = False) -> Call:
        """Make a call, which may be admitted or not."""
        return self._calls.start(manual=manual)

    def end(self, call: Call, error: BaseException | None = None) -> None:
        """Let the function of *call* return, or raise *error*."""
        self._calls.end(call, error)
        if not call.ended:
            raise SetupError(f"a call that should have ended {call.outcome()}")

    def interrupt(self, call: Call) -> None:
        """Cancel the task of *call*; in a thread, raise KeyboardInterrupt in it."""
        self._calls.interrupt(call)

    def discard(self, call: Call) -> None:
        """End *call* from outside: its coroutine is closed, or its thread gets an exception like `GreenletExit`."""
        self._calls.discard(call)

    def call(self, error: BaseException | None = None) -> Call:
        """Make a call; if it is admitted, let it return, or raise *error*."""
        call = self.start()
        if call.entered:
            self.end(call, error)
        return call

    # -- states -------------------------------------------------------------------------------------------------

    def begin(self, *, manual: bool = False) -> Call:
        """Make a call that is admitted, and in flight from then on."""
        call = self.start(manual=manual)
        if call.blocked:
            raise NotApplicable(_LOCK_HELD)
        if not call.running:
            raise SetupError(f"a call that should be in flight {call.outcome()}")
        return call

    def fail(self) -> Call:
        """Make a call that fails."""
        call = self.begin()
        self.end(call, ERROR())
        return call

    def trip(self) -> None:
        """Open the circuit."""
        self._expect(CLOSED)
        for _ in range(THRESHOLD):
            self.fail()
        self._expect(OPEN)
        if not self.rejected(self.call()):
            raise SetupError("it is open and admits a call")

    def wait(self) -> None:
        """Let the time pass for which the circuit stays open."""
        self.clocks.advance(RESET + 1)

    def probe(self, *, manual: bool = False) -> Call:
        """Start a probe."""
        call = self.begin(manual=manual)
        self._expect(HALF_OPEN)
        return call

    def half_open(self, *, manual: bool = False) -> Call:
        """Open the circuit, wait, and start a probe."""
        self.trip()
        self.wait()
        return self.probe(manual=manual)

    def _expect(self, state: str) -> None:
        if self.state != state:
            raise SetupError(f"it is {self.state}, and should be {state}")
