"""What a program was doing when it failed."""

from __future__ import annotations

from resilience.report._diagnosis.context import Case, Frame
from resilience.report._diagnosis.text import one_line, shown

__all__ = ["context_of"]

_MOST_ARGUMENTS = 5


def context_of(case: Case) -> str:
    """Say which function failed, with which arguments, and which line called it."""
    if case.has_parsed_nothing and (case.is_at_hand or not case.frames):
        return "while the code was compiled: none of it has run"
    frame = case.frame
    if case.has_parsed_nothing and case.position >= 0:
        frame = case.frames[case.position]
    line = frame.line if frame.line is not None else case.line
    if frame.at_top_level:
        return f"at the top level, on line {line}" if line else ""
    said = f"in {frame.function}({_arguments(case, frame)}), on line {line}"
    caller = case.frames[case.position - 1] if case.position > 0 else None
    if caller is None or caller.line is None:
        return said
    place = "the top level" if caller.at_top_level else f"{caller.function}()"
    code = f": {one_line(caller.code, 80)}" if caller.code else ""
    return f"{said}, called from line {caller.line} of {place}{code}"


def _arguments(case: Case, frame: Frame) -> str:
    function = case.function if frame is case.frame else None
    if function is None:
        return ""
    given = function.args
    names = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
    known = [f"{name}={shown(frame.locals[name], 40)}" for name in names if name in frame.locals and name != "self"]
    return ", ".join([*known[:_MOST_ARGUMENTS], *(["..."] if len(known) > _MOST_ARGUMENTS else [])])
