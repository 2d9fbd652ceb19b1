"""The places where a signal may interrupt a sync call, marked on the stack as trio's `_ki` marks them for Ctrl-C.

The handler of a signal runs between any two instructions of the main thread. In the middle of a policy's bookkeeping
an exception would lose a permit, so the handler first looks at the stack: the innermost frame that is marked decides.
`call_interruptibly` marks the guarded function, and pauses are marked as well. Frames of the toolkit's own packages are
critical sections. All other frames decide nothing: they are the user's, or they pass a call on.

The marks are code objects, so calls pay nothing for them. A runner pays one look at `signal_limits` for each attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FrameType

from resilience._runtime.protocol import Abandoned
from resilience.clock import SystemClock
from resilience.outcome import set_traceback

__all__ = ["call_interruptibly", "is_interruptible", "mark_interruptible", "signal_limits"]

signal_limits: list[Abandoned] = []
"""The limits in force that a signal keeps, the outermost first. Only the main thread changes it."""

_CRITICAL = tuple(
    f"resilience.{package}"
    for package in ("_runtime", "policies", "circuits", "classify", "subscription", "trouble", "events")
)
"""Packages and modules whose frames are critical sections: they take permits, locks and notes."""

_PASSES_ON = {
    f"resilience._runtime.{module}" for module in ("decorate", "fast_path", "first_call", "undecided")
}  # they take nothing, or take it by one call into a critical section
"""Modules of those packages whose functions only pass a call on to the user's function or to a runner."""

_interruptible: set[CodeType] = set()


def mark_interruptible(*functions: Callable[..., object]) -> None:
    """Have the frames of *functions*, of pauses for example, interrupted."""
    _interruptible.update(function.__code__ for function in functions)


def call_interruptibly(function: Callable[..., object], /, *args: object, **kwargs: object) -> object:
    """Call the user's *function*, which a signal may interrupt. Its errors do not show this frame."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        trace = error.__traceback__
        set_traceback(error, None if trace is None else trace.tb_next)
        raise


def is_interruptible(frame: FrameType | None) -> bool:
    """Return whether the code that runs in *frame* may be interrupted.

    It is interruptible when the innermost mark on the stack is a call of the user's function or a pause.
    """
    while frame is not None:
        if frame.f_code in _interruptible:
            return True
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_CRITICAL) and module not in _PASSES_ON:
            return False
        frame = frame.f_back
    return False


mark_interruptible(call_interruptibly, SystemClock.sleep)
