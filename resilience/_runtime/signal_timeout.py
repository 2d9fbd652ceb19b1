"""A time limit on sync code that really stops it: a signal interrupts the main thread where it is.

A limit sets the process's interval timer, and the handler of SIGALRM raises `Interrupt` in the code that runs. It does
so only inside the limited function or a pause of the toolkit's own. In a critical section (`interruptible` says what is
one) it would lose permits; there the handler leaves and looks again a millisecond later.

An interrupt that the function swallows is raised again a tenth of a second later, and so is one that came where Python
drops exceptions (``__del__``). While an ``except`` or ``finally`` of the function handles the interrupt, the function
is left alone, however long that takes.

The previous handler of SIGALRM and its timer are restored when the limit ends, with the time that is left. What falls
due for them in between is forwarded in time.
"""

from __future__ import annotations

import importlib
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from resilience._forks import call_in_forked_child
from resilience._outcome import TIMED_OUT, Outcome
from resilience._runtime.cut_off import LimitPassed
from resilience._runtime.greenlets import greenlets_take_turns
from resilience._runtime.interruptible import is_interruptible, mark_interruptible
from resilience._runtime.protocol import Call, Policy
from resilience._runtime.sync_runner import call_function
from resilience._runtime.thread_timeout import CallAbandoned, Drive, run_in_worker
from resilience._runtime.worker_threads import OneShotEvent
from resilience.clock import SYSTEM, SystemClock, current_clock

__all__ = ["Interrupt", "can_interrupt", "run_interruptible"]

_RETRY_DELAY = 0.001
"""Seconds until the handler looks again after it has found the toolkit in a critical section."""

_REPEAT_DELAY = 0.1
"""Seconds until an interrupt that may have been swallowed is raised again."""

_MAX_TIMER = 1e7
"""The longest time, in seconds, that the timer is set to; macOS refuses a little more."""

_MIN_TIMER = 1e-6
"""The shortest: 0 would stop the timer."""

# Not those of `signal`: they look their results up in an enum, which takes longer than all the rest here.
_get_handler: Callable[[int], object] = importlib.import_module("_signal").getsignal
_set_handler: Callable[[int, object], object] = importlib.import_module("_signal").signal


class Interrupt(LimitPassed):
    """Unwinds a function whose time is up. Never reaches a caller.

    It is no `Exception`, so that a function that catches all errors does not take it for one.
    """

    def __init__(self, limit: _SignalTimeout) -> None:
        super().__init__("the time limit of this call has passed")
        self.limit = limit


def can_interrupt() -> bool:
    """Return whether a signal can interrupt sync code here: in the main thread, on POSIX, by the system's clock.

    Not where greenlets take turns in the thread: the handler would run in another one.
    """
    return (
        hasattr(signal, "setitimer")
        and threading.get_ident() == threading.main_thread().ident
        and current_clock() is SYSTEM
        and _get_handler(signal.SIGALRM) is not None  # set by C code: it could not be restored
        and not greenlets_take_turns()
    )


def run_interruptible(drive: Drive, stack: Sequence[Policy], depth: int, limit: float, call: Call) -> Outcome:
    """Drive *call* through *stack* from *depth* inwards, in this thread; interrupt it after *limit* seconds.

    Return TIMED_OUT when the call was interrupted. A value that is returned all the same, and an error that takes the
    interrupt's place, are the call's outcome. C code that does not check for signals is interrupted when it returns.
    """
    timeout = _SignalTimeout(limit)
    instead: BaseException | None = None
    try:
        timeout.frame = sys._getframe()
        if not timeout.start():
            return run_in_worker(drive, stack, depth, limit, call)
        return drive(stack, depth, call.fork(depth, timeout), depth)
    except (Interrupt, CallAbandoned) as interrupt:
        instead = timeout.unwound_by(interrupt)
    finally:
        try:
            timeout.stop()
        finally:
            if not timeout.stopped:
                timeout.stop()  # where Ctrl-C came before the other was done
    if instead is None:
        return TIMED_OUT
    try:
        raise instead
    finally:
        instead = None  # this frame, to which its traceback leads, must not lead back to it


class _PreviousAlarm:
    """The handler and the timer of SIGALRM that were in force before a limit.

    A limit inside another one finds the toolkit's own handler and replaces nothing: *handler* stays None then.
    """

    __slots__ = ("deadline", "handler", "interval")

    def __init__(self) -> None:
        self.handler: object = None
        #: When the previous timer goes off next, on the system's clock.
        self.deadline: float = math.inf
        self.interval: float = 0.0

    def replace(self) -> None:
        """Keep what is in force, and put the toolkit's handler in its place.

        Raises ValueError outside of the main interpreter.
        """
        handler = _get_handler(signal.SIGALRM)
        # The timer before the handler: a signal that arrives in between still finds the previous handler.
        if handler is _on_sigalrm:
            signal.setitimer(signal.ITIMER_REAL, 0)
        else:
            self.handler = handler
            self._take_timer()
        _set_handler(signal.SIGALRM, _on_sigalrm)

    def _take_timer(self) -> None:
        """Stop the timer; note what it was set to, if it was."""
        left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
        if left:
            self.deadline, self.interval = SYSTEM.now() + left, interval

    def restore_handler(self) -> None:
        """Put the previous handler back."""
        if self.handler is not None:
            # Python runs handlers of signals that have arrived before it sets another one: a late one is still ours.
            _set_handler(signal.SIGALRM, self.handler)

    def restore(self) -> None:
        """Put the previous handler and timer back, or set the timer for the enclosing limit.

        Nothing is restored where the function has installed a handler of its own: that one is to stay.
        """
        handler = _get_handler(signal.SIGALRM)
        if handler is _on_sigalrm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.restore_handler()
        elif handler != self.handler:
            return
        if self.deadline < math.inf:
            _set_timer(self.deadline - SYSTEM.now(), self.interval)
        elif _limits:
            _rearm()

    def forward_signal(self, number: int, frame: FrameType | None) -> None:
        """Do what was to happen at this moment without the limit: call the handler, or take the default action.

        The handler may raise, which ends the call as it would without the limit, and may set its timer again.
        """
        self.deadline = math.inf
        if self.interval:
            self.deadline = SYSTEM.now() + self.interval
        if callable(self.handler):
            signal.setitimer(signal.ITIMER_REAL, 0)
            try:
                self.handler(number, frame)
            finally:
                self._take_timer()
        elif self.handler == signal.SIG_DFL:
            _set_handler(number, self.handler)
            os.kill(os.getpid(), number)


class _SignalTimeout:
    """A limit in force in the main thread. The calls inside have it as their cancel token: see `Abandoned`.

    Limits nest. When one expires, those inside it are `cancelled` as well, and its `Interrupt` passes through them.
    """

    __slots__ = ("_handled", "cancelled", "expired", "frame", "limit", "own_deadline", "previous", "stopped")

    def __init__(self, limit: float) -> None:
        self.limit: float = limit
        #: Whether the time is up, here or in an enclosing limit.
        self.cancelled: bool = False
        #: Whether it is up here.
        self.expired: bool = False
        #: When the handler looks at this limit next, on the system's clock.
        self.own_deadline: float = math.inf
        self.previous: _PreviousAlarm = _PreviousAlarm()
        #: The frame of `run_interruptible`. Code that it is not below is another greenlet's.
        self.frame: FrameType | None = None
        self.stopped: bool = False
        #: The exception that was being handled when the call began: it is not the call's own.
        self._handled = sys.exception()

    def start(self) -> bool:
        """Put the limit in force; return whether that is possible here."""
        self.own_deadline = SYSTEM.now() + self.limit
        try:
            self.previous.replace()
        except ValueError:  # not the main interpreter
            return False
        _limits.append(self)
        _rearm()
        return True

    def stop(self) -> None:
        """End the limit, and restore what was in force before."""
        if self in _limits:
            _limits.remove(self)  # first: from here on a late signal finds nothing to do
        self.previous.restore()
        self._handled = self.frame = None
        self.stopped = True

    def expire(self) -> None:
        """Note that the time is up, for the limits inside as well."""
        self.expired = True
        for limit in _limits[_limits.index(self) :]:
            limit.cancelled = True

    def next_deadline(self) -> float:
        """Return when this limit or the previous timer falls due."""
        return min(self.own_deadline, self.previous.deadline)

    def is_being_handled(self) -> bool:
        """Return whether the running code is in an ``except`` or ``finally`` on behalf of this limit's interrupt.

        It cleans up then. A second interrupt in the middle of that would leave things half done.
        """
        return any(isinstance(error, Interrupt) and error.limit is self for error in self._chain(sys.exception()))

    def unwound_by(self, interrupt: Interrupt | CallAbandoned) -> BaseException | None:
        """Return the exception that ends the call which *interrupt* has unwound; None where this limit does.

        The interrupt of an enclosing limit goes on to that limit. So does Ctrl-C: a function that took too long to end
        by it was interrupted as well, and the KeyboardInterrupt is among what the interrupt was raised in the handling
        of.
        """
        if isinstance(interrupt, Interrupt) and interrupt.limit is not self:
            return interrupt
        if not self.expired:  # an enclosing limit is up, and the function has swallowed its interrupt
            return next((Interrupt(limit) for limit in _limits if limit.expired), None)
        expected = (Exception, GeneratorExit, Interrupt, CallAbandoned)
        return next((error for error in self._chain(interrupt.__context__) if not isinstance(error, expected)), None)

    def _chain(self, error: BaseException | None) -> list[BaseException]:
        """Return *error* and those it was raised in the handling of, as far as they belong to this call."""
        errors: list[BaseException] = []
        while error is not None and error is not self._handled and error not in errors:
            errors.append(error)
            error = error.__context__
        return errors

    def wait(self, timeout: float, /) -> bool:
        """Wait *timeout* seconds, unless the time is up; return whether it is."""
        if not self.cancelled:
            SYSTEM.sleep(timeout)
        return self.cancelled


_limits: list[_SignalTimeout] = []
"""The limits in force, the outermost first. Only the main thread touches it."""

mark_interruptible(call_function, SystemClock.sleep, OneShotEvent.wait)


def _on_sigalrm(number: int, frame: FrameType | None) -> None:
    """Handle SIGALRM: interrupt the outermost call whose time is up, and forward what is due for previous handlers.

    The interrupt is raised last, when the previous handlers have run and the timer is set again. It is raised from
    here, so in the code that the signal has found running.
    """
    if not _limits:
        return
    now = SYSTEM.now()
    interrupt = _next_interrupt(now, frame)
    try:
        for limit in [*_limits]:
            if limit.previous.deadline <= now:
                limit.previous.forward_signal(number, frame)
    finally:
        _rearm()
    if interrupt is not None:
        raise interrupt


def _next_interrupt(now: float, frame: FrameType | None) -> Interrupt | None:
    """Note which limits are up by *now*; return the interrupt of the outermost that may be raised in *frame*.

    A limit whose interrupt cannot be raised now is looked at again soon: the toolkit is in a critical section, another
    greenlet runs, or an outer limit's goes first. A limit whose interrupt is raised is looked at later, should it be
    swallowed.
    """
    due = [limit for limit in _limits if limit.own_deadline <= now]
    for limit in due:
        limit.own_deadline = now + _RETRY_DELAY
    due = [limit for limit in due if _is_below(frame, limit.frame)]
    for limit in due:
        limit.expire()
    if not is_interruptible(frame):
        return None
    for limit in due:
        limit.own_deadline = now + _REPEAT_DELAY
        if not limit.is_being_handled():
            return Interrupt(limit)
    return None


def _is_below(frame: FrameType | None, outer: FrameType | None) -> bool:
    """Return whether *frame* was called from *outer*, directly or not."""
    while frame not in (None, outer):
        assert frame is not None
        frame = frame.f_back
    return frame is not None


def _rearm() -> None:
    """Set the timer for the next deadline of all limits in force, and of the timers that they have replaced."""
    left = min(limit.next_deadline() for limit in _limits) - SYSTEM.now()
    # Again and again: a signal that comes as a thread is about to wait for a lock does not wake it.
    _set_timer(min(left, _MAX_TIMER), _REPEAT_DELAY)


def _set_timer(seconds: float, interval: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _MIN_TIMER), interval)


def _forget_limits() -> None:
    """Drop the limits of the process this one was forked from: timers are not inherited."""
    for limit in reversed(_limits):
        limit.previous.restore_handler()
    _limits.clear()


call_in_forked_child(_forget_limits)
