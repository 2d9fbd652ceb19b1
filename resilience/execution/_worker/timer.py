"""The time limit, in two of its three steps; the third is the parent's, who kills the process some time later.

1. A signal, at which `faulthandler` writes down where every thread is. It needs no interpreter for that, so it works
   while C code is stuck that never looks at signals: `sum(range(10**10))`.
2. Python's own handler of the same signal raises, as soon as the interpreter comes to it: then the report has the
   variables, too.
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

_AGAIN = 0.005
_NEAR = 2.0
"""Seconds that a report may take."""
_REPR = 0.2
_SOON = 0.2
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120  # pathlib is slow to import
_LONGEST = 10**8  # seconds: three years; the system calls take no more than some such number


class ExecutionTimeout(BaseException):
    """The program has run for as long as it may. No Exception: `except Exception` must not stop it."""


ExecutionTimeout.__module__ = "builtins"  # so that a traceback calls it by its name alone


class Timer:
    """Ends the program of *filename* once it has run for as long as it may."""

    def __init__(self, filename: str, channel: Channel, trace_to: int) -> None:
        self._filename = filename
        self._channel = channel
        self._trace_to = trace_to
        self._seconds = 0.0
        self._struck: Callable[[FrameType | None], object] | None = None
        """What to do when it strikes."""
        self._handler = self._strike  # one object, to be known again
        self._began = 0.0
        self.elapsed: float = 0.0
        """Seconds it has run."""
        self.fired: bool = False
        """Whether the time was up."""
        self.line: int | None = None
        """Where it was then."""

    def install(self) -> None:
        """Take the signal."""
        faulthandler.unregister(_signal.SIGALRM)
        _signal.signal(_signal.SIGALRM, self._handler)
        faulthandler.register(_signal.SIGALRM, self._trace_to, chain=True)

    def set(self, seconds: float) -> None:
        """Give it *seconds* from now on."""
        self._seconds = min(seconds, _LONGEST)
        self.elapsed = 0.0

    def start(self) -> None:
        """Have it run, or run on for what is left of the time."""
        self._began = time.perf_counter()
        self._arm(self._up, max(self._seconds - self.elapsed, _AGAIN))

    def stop(self) -> None:
        """Have it do nothing more. To say so twice does no harm: it may have come in between."""
        self._struck = None
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        now = time.perf_counter()
        self.elapsed += now - self._began
        self._began = now

    @property
    def is_near(self) -> bool:
        """Whether the end of the time is so near that the parent must be told that there is a report to come."""
        return self._seconds - self.elapsed < _NEAR

    def limit_report(self) -> None:
        """See to it, from now on, that no value holds up the report: what shows itself for too long is told to stop."""
        self._arm(self._too_long, _REPR, _REPR)

    def exit_soon(self, code: int) -> None:
        """Have the process end with *code*, some time from now."""
        self._arm(lambda _frame: os._exit(code), _SOON)

    def _arm(self, struck: Callable[[FrameType | None], object], seconds: float, interval: float = 0.0) -> None:
        if _signal.getsignal(_signal.SIGALRM) is not self._handler:  # the program has taken it away
            self.install()
        self._struck = struck
        _signal.setitimer(_signal.ITIMER_REAL, seconds, interval)

    def _strike(self, _number: int, frame: FrameType | None) -> None:
        if self._struck is not None:
            self._struck(frame)

    def _up(self, frame: FrameType | None) -> None:
        _signal.setitimer(_signal.ITIMER_REAL, 0)  # before all else: it must not come again while it is dealt with
        if self._channel.busy:
            _signal.setitimer(_signal.ITIMER_REAL, _AGAIN)
            return
        self.fired = True
        while frame is not None and frame.f_code.co_filename != self._filename:
            frame = frame.f_back
        self.line = None if frame is None else frame.f_lineno
        raise ExecutionTimeout(f"Code execution exceeded {self._seconds:g} second timeout")

    def _too_long(self, frame: FrameType | None) -> None:
        while frame is not None and frame.f_code.co_filename != self._filename:
            if frame.f_code.co_filename.startswith(_PACKAGE):
                return  # it is our own code that takes its time
            frame = frame.f_back
        if frame is not None:
            raise StepLimitError
