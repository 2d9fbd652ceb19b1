"""Read a traceback's frames for requests that a client sent before the one that failed.

The functions here make the `Evidence` of a `PriorRequests` table. Each returns a function of one frame that answers
True (no prior request), False (there was one, or may have been) or None (this frame tells nothing). Frames hold what
the library's author called a variable in one version: a name that is missing is no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType, TracebackType

from resilience._safe_access import as_int, as_str, safe_getattr
from resilience.classification.library import Evidence

__all__ = [
    "MAX_FRAMES",
    "at_most",
    "both",
    "frames_of",
    "has_variable",
    "is_below",
    "is_empty",
    "library_of",
    "module_of",
    "not_yet_bound",
    "only_objects",
    "variable",
]

MAX_FRAMES = 2000
"""Frames read of one traceback; a longer one is a recursion that failed."""


def frames_of(exc: object) -> list[FrameType]:
    """Return the frames of a traceback, that of the function that caught the exception first; at most `MAX_FRAMES`."""
    trace = safe_getattr(exc, "__traceback__")
    found: list[FrameType] = []
    while isinstance(trace, TracebackType) and len(found) < MAX_FRAMES:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    return found


def is_below(exc: object, library: str, function: str) -> bool:
    """Return whether an exception came through a function or method of this name in the code of a library."""
    return any(frame.f_code.co_name == function and library_of(frame) == library for frame in frames_of(exc))


def module_of(frame: FrameType) -> str:
    """Return the dotted name of the module whose code runs in a frame, empty where it has none."""
    return as_str(frame.f_globals.get("__name__")) or ""


def library_of(frame: FrameType) -> str:
    """Return the top-level module of the code that runs in a frame."""
    return module_of(frame).partition(".")[0]


def has_variable(frame: FrameType, name: str) -> bool:
    """Return whether the function has a local variable of this name at all, bound or not."""
    code = frame.f_code
    return any(name in variables for variables in (code.co_varnames, code.co_cellvars, code.co_freevars))


def variable(name: str, proves: Callable[[object], bool], *, missing: bool | None = None) -> Evidence:
    """Return evidence that reads one local variable: what *proves* says of its value, and *missing* without it.

    *missing* is False for a variable that the function always had: without it, the library has changed.
    """

    def evidence(frame: FrameType) -> bool | None:
        local = frame.f_locals
        return proves(local[name]) if name in local else missing

    return evidence


def not_yet_bound(name: str, *, bound: bool | None = False, missing: bool | None = None) -> Evidence:
    """Return evidence from the variable that will hold the response (or the connection): still unbound, none came.

    *bound* is the answer once it holds something, *missing* where the function has no such variable, or where the
    frame was cleared and has lost all of them.
    """

    def evidence(frame: FrameType) -> bool | None:
        local = frame.f_locals
        if not local or not has_variable(frame, name):
            return missing
        return bound if name in local else True

    return evidence


def both(one: Evidence, other: Evidence) -> Evidence:
    """Return evidence that proves where both do, and objects otherwise."""
    return lambda frame: bool(one(frame) and other(frame))


def only_objects(evidence: Evidence) -> Evidence:
    """Return evidence that can prove a prior request, but proves nothing where it finds none.

    For a function that sees only a part of what was sent: a redirect that another function follows, say.
    """
    return lambda frame: None if evidence(frame) else False


def is_empty(value: object) -> bool:
    """Return whether a value is a list or tuple without items, as a history of redirects is at first.

    >>> is_empty([]), is_empty(None)
    (True, False)
    """
    return type(value) in (list, tuple) and not value


def at_most(limit: int) -> Callable[[object], bool]:
    """Return a check for a counter of attempts.

    >>> at_most(0)(0), at_most(0)(1), at_most(0)("0")
    (True, False, False)
    """

    def proves(value: object) -> bool:
        found = as_int(value)
        return found is not None and found <= limit

    return proves
