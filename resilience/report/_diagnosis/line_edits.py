"""Corrected lines. A correction is proposed only if Python can parse it.

All functions return the whole line with its indentation, or None where the place is not sure or the program does not
compile with the line. Where the source of the program is not at hand, the line must parse alone. They change text and
not a tree, so that blanks, quotes and comments stay as the program has them. `correct_line` is for programs that do not
compile yet, the others for those that do.
"""

from __future__ import annotations

import ast
import re

from resilience.report._diagnosis.ast_utils import compiled, fault_of, parsed, parsed_line
from resilience.report._diagnosis.context import FailureContext

__all__ = [
    "correct_line",
    "import_line",
    "rename_in_line",
    "rename_text",
    "replace_in_line",
    "replace_line",
    "replace_marked",
    "segment_of",
]

_LONGEST_LINE = 2000


def replace_line(context: FailureContext, line: str) -> str | None:
    """Return *line*, which is to stand where the failing one does, if the program still compiles with it.

    None also of a line that is the same, blank, or longer than `_LONGEST_LINE` characters. *line* has its indentation.
    """
    if not line.strip() or line == context.raw_line or len(line) > _LONGEST_LINE:
        return None
    if context.source_is_known and context.line is not None:
        code: object = compiled(_with(context.lines, context.line, line))
    else:
        code = parsed_line(line.strip())
    if code is None:
        return None
    return line


def rename_in_line(context: FailureContext, old: str, new: str) -> str | None:
    """Return the failing line with *new* for *old*, where there is one place that can be meant.

    *old* must stand there as a whole word. Of several places the one in the part that failed is meant.
    """
    line, frame = context.raw_line, context.frame
    places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", line)]
    if context.source_is_known and frame.column is not None and frame.end_column is not None:
        within = [place for place in places if frame.column <= place < frame.end_column]
        places = within[:1] if len(within) == 1 else places
    if len(places) != 1:
        return None
    start = places[0]
    return replace_line(context, line[:start] + new + line[start + len(old) :])


def import_line(statement: str) -> str | None:
    """Return an import statement, if it is one."""
    if parsed(statement) is None:
        return None
    return statement


def correct_line(context: FailureContext, number: int, line: str, *, entirely: bool = False) -> str | None:
    """Return *line* for line *number* of a program that does not compile, if the program is better for it.

    Better is: it compiles, or, unless it has to *entirely*, what keeps it from that comes further down. A bracket has
    to close *entirely*: at any place it moves the fault to a later line.
    """
    at_hand = context.source_is_known
    before = context.line_at(number) if at_hand else context.code
    if line == before or not line.strip() or len(line) > _LONGEST_LINE:
        return None
    if not at_hand:
        return line if parsed_line(line.strip()) is not None else None
    source = _with(context.lines, number, line)
    if compiled(source) is not None:
        return line
    fault = None if entirely else fault_of(source)
    return (
        line
        if fault is not None and fault.lineno is not None and fault.lineno > max(number, context.line or 0)
        else None
    )


def _with(lines: list[str], number: int, line: str) -> str:
    return "\n".join([*lines[: number - 1], line, *lines[number:]])


def replace_marked(context: FailureContext, new: str) -> str | None:
    """Return the failing line with *new* in place of the part that failed, `FailureContext.marked`.

    None of a part that spans lines, and where the column is not known and the line has the part twice.
    """
    marked, line, frame = context.marked, context.raw_line, context.frame
    if not marked or "\n" in marked:
        return None
    if context.source_is_known and frame.column is not None and line[frame.column :].startswith(marked):
        return replace_line(context, line[: frame.column] + new + line[frame.column + len(marked) :])
    return replace_line(context, line.replace(marked, new)) if line.count(marked) == 1 else None


def replace_in_line(context: FailureContext, old: str, new: str) -> str | None:
    """Return the failing line with *new* for *old*, where that stands there once; in the part that failed, first."""
    marked = context.marked
    if marked.count(old) == 1 and (fix := replace_marked(context, marked.replace(old, new))) is not None:
        return fix
    return replace_line(context, context.raw_line.replace(old, new)) if context.raw_line.count(old) == 1 else None


def rename_text(context: FailureContext, old: str, new: str) -> str | None:
    """Return the failing line with another text in the same quotes: ``"lenght"`` becomes ``"length"``."""
    for quote in "'\"":
        if quote not in new:
            fix = replace_in_line(context, f"{quote}{old}{quote}", f"{quote}{new}{quote}")
            if fix is not None:
                return fix
    return None


def segment_of(context: FailureContext, node: ast.expr) -> str:
    """Return a part of the expression that failed as it is written; empty where that is not known.

    *node* is one of `FailureContext.expression`. Nodes of the program's tree are read by `correction.source_of`.
    """
    return ast.get_source_segment(f"({context.marked}\n)", node) or ""
