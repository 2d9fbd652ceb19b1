"""The places where a signal may interrupt a sync call, marked on the stack as trio's `_ki` marks them for Ctrl-C.

The handler of a signal runs between any two instructions of the main thread. While a policy updates its state an
exception would lose a permit, so the handler first looks at the stack, where the innermost frame with a mark decides.
The runner's call of the guarded function and the toolkit's own pauses are marked: they may be interrupted. Any other
frame of the toolkit's inner packages is a critical section. All further frames have no mark: they are the user's code,
or pass a call on.

The marks are code objects, so calls pay nothing for them.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FrameType

__all__ = ["is_interruptible", "mark_interruptible"]

_CRITICAL = tuple(
    f"resilience.{package}"
    for package in ("_runtime", "policies", "circuits", "classification", "_listeners", "_callback_errors", "events")
)
"""Packages and modules whose frames are critical sections: they take permits and locks, and record outcomes."""

_PASSES_ON = {
    f"resilience._runtime.{module}" for module in ("decorate", "fast_path", "first_call", "guard", "undecided")
}
"""Modules of those packages that only pass a call on, to the user's function or to a runner."""

_interruptible: set[CodeType] = set()


def mark_interruptible(*functions: Callable[..., object]) -> None:
    """Allow a signal to interrupt *functions* and the user's code that they call."""
    _interruptible.update(function.__code__ for function in functions)


def is_interruptible(frame: FrameType | None) -> bool:
    """Return whether a signal that finds the main thread in *frame* may interrupt it.

    A retry inside the limited function has frames of its own above the mark of its call: its updates of state are a
    critical section as well, and its attempts have their own marks.
    """
    while frame is not None:
        if frame.f_code in _interruptible:
            return True
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_CRITICAL) and module not in _PASSES_ON:
            return False
        frame = frame.f_back
    return False
