"""`Correction`: a corrected line, and the functions that make one.

A correction is made only if the program compiles with it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from resilience.report._diagnosis.ast_utils import compiled
from resilience.report._diagnosis.context import FailureContext

__all__ = ["Correction", "here", "indentation_of", "insert_before", "nodes", "on_line"]


class Correction(NamedTuple):
    """A corrected line, where it stands, and the advice that goes with it; the advice alone where no line is sure."""

    line: str | None
    place: str = ""
    """``line 3`` or ``a new line before line 3``; empty: the failing line."""
    advice: str = ""


def here(line: str | None, advice: str = "") -> Correction | None:
    """Return a correction of the failing line, or the advice alone; None without either."""
    return None if line is None and not advice else Correction(line, advice=advice)


def on_line(context: FailureContext, number: int, old: str, new: str, advice: str = "") -> Correction | None:
    """Return a correction of another line, in which *old* stands once."""
    line = context.line_at(number)
    if line.count(old) != 1 or context.tree is None:
        return None
    changed = line.replace(old, new)
    lines = [*context.lines[: number - 1], changed, *context.lines[number:]]
    return Correction(changed, f"line {number}", advice) if compiled("\n".join(lines)) is not None else None


def insert_before(context: FailureContext, number: int, new: str, advice: str = "") -> Correction | None:
    """Return a line that is to be inserted before another one."""
    lines = [*context.lines[: number - 1], new, *context.lines[number - 1 :]]
    if context.tree is None or compiled("\n".join(lines)) is None:
        return None
    return Correction(new, f"a new line before line {number}", advice)


def indentation_of(line: str) -> str:
    """Return the blanks with which a line begins."""
    return line[: len(line) - len(line.lstrip())]


def nodes(context: FailureContext, kind: type[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a kind on the failing line."""
    tree = context.line_tree
    return (node for node in ast.walk(tree) if isinstance(node, kind)) if tree is not None else iter(())
