"""Time limit in the worker: two of its three steps. In the third the parent kills the process, 0.75 s later.

1. A signal at which `faulthandler` writes the traceback of every thread. It needs no interpreter for that, so it works
   while C code runs that never checks for signals: `sum(range(10**10))`.
2. Python's own handler of the same signal raises as soon as the interpreter runs it: then the report includes the
   variables.
"""

from __future__ import annotations

import faulthandler
import os
import time

from resilience.report._step_limit import StepLimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from types import FrameType

    from resilience.execution._worker.framing import Channel
else:
    import _signal  # the module around it takes 4 ms to import

__all__ = ["ExecutionTimeout", "Timer"]

_RETRY_DELAY = 0.005
_REPORT_MARGIN = 2.0
"""Seconds that a report may take."""
_REPR_TIMEOUT = 0.2
_EXIT_DELAY = 0.2
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120  # pathlib is slow to import
_MAX_SECONDS = 10**8  # seconds: three years; the system calls take no more than some such number


class ExecutionTimeout(BaseException):
    """The program has reached its time limit. Not an Exception: `except Exception` must not catch it."""


ExecutionTimeout.__module__ = "builtins"  # a traceback then shows its name without a module


class Timer:
    """Raises `ExecutionTimeout` in the program of *filename* at its time limit.

    It counts only while it is started: compiling, running and ending the program, not the report. There is one alarm
    for several purposes, one after the other: the limit, the rendering of values, the exit. A program that installs a
    handler of its own for the signal loses it when the timer is started the next time.
    """

    def __init__(self, filename: str, channel: Channel, trace_to: int) -> None:
        self.filename: str = filename
        """File name of the program."""
        self._channel = channel
        self._trace_to = trace_to
        self._seconds = 0.0
        self._on_alarm: Callable[[FrameType | None], object] | None = None
        """Action of the next alarm."""
        self._handler = self._handle_alarm  # one object, to be compared with the installed handler
        self._started_at = 0.0
        self.elapsed: float = 0.0
        """Seconds that the program has run."""
        self.fired: bool = False
        """Whether the time limit was reached."""
        self.line: int | None = None
        """Line of the program at that time."""

    def install(self) -> None:
        """Install the handlers of the signal."""
        faulthandler.unregister(_signal.SIGALRM)
        _signal.signal(_signal.SIGALRM, self._handler)
        faulthandler.register(_signal.SIGALRM, self._trace_to, chain=True)

    def set_limit(self, seconds: float) -> None:
        """Set the limit, as of a program that has not run yet."""
        self._seconds = min(seconds, _MAX_SECONDS)
        self.elapsed = 0.0
        self.fired, self.line = False, None

    def start(self) -> None:
        """Start or resume the timer."""
        self._started_at = time.perf_counter()
        self._arm(self._raise_timeout, max(self._seconds - self.elapsed, _RETRY_DELAY))

    def stop(self) -> None:
        """Pause the timer. Idempotent: the alarm may come within the call."""
        self._on_alarm = None
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        now = time.perf_counter()
        self.elapsed += now - self._started_at
        self._started_at = now

    def begin_extra(self, seconds: float) -> tuple[float, float]:
        """Set another limit, *seconds* from now on, for our own work; return the state for `end_extra`."""
        before = self._seconds, self.elapsed
        self.set_limit(seconds)
        return before

    def end_extra(self, before: tuple[float, float]) -> None:
        """Restore limit and elapsed time of the program, as if that work had not been."""
        self._seconds, self.elapsed = before
        self.fired, self.line = False, None

    @property
    def is_near_limit(self) -> bool:
        """Whether the report may last beyond the limit, so that the parent must be asked for more time."""
        return self._seconds - self.elapsed < _REPORT_MARGIN

    def limit_rendering(self) -> None:
        """From now on interrupt every `repr` of the program that takes longer than 0.2 s."""
        self._arm(self._stop_rendering, _REPR_TIMEOUT, _REPR_TIMEOUT)

    def stop_rendering(self) -> None:
        """End `limit_rendering`: another program may follow."""
        self._on_alarm = None
        _signal.setitimer(_signal.ITIMER_REAL, 0)

    def exit_soon(self, code: int) -> None:
        """Exit the process with *code* in 0.2 s."""
        self._arm(lambda _frame: os._exit(code), _EXIT_DELAY)

    def _arm(self, on_alarm: Callable[[FrameType | None], object], seconds: float, interval: float = 0.0) -> None:
        if _signal.getsignal(_signal.SIGALRM) is not self._handler:  # the program has taken it away
            self.install()
        self._on_alarm = on_alarm
        _signal.setitimer(_signal.ITIMER_REAL, seconds, interval)

    def _handle_alarm(self, _number: int, frame: FrameType | None) -> None:
        if self._on_alarm is not None:
            self._on_alarm(frame)

    def _raise_timeout(self, frame: FrameType | None) -> None:
        _signal.setitimer(_signal.ITIMER_REAL, 0)  # before all else: it must not come again while it is dealt with
        if self._channel.is_sending:
            _signal.setitimer(_signal.ITIMER_REAL, _RETRY_DELAY)
            return
        self.fired = True
        while frame is not None and frame.f_code.co_filename != self.filename:
            frame = frame.f_back
        self.line = None if frame is None else frame.f_lineno
        raise ExecutionTimeout(f"Code execution exceeded {self._seconds:g} second timeout")

    def _stop_rendering(self, frame: FrameType | None) -> None:
        while frame is not None and frame.f_code.co_filename != self.filename:
            if frame.f_code.co_filename.startswith(_PACKAGE):
                return  # it is our own code that takes its time
            frame = frame.f_back
        if frame is not None:
            raise StepLimitError
