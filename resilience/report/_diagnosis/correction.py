"""`Correction`: a corrected line, and the functions that make one.

A correction is made only if the program compiles with it: `on_line`, `insert_before` and `replaced` try that, and
return None else. They change one line of the source, by its text, so that all that they do not mean to change stays as
the program has it. They find nodes by position and never run them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from resilience.report._diagnosis.ast_utils import compiled, parsed_expression
from resilience.report._diagnosis.context import FailureContext, FunctionNode

__all__ = [
    "Correction",
    "enclosing_function",
    "here",
    "indentation_of",
    "insert_before",
    "kind_of",
    "nodes",
    "of_program",
    "of_statement",
    "on_line",
    "replaced",
    "source_of",
    "texts_of",
]

Node = TypeVar("Node", bound=ast.AST)

_LITERALS = {"List": "list", "Dict": "dict", "Tuple": "tuple", "Set": "set"}


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
    """Return a correction of another line than the failing one, in which *old* stands once.

    *number* counts from 1. Where *old* stands there twice, it is not sure which is meant, and there is no correction.
    """
    line = context.line_at(number)
    if line.count(old) != 1 or context.tree is None:
        return None
    changed = line.replace(old, new)
    lines = [*context.lines[: number - 1], changed, *context.lines[number:]]
    return Correction(changed, f"line {number}", advice) if compiled("\n".join(lines)) is not None else None


def insert_before(context: FailureContext, number: int, new: str, advice: str = "") -> Correction | None:
    """Return a line that is to be inserted before line *number*. *new* has its indentation already."""
    lines = [*context.lines[: number - 1], new, *context.lines[number - 1 :]]
    if context.tree is None or compiled("\n".join(lines)) is None:
        return None
    return Correction(new, f"a new line before line {number}", advice)


def indentation_of(line: str) -> str:
    """Return the blanks with which a line begins."""
    return line[: len(line) - len(line.lstrip())]


def nodes(context: FailureContext, kind: type[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a kind on the failing line.

    Their positions are those in `FailureContext.code`, not in the program.
    """
    tree = context.line_tree
    return (node for node in ast.walk(tree) if isinstance(node, kind)) if tree is not None else iter(())


def of_program(context: FailureContext, kind: type[Node]) -> list[Node]:
    """Return the nodes of a kind in the whole program, in the order they stand in; none without its source."""
    found = [node for node in ast.walk(context.tree or ast.Module([], [])) if isinstance(node, kind)]
    return sorted(found, key=_position)


def of_statement(context: FailureContext, kind: type[Node]) -> list[Node]:
    """Return the nodes of a kind in the statement that failed, which may span lines; of a block, in its head.

    Unlike those of `nodes`, they have their positions in the program, so that `replaced` and `source_of` take them.
    """
    statement = _statement(context)
    found = [node for node in _walk_head(statement) if isinstance(node, kind)] if statement is not None else []
    return sorted(found, key=_position)


def _position(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _statement(context: FailureContext) -> ast.stmt | None:
    """Return the innermost statement around the place that failed."""
    line, column = context.line or 0, context.frame.column
    place = (line, column if column is not None else len(context.raw_line))
    covering = [
        node for node in of_program(context, ast.stmt) if _position(node) <= place and line <= (node.end_lineno or 0)
    ]
    return max(covering, key=_position, default=None)


def _walk_head(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of a statement without the statements inside of it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt)]


def texts_of(context: FailureContext) -> list[tuple[ast.Constant, str]]:
    """Return the texts that are written out in the statement that failed."""
    return [(each, each.value) for each in of_statement(context, ast.Constant) if isinstance(each.value, str)]


def source_of(context: FailureContext, node: ast.AST) -> str:
    """Return a node of the program's tree as it is written; empty where it has no place."""
    return ast.get_source_segment(context.source, node) or ""


def replaced(context: FailureContext, node: ast.expr, new: str, advice: str = "") -> Correction | None:
    """Return a correction that writes *new* in place of a node of the program's tree, which stands on one line.

    Columns of nodes count bytes of UTF-8, so the line is cut as bytes.
    """
    if node.lineno != node.end_lineno or node.end_col_offset is None:
        return None
    line = context.line_at(node.lineno).encode()
    changed = (line[: node.col_offset] + new.encode() + line[node.end_col_offset :]).decode()
    lines = [*context.lines[: node.lineno - 1], changed, *context.lines[node.lineno :]]
    if compiled("\n".join(lines)) is None:
        return None
    return Correction(changed, f"line {node.lineno}", advice)


def enclosing_function(context: FailureContext) -> FunctionNode | None:
    """Return the innermost function of the program around the failing line, a comprehension in it or not."""
    line = context.line or 0
    functions: list[FunctionNode] = [*of_program(context, ast.FunctionDef), *of_program(context, ast.AsyncFunctionDef)]
    around = [node for node in functions if node.lineno < line <= (node.end_lineno or 0)]
    return max(around, key=_position, default=None)


def kind_of(context: FailureContext, node: ast.expr) -> str:
    """Return the name of the type of an expression; empty where it is not known.

    A literal has its own type. A variable has that of its captured value: a text that begins as a literal does,
    ``[1, 2]``, is taken for the repr of one, a list.
    """
    if isinstance(node, ast.Constant):
        return type(node.value).__name__
    if not isinstance(node, ast.Name) or not context.knows(node.id):
        return ""
    value = context.value_of(node.id)
    if not isinstance(value, str):
        return type(value).__name__
    shown = parsed_expression(value) if value[:1] in "[({" else None
    return "str" if shown is None else _LITERALS.get(type(shown).__name__, "str")
