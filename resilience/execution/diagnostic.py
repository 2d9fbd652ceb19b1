"""Diagnostic: one message about code, with its position."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from resilience.errors._json_safe import Json
from resilience.execution._worker.source import Source

__all__ = ["Diagnostic"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message about code. Lines count from 1, columns from 0, in characters.

    >>> print(Diagnostic("input() raises EOFError here", 3))
    line 3: input() raises EOFError here
    """

    message: str
    line: int | None = None
    column: int | None = None
    code: str = ""
    """The source line."""

    @classmethod
    def at(cls, node: ast.stmt | ast.expr | ast.excepthandler, message: str, source: Source) -> Diagnostic:
        """Return a diagnostic for *node* of *source*."""
        line = node.lineno
        return cls(message, line, source.column(line, node.col_offset), source.line(line).strip())

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON-compatible data."""
        return {"message": self.message, "line": self.line, "column": self.column, "code": self.code}
