r"""Python's own parser without warnings, and with None in place of an error for code that it refuses.

Sources come from programs that failed, and from answers of models: they may be huge, deeply nested or no text at all.
Nothing here raises for any of them, and nothing that is compiled is ever run. More than `_MAX_LENGTH` characters are
not parsed.

The parser warns of ``"\d"`` and ``x is 1``; its warnings belong to the program and not to the report, so they are
suppressed for this module's file name alone.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from types import CodeType
from typing import TypeVar

__all__ = ["code_of", "compiled", "fault_of", "parsed", "parsed_expression", "parsed_line"]

T = TypeVar("T")

_MAX_LENGTH = 200_000
"""Characters. More is not parsed a second time for the sake of a hint."""
_FILENAME = "<resilience.report>"
# Warnings are chosen by file name: a filter of our own is safe with threads, `catch_warnings` is not before 3.14.
_QUIET = ("ignore", None, Warning, re.compile(re.escape(_FILENAME)), 0)
_REFUSED = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)

# What a line of a longer statement lacks to be parsed alone, tried in order.
_FRAMES = (
    "{}",
    "{} pass",
    "if x: pass\n{} pass",
    "try: pass\n{} pass",
    "async def f():\n {}",
    "async def f():\n {} pass",
    "{}\ndef f(): pass",
    "({}\n)",
    "match x:\n {} pass",
)


def parsed(source: str) -> ast.Module | None:
    """Return the tree of *source*, or None where it has none or is very long."""
    return _quietly(lambda: ast.parse(source, _FILENAME), source)


def parsed_expression(text: str) -> ast.expr | None:
    """Return the tree of an expression, which may span lines; None of a blank text.

    >>> type(parsed_expression("a[0]")).__name__, parsed_expression("a =")
    ('Subscript', None)
    """
    if not text.strip():
        return None
    tree = _quietly(lambda: ast.parse(f"({text}\n)", _FILENAME, "eval"), text)
    if tree is None:
        return None
    return tree.body


def code_of(node: ast.AST | None) -> str:
    """Return the source of a node; nothing of None, or of a tree that has none."""
    if node is None:
        return ""
    try:
        return ast.unparse(node)
    except (ValueError, RecursionError, AttributeError):
        return ""


def parsed_line(code: str) -> ast.Module | None:
    """Return the tree of one line taken from a program, such as ``elif x > 1:``; None where it is not a whole line.

    A line that cannot stand alone is put into the first of `_FRAMES` that parses: its place in the tree then tells
    nothing.
    """
    for frame in _FRAMES:
        tree = parsed(frame.format(code))
        if tree is not None:
            return tree
    return None


def compiled(source: str) -> CodeType | None:
    """Return the code of a whole program, or None where it does not compile. The code is never run: it is a test."""
    return _quietly(lambda: compile(source, _FILENAME, "exec", dont_inherit=True), source)


def fault_of(source: str) -> SyntaxError | None:
    """Return the error of compiling *source*; None where it compiles, or fails by anything but its syntax.

    Its line tells how far the compiler came. It has no traceback, so it keeps no frame alive.
    """
    try:
        _quiet()
        compile(source[: _MAX_LENGTH + 1], _FILENAME, "exec", dont_inherit=True)
    except SyntaxError as fault:
        return fault.with_traceback(None)
    except _REFUSED:
        return None
    return None


def _quietly(make: Callable[[], T], source: str) -> T | None:
    """Return what *make* makes of *source*; None of a longer one, and where the parser refuses it.

    Besides SyntaxError that is a MemoryError or RecursionError of deep nesting, and a ValueError of null bytes.
    """
    if len(source) > _MAX_LENGTH:
        return None
    try:
        _quiet()
        return make()
    except _REFUSED:
        return None


def _quiet() -> None:
    """Add the filter of warnings, unless it is there: a program or test may have reset the filters since."""
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=re.escape(_FILENAME))
