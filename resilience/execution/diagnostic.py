"""One thing to say about code, and where."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from resilience.errors._json_safe import Json
from resilience.execution._worker.source import Source

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about code. Lines count from 1, columns from 0, in characters.

    >>> print(Finding("input() raises EOFError here", 3))
    line 3: input() raises EOFError here
    """

    message: str
    line: int | None = None
    column: int | None = None
    code: str = ""
    """The source line."""

    @classmethod
    def at(cls, node: ast.stmt | ast.expr | ast.excepthandler, message: str, source: Source) -> Finding:
        """Return a finding about *node* of *source*."""
        line = node.lineno
        return cls(message, line, source.column(line, node.col_offset), source.line(line).strip())

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON takes it."""
        return {"message": self.message, "line": self.line, "column": self.column, "code": self.code}
