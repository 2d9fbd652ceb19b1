"""Parser of source text that may be anything."""

from __future__ import annotations

import ast
import threading
import warnings

from resilience.execution._worker.statements import FILENAME, Program, compile_program
from resilience.execution.diagnostic import Diagnostic

__all__ = ["MAX_CODE", "UNPARSABLE", "parse", "syntax_diagnostic"]

UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""Exceptions of the parser, also for null bytes, lone surrogates and nesting that is too deep."""

MAX_CODE = 300_000
"""Characters. A tree takes 600 bytes for each of them, and a second for all."""

_MAX_LINE = 500

# Held while the warning filters, which belong to the whole process, are changed.
_filters = threading.Lock()


def parse(code: str) -> ast.Module:
    """Return the tree of *code* without its byte order mark.

    Raises one of `UNPARSABLE`.
    """
    # An invalid escape such as "\\d" is a warning, and an error where warnings are errors.
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code.removeprefix("\ufeff"), FILENAME)


def syntax_diagnostic(code: str) -> Diagnostic | None:
    """Compile *code* as the worker will; return a diagnostic if it does not compile.

    >>> syntax_diagnostic("if x = 5: pass").message
    "invalid syntax. Maybe you meant '==' or ':=' instead of '='?"
    """
    try:
        with _filters, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _compile(code.removeprefix("\ufeff"))
    except SyntaxError as error:
        return _diagnostic(error)
    except UNPARSABLE as error:
        return Diagnostic(f"too deeply nested to be compiled ({type(error).__name__})")
    return None


def _compile(code: str) -> None:
    try:
        compile_program(code)  # makes no tree, which takes much memory
    except (SyntaxError, RecursionError, MemoryError):
        raise
    except ValueError:
        Program(code)  # adds the position that Python's error lacks


def _diagnostic(error: SyntaxError) -> Diagnostic:
    line = error.lineno or None  # 0 where the compiler has no place to tell
    column = error.offset - 1 if line is not None and error.offset else None
    code = (error.text or "").rstrip("\r\n")
    return Diagnostic(error.msg or "invalid syntax", line, column, code[:_MAX_LINE])
