"""The context of a failure in a sentence: the function, its arguments and its caller.

It is part of every diagnosis that has no context of its own. Arguments have their captured values; those that were
reassigned in the function have the value at the moment of the failure.
"""

from __future__ import annotations

from resilience.report._diagnosis.context import FailureContext, Frame
from resilience.report._diagnosis.text import format_value, phrase, single_line

__all__ = ["context_of"]

_MAX_ARGUMENTS = 5


def context_of(context: FailureContext) -> str:
    """Say which function failed, with which arguments, and which line called it.

    ``in total(prices=[1, 2]), on line 3, called from line 9 of the top level: print(total(values))``. A program that
    does not compile has run no function, and the sentence says so.
    """
    if context.is_syntax_error and (context.source_is_known or not context.frames):
        return "while the code was compiled: none of it has run"
    frame = context.frame
    if context.is_syntax_error and context.frame_index >= 0:
        frame = context.frames[context.frame_index]
    line = frame.line if frame.line is not None else context.line
    if frame.is_top_level:
        return phrase("at the top level, on line {}", line)
    said = f"in {frame.function}({_arguments(context, frame)}), on line {line}"
    caller = context.frames[context.frame_index - 1] if context.frame_index > 0 else None
    if caller is None or caller.line is None:
        return said
    place = "the top level" if caller.is_top_level else f"{caller.function}()"
    return f"{said}, called from line {caller.line} of {place}{phrase(': {}', single_line(caller.code, 80))}"


def _arguments(context: FailureContext, frame: Frame) -> str:
    """Return the arguments of the failing function, at most five, without ``self``; empty where it is unknown."""
    function = context.function
    if function is None or frame is not context.frame:
        return ""
    given = function.args
    names = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
    known = [
        f"{name}={format_value(frame.locals[name], 40)}" for name in names if name in frame.locals and name != "self"
    ]
    if len(known) > _MAX_ARGUMENTS:
        known[_MAX_ARGUMENTS:] = ["..."]
    return ", ".join(known)
