"""Source text to tree, whatever the text is."""

from __future__ import annotations

import ast
import threading
import warnings

from resilience.execution._worker.statements import FILENAME, Program
from resilience.execution.diagnostic import Finding

__all__ = ["MOST_CODE", "UNPARSABLE", "check", "parse"]

UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""What the parser raises: also for null bytes, lone surrogates and nesting that is too deep."""

MOST_CODE = 300_000
"""Characters. A tree takes 600 bytes for each of them, and a second for all."""

_MOST_LINE = 500

# The filters of warnings belong to the whole process.
_filters = threading.Lock()


def parse(code: str) -> ast.Module:
    """Return the tree of *code*. A byte order mark is no part of it.

    Raises one of `UNPARSABLE`.
    """
    # An invalid escape such as "\\d" is a warning, and an error where warnings are errors.
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code.removeprefix("\ufeff"), FILENAME)


def check(code: str) -> Finding | None:
    """Compile *code* as the child process will; return what is wrong with it.

    >>> check("if x = 5: pass").message
    "invalid syntax. Maybe you meant '==' or ':=' instead of '='?"
    """
    try:
        with _filters, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _compile(code.removeprefix("\ufeff"))
    except SyntaxError as error:
        return _finding(error)
    except UNPARSABLE as error:
        return Finding(f"too deeply nested to be compiled ({type(error).__name__})")
    return None


def _compile(code: str) -> None:
    try:
        compile(code, FILENAME, "exec", dont_inherit=True)  # makes no tree, which takes much memory
    except (SyntaxError, RecursionError, MemoryError):
        raise
    except ValueError:
        Program(code)  # which knows the places of what Python refuses without one


def _finding(error: SyntaxError) -> Finding:
    line = error.lineno or None  # 0 where the compiler has no place to tell
    column = error.offset - 1 if line is not None and error.offset else None
    code = (error.text or "").rstrip("\r\n")
    return Finding(error.msg or "invalid syntax", line, column, code[:_MOST_LINE])
