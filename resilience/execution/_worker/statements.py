"""Compiler of a program, statement by statement, all of it before anything runs: a syntax error runs nothing.

Statements are apart so that progress can be recorded after each, and the value of a last expression kept. Their code
is what the compiler makes of the whole source: line numbers, columns and the bits of future imports are the same.
"""

from __future__ import annotations

import sys
from _ast import Expr, Expression, Module, PyCF_ALLOW_TOP_LEVEL_AWAIT, PyCF_ONLY_AST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ast import expr, stmt
    from types import CodeType, ModuleType
    from typing import Any

__all__ = ["FILENAME", "Program", "Statement", "compile_program", "main_module", "register_source", "session_filename"]

FILENAME = "<string>"
"""File name of a program, for tracebacks."""
_MAX_EXPRESSION = 200
_MAX_LINES = 10
_NOT_PLAIN = ("\\", "#", ";", "'", '"', " is ", "assert", "global", "__future__")
"""Parts that a source must not have to be compiled by lines.

A text may go on in the next line, or be a docstring. A warning would be repeated if a later line cannot be compiled.
`global` binds other statements.
"""
_COROUTINE = 0x80
"""The bit of `inspect.CO_COROUTINE`: the code awaits."""
_FUTURE = 0x1FE0000
"""The bits of all `from __future__ import`, which a compiled module carries on."""


class Statement:
    """One compiled statement of the top level. The end column is in bytes, as in `ast`."""

    __slots__ = ("code", "end_column", "end_line", "is_async", "is_value", "line")

    def __init__(self, code: CodeType, line: int, end_line: int, end_column: int, *, is_value: bool) -> None:
        self.code: CodeType = code
        self.line: int = line
        self.end_line: int = end_line
        self.end_column: int = end_column
        self.is_value: bool = is_value
        self.is_async: bool = bool(code.co_flags & _COROUTINE)
        """Whether evaluating the code returns a coroutine: it awaits at the top level."""


class Program:
    """A program that has been compiled. Raises SyntaxError for a source that cannot be.

    Its statements are compiled one by one, all of them before the first one runs. Only `global` and a future import
    bind statements together: then the source is compiled as a whole, too.
    """

    def __init__(self, source: str, filename: str = FILENAME) -> None:
        self._filename = filename
        self._statements: list[Statement] = []
        expression = _expression(source, filename)
        if expression is not None:
            self._statements.append(expression)
            return
        self._statements = _lines(source, filename)
        if self._statements:
            return
        _check_text(source, filename)
        self._tree: Module = compile(source, filename, "exec", PyCF_ONLY_AST, dont_inherit=True)  # type: ignore[assignment]
        self._flags = 0
        if "global" in source or "__future__" in source:
            self._flags = self._compile_whole().co_flags & _FUTURE
            return
        try:
            self._statements = self._compile_statements()
        except SyntaxError:
            self._compile_whole()  # of several errors the compiler finds another one first
            raise

    def statements(self) -> list[Statement]:
        """Return the compiled statements. Warnings of the compiler are repeated if there is a statement for all."""
        if not self._statements:
            self._statements = self._compile_statements()
        return self._statements

    def _compile_whole(self) -> CodeType:
        return compile_program(self._tree, filename=self._filename)

    def _compile_statements(self) -> list[Statement]:
        last = len(self._tree.body) - 1
        return [
            _statement(node, _value(node, first=number == 0, last=number == last), self._flags, self._filename)
            for number, node in enumerate(self._tree.body)
        ]


def main_module() -> ModuleType:
    """Return an empty ``__main__`` for a program.

    Its globals have no ``__file__``, for there is no file. The module itself has: `inspect` looks there for the source
    of a class.
    """
    some: Any = sys

    class Main(type(some)):  # type: ignore[misc]  # the class of modules, without an import
        __file__ = FILENAME

    Main.__name__, Main.__module__ = "module", "builtins"
    module: ModuleType = Main("__main__")
    return module


def register_source(linecache: Any, source: str, filename: str = FILENAME) -> None:
    """Have *linecache* show the lines of a program, and so tracebacks, `inspect.getsource` and numba find them."""
    # Without a time of change: `linecache.checkcache` leaves it alone.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def session_filename(number: int) -> str:
    """Return the file name of the execution *number* of a session: `FILENAME` where it is no session's, 0.

    The functions of one execution are called by later ones, and tracebacks show the source of each.

    >>> session_filename(0), session_filename(2)
    ('<string>', '<execution 2>')
    """
    return f"<execution {number}>" if number else FILENAME


def compile_program(
    source: str | Module | Expression, mode: str = "exec", flags: int = 0, filename: str = FILENAME
) -> CodeType:
    """Compile source or tree as a program, which may await at the top level."""
    code: CodeType = compile(source, filename, mode, flags | PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


def _expression(source: str, filename: str) -> Statement | None:
    """Return the statement of a source that is one expression on one line, compiled without a tree."""
    if len(source) > _MAX_EXPRESSION or not source.isascii() or source[:1].isspace() or not source.isprintable():
        return None
    if "\\" in source:  # the compiler warns of an invalid escape, and would warn twice
        return None
    try:
        code = compile_program(source, "eval", filename=filename)
    except Exception:  # not an expression; a syntax error is raised again by the caller
        return None
    return Statement(code, 1, 1, len(source.rstrip()), is_value=True)


def _lines(source: str, filename: str) -> list[Statement]:
    """Return the statements of a short source that has one on each line, compiled without a tree.

    To make a tree and to compile it takes twice as long. None are returned if a line is anything else, or may be.
    """
    lines = source.split("\n")
    if len(lines) > _MAX_LINES or any(each in source for each in _NOT_PLAIN):
        return []
    if not all(line.isascii() and line.isprintable() and line[:1].isalnum() for line in lines):
        return []
    try:
        return [_line(line, number, filename, is_last=number + 1 == len(lines)) for number, line in enumerate(lines)]
    except Exception:  # a part of a longer statement, or a syntax error, which is raised again by the caller
        return []


def _line(line: str, number: int, filename: str, *, is_last: bool) -> Statement:
    source, end = "\n" * number + line, len(line.rstrip())
    if is_last:
        try:
            return Statement(
                compile_program(source, "eval", filename=filename), number + 1, number + 1, end, is_value=True
            )
        except SyntaxError:
            pass
    return Statement(compile_program(source, filename=filename), number + 1, number + 1, end, is_value=False)


def _statement(node: stmt, value: expr | None, flags: int, filename: str) -> Statement:
    tree, mode = (Module([node], []), "exec") if value is None else (Expression(value), "eval")
    code = compile_program(tree, mode, flags, filename)
    line = node.lineno
    return Statement(code, line, node.end_lineno or line, node.end_col_offset or 0, is_value=value is not None)


def _value(node: stmt, *, first: bool, last: bool) -> expr | None:
    """Return the expression of the last statement, whose value is the program's result.

    Also that of any text but the first statement: compiled alone, it would become a docstring.
    """
    if type(node) is not Expr:
        return None
    is_text = type(getattr(node.value, "value", None)) is str
    return node.value if last or (is_text and not first) else None


def _check_text(source: str, filename: str) -> None:
    """Raise a SyntaxError with a position for the two kinds of text that Python rejects without one."""
    at = source.find("\0")
    if at >= 0:
        raise _error_at(source, filename, at, "source code cannot contain null bytes")
    try:
        source.encode()
    except UnicodeEncodeError as error:
        character = source[error.start]
        byte = ord(character) - 0xDC00  # what `surrogateescape` makes of a byte that it cannot decode
        said = f"the byte {byte:#04x} is no UTF-8" if 128 <= byte < 256 else f"{character!a} cannot be encoded as UTF-8"
        raise _error_at(source, filename, error.start, f"(unicode error) {said}") from None


def _error_at(source: str, filename: str, at: int, said: str) -> SyntaxError:
    before = source[:at]
    line_start = before.rfind("\n") + 1
    text = source[line_start:].partition("\n")[0].encode("utf-8", "replace").decode("utf-8")
    return SyntaxError(said, (filename, before.count("\n") + 1, at - line_start + 1, text))
