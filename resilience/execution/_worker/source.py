"""Parts of a source text by the positions of the compiler.

Runs in the worker, too: standard library only, and nothing is imported here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast

__all__ = ["Source"]


class Source:
    """A source text in lines. Lines count from 1; offsets are in UTF-8 bytes, as in `ast` and `co_positions`.

    >>> source = Source("a = 'ä'; b(1)")
    >>> source.column(1, 10), source.piece(1, 10, 1, 14)
    (9, 'b(1)')
    """

    __slots__ = ("_lines", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """The lines, without their ends. Only CR, LF and both end one, as the compiler has it."""
        if self._lines is None:
            self._lines = self._text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._lines

    def line(self, number: int) -> str:
        """Return the line *number*; empty if there is none."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def column(self, number: int, offset: int) -> int:
        """Return the number of characters before *offset* in the line *number*."""
        line = self.line(number)
        return offset if line.isascii() else len(_before(line, offset))

    def piece(self, line: int, offset: int, end_line: int, end_offset: int) -> str:
        """Return the text between two positions."""
        first = self.line(line)
        if line == end_line:
            return _before(first, end_offset)[len(_before(first, offset)) :]
        between = self.lines[line : end_line - 1]
        return "\n".join([first[len(_before(first, offset)) :], *between, _before(self.line(end_line), end_offset)])

    def of(self, node: ast.expr | ast.stmt | ast.pattern) -> str:
        """Return the text that *node* was parsed from."""
        line, offset = node.lineno, node.col_offset
        return self.piece(line, offset, node.end_lineno or line, node.end_col_offset or offset)


def _before(line: str, offset: int) -> str:
    if line.isascii():
        return line[:offset]
    return line.encode(errors="surrogatepass")[:offset].decode(errors="surrogatepass")
