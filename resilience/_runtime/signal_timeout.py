"""A time limit on sync code that really stops it: a signal interrupts the main thread where it is.

The handler of SIGALRM raises `Interrupt` in the code that runs. It does so only where the limited function, or a pause
of the toolkit's own, is at work. In the midst of the engine's or a policy's bookkeeping it would lose permits: there it
looks again a millisecond later.

An interrupt that was swallowed is raised again, as is one that came where Python drops exceptions (``__del__``). While
an ``except`` or ``finally`` deals with it, the function is left alone, however long that takes.

Whoever used SIGALRM and its timer before gets them back, with the time that is left; what falls due in between reaches
its handler in time.
"""

from __future__ import annotations

import dis
import functools
import importlib
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import cast

from resilience._runtime.protocol import Call, Policy
from resilience._runtime.thread_timeout import CallAbandoned, Drive, OneShotEvent, run_in_worker
from resilience.clock import SYSTEM, SystemClock, current_clock
from resilience.outcome import EXPIRED, Outcome

__all__ = ["Interrupt", "can_interrupt", "run_interruptible"]

_SOON = 0.001
"""Seconds until the next look where an interrupt would have hit the toolkit itself."""

_AGAIN = 0.1
"""Seconds after which an interrupt is looked for that may have been swallowed."""

_LONGEST = 1e7
"""Seconds a timer is set for at most; macOS refuses a little more."""

# Not those of `signal`: they look their results up in an enum, which takes longer than all the rest here.
_handler_of: Callable[[int], object] = importlib.import_module("_signal").getsignal
_handle_by: Callable[[int, object], object] = importlib.import_module("_signal").signal


class Interrupt(BaseException):
    """Unwinds a function whose time is up. Never reaches a caller."""

    def __init__(self, alarm: _Alarm) -> None:
        super().__init__("the time limit of this call has passed")
        self.alarm = alarm


def can_interrupt() -> bool:
    """Whether sync code can be interrupted here: in the main thread, on POSIX, by the system's clock."""
    return (
        hasattr(signal, "setitimer")
        and threading.get_ident() == threading.main_thread().ident
        and current_clock() is SYSTEM
        and _handler_of(signal.SIGALRM) is not None  # set by C code: it could not be given back
    )


def run_interruptible(drive: Drive, stack: Sequence[Policy], depth: int, limit: float, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards, in this thread; interrupt it after *limit* seconds.

    EXPIRED when it was. A value that is returned all the same, and an error that takes the interrupt's place, are the
    call's outcome. C code that does not look for signals is interrupted when it comes back.
    """
    alarm = _Alarm(limit)
    instead: BaseException | None = None
    try:
        if not alarm.set():
            return run_in_worker(drive, stack, depth, limit, call)
        return drive(stack, depth, call.fork(depth, alarm), depth)
    except (Interrupt, CallAbandoned) as interrupt:
        instead = alarm.unwound(interrupt)
    finally:
        alarm.stop()
    if instead is None:
        return EXPIRED
    try:
        raise instead
    finally:
        instead = None  # see `drive`


class _Alarm:
    """A limit in force in the main thread, and whom SIGALRM belonged to before it."""

    __slots__ = ("_handled", "_handler", "_interval", "_theirs", "left", "limit", "ours", "rung")

    def __init__(self, limit: float) -> None:
        self.limit: float = limit
        #: Whether the time is up, here or further out: no further attempt is to begin.
        self.left: bool = False
        #: Whether it is up here.
        self.rung: bool = False
        #: When to look at this limit next, on the system's clock.
        self.ours: float = math.inf
        #: What was being handled when the call began: not the call's own.
        self._handled = sys.exception()
        self._handler: object = None
        self._theirs, self._interval = math.inf, 0.0

    def set(self) -> bool:
        """Put the limit in force; return whether that can be done here."""
        now = SYSTEM.now()
        self.ours = now + self.limit
        handler = _handler_of(signal.SIGALRM)
        self._handler = None if handler is _ring else handler
        # Their timer before their handler: when it goes off as we come, it finds that one.
        left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
        if self._handler is not None and left:
            self._theirs, self._interval = now + left, interval
        try:
            _handle_by(signal.SIGALRM, _ring)
        except ValueError:  # not the main interpreter
            return False
        _alarms.append(self)
        _wind()
        return True

    def stop(self) -> None:
        """Take the limit off, and give back what was in force before."""
        if self in _alarms:
            _alarms.remove(self)  # first: from here on a late signal finds nothing to do
        handler = _handler_of(signal.SIGALRM)
        if handler is _ring:  # else the function has put another one there, to stay
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.give_back()
        if self._theirs < math.inf and handler in (_ring, self._handler):
            signal.setitimer(signal.ITIMER_REAL, _at_least(self._theirs - SYSTEM.now()), self._interval)
        elif _alarms and handler is _ring:
            _wind()
        self._handled = None

    def give_back(self) -> None:
        """Have SIGALRM handled as it was before."""
        if self._handler is not None:
            # Python runs handlers of what has arrived before it sets another one: a late signal of ours is still ours.
            _handle_by(signal.SIGALRM, self._handler)

    def due(self) -> float:
        """Return when something is due, of ours or of theirs."""
        return min(self.ours, self._theirs)

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what was to happen at this moment before we came."""
        self._theirs = SYSTEM.now() + self._interval if self._interval else math.inf
        if callable(self._handler):
            signal.setitimer(signal.ITIMER_REAL, 0)
            try:
                self._handler(number, frame)
            finally:  # it may have set its timer again
                left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
                if left:
                    self._theirs, self._interval = SYSTEM.now() + left, interval
        elif self._handler == signal.SIG_DFL:
            _handle_by(number, self._handler)
            os.kill(os.getpid(), number)

    def is_dealt_with(self) -> bool:
        """Whether the running code is in an ``except`` or ``finally`` on behalf of this limit's interrupt."""
        return any(isinstance(error, Interrupt) and error.alarm is self for error in self._own(sys.exception()))

    def unwound(self, interrupt: Interrupt | CallAbandoned) -> BaseException | None:
        """Return what the call ends by that *interrupt* has unwound; None where it is by this limit."""
        if isinstance(interrupt, Interrupt) and interrupt.alarm is not self:
            return interrupt
        if not self.rung:  # a limit further out has passed, and the function has swallowed its interrupt
            further = next((alarm for alarm in _alarms if alarm.rung), None)
            return None if further is None else Interrupt(further)
        for error in self._own(interrupt.__context__):
            if not isinstance(error, (Exception, GeneratorExit, Interrupt, CallAbandoned)):
                return error  # Ctrl-C, whose way out took too long
        return None

    def _own(self, error: BaseException | None) -> list[BaseException]:
        """Return *error* and those it came from, as far as they belong to this call."""
        errors: list[BaseException] = []
        while error is not None and error is not self._handled and error not in errors:
            errors.append(error)
            error = error.__context__
        return errors

    def wait(self, timeout: float, /) -> bool:
        """Wait *timeout* seconds, unless the time is up; return whether it is. A driver asks, as of `Abandoned`."""
        if not self.left:
            SYSTEM.sleep(timeout)
        return self.left


_alarms: list[_Alarm] = []
"""The limits in force, the outermost first. Only the main thread touches it."""


def _ring(number: int, frame: FrameType | None) -> None:
    """Handle SIGALRM: interrupt the outermost call whose time is up."""
    if not _alarms:
        return
    now = SYSTEM.now()
    raised: _Alarm | None = None
    for at, alarm in enumerate(_alarms):
        if alarm.ours > now:
            continue
        alarm.rung = True
        for inside in _alarms[at:]:
            inside.left = True
        if raised is not None or not _may_interrupt(frame):
            alarm.ours = now + _SOON
        else:
            alarm.ours = now + _AGAIN
            raised = None if alarm.is_dealt_with() else alarm
    try:
        for alarm in [*_alarms]:
            if alarm.due() <= now:  # theirs: ours is put off by now
                alarm.pass_on(number, frame)
    finally:
        _wind()
    if raised is not None:
        raise Interrupt(raised)


def _wind() -> None:
    """Set the timer for what is due next."""
    left = min(alarm.due() for alarm in _alarms) - SYSTEM.now()
    # Again and again: a signal that comes as a thread is about to wait for a lock does not wake it.
    signal.setitimer(signal.ITIMER_REAL, min(_at_least(left), _LONGEST), _AGAIN)


def _at_least(seconds: float) -> float:
    return max(seconds, 1e-6)  # 0 would stop the timer


# -- where an interrupt may land -------------------------------------------------------------------------------------

_BOOKS = tuple(
    f"resilience.{room}"
    for room in ("_runtime", "policies", "circuits", "classify", "subscription", "trouble", "events")
)
_PAUSES = {SystemClock.sleep.__code__, OneShotEvent.wait.__code__}
_DRIVER = "resilience._runtime.sync_runner"
_LOOKS_THROUGH = {f"resilience._runtime.{room}" for room in ("decorate", "guard", "undecided")}


def _may_interrupt(frame: FrameType | None) -> bool:
    """Whether *frame* is of the user's code or of a pause, and none of our books is open around it."""
    while frame is not None:
        code = frame.f_code
        if code in _PAUSES:
            return True
        name = str(frame.f_globals.get("__name__"))
        is_wrapper = code.co_filename.startswith("<resilience wrapper")
        if is_wrapper or (name.startswith(_BOOKS) and name not in _LOOKS_THROUGH):
            # The frame of a C function is its caller's: whether the books are closed is a question of the line.
            return (is_wrapper or name == _DRIVER) and frame.f_lineno in _lines_of_the_call(code)
        frame = frame.f_back
    return False


@functools.lru_cache(maxsize=256)
def _lines_of_the_call(code: CodeType) -> frozenset[int]:
    """Return the lines on which a driver or a wrapper calls the guarded function."""
    called = "__function" if code.co_name == "wrapper" else "function" if code.co_name == "call_function" else None
    return frozenset(
        instruction.positions.lineno
        for instruction in dis.get_instructions(code)
        if called is not None
        # From 3.13 on two names may be loaded by one instruction.
        and called in _names(instruction.argval)
        and instruction.positions is not None
        and instruction.positions.lineno is not None
    )


def _names(argument: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", argument) if isinstance(argument, tuple) else (argument,)


def _leave_to_the_parent() -> None:
    """Forget the limits of the process this one was forked from: timers are not inherited."""
    for alarm in reversed(_alarms):
        alarm.give_back()
    _alarms.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)
