"""Errors that pass through the toolkit's frames: raised without a reference cycle, and without our frames.

An error leads to its traceback, the traceback to each frame it passed, and a frame to its local variables. A frame of
ours that keeps the error, or an `Outcome` with it, closes that circle: the caller's objects then live until the cyclic
garbage collector runs. So a frame that raises or passes on an error forgets it.
"""

from __future__ import annotations

from typing import Any

from resilience._outcome import Outcome, set_context, set_traceback

__all__ = ["drop_frame", "failed_here", "result_of"]


def result_of(outcome: Outcome) -> Any:
    """Return the value of *outcome*, or raise its error, the same object with the context it was raised in.

    Pass it the call that makes the outcome, not a variable: the caller's frame must not keep the error either.

    >>> result_of(Outcome(42))
    42
    """
    error = outcome.error
    if error is None:
        return outcome.value
    context = error.__context__
    try:
        raise error
    finally:
        if context is not None:  # raised where the caller handles another error, it has got that one instead
            set_context(error, context)
        del outcome, error, context


def drop_frame(error: BaseException) -> None:
    """Leave the frame that has caught *error*, the first one, out of its traceback.

    For functions that only pass a call on: the traceback shows one frame of the toolkit, the wrapper's, however many
    functions stand between.
    """
    trace = error.__traceback__
    if trace is not None:
        set_traceback(error, trace.tb_next)


def failed_here(error: Exception) -> Outcome:
    """Return the outcome of a call that raised *error*, without the frame that has caught it.

    Not by a method that the error may have: a frozen dataclass refuses to be changed.
    """
    trace = error.__traceback__
    if trace is not None:
        set_traceback(error, trace.tb_next)
    return Outcome(None, error)
