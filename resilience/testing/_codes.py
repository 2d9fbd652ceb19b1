"""`assert_codes`: a test that the error codes of a project and their table agree."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["assert_codes"]


def assert_codes(prefix: str, table: str | os.PathLike[str]) -> None:
    """Raise AssertionError unless the codes with *prefix* agree with *table*, the path of a Markdown file or its text.

    Import the modules that declare the codes first. The error has a line with the fix for each problem: a public
    exception without a code of its own; a code that is missing, listed twice, renumbered or given to another class; a
    row that no class declares and that is not retired. Rows have a code in one cell and its class in the next.

    >>> from resilience.errors import ResilienceError
    >>> class JamMissing(ResilienceError, code="JAM-E001", category="not_found"): ...
    >>> assert_codes("JAM", "| JAM-E001 | JamMissing | not_found |")
    >>> assert_codes("JAM", "| code | class |")
    Traceback (most recent call last):
    ...
    AssertionError: 1 problem with the codes of JAM:
      JAM-E001 (...JamMissing) is missing from the table; add the row | JAM-E001 | JamMissing | not_found |
    """
    from resilience.errors.code_table import check_codes
    from resilience.errors.codes import CodeRegistry

    problems = check_codes(prefix, _text_of(table))
    if not problems and not CodeRegistry(prefix).codes():
        raise AssertionError(f"nothing declares a code with the prefix {prefix}: import the modules that do first")
    if problems:
        counted = f"{len(problems)} problems"
        if len(problems) == 1:
            counted = "1 problem"
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise AssertionError(f"{counted} with the codes of {prefix}:{lines}")


def _text_of(table: str | os.PathLike[str]) -> str:
    if isinstance(table, str) and not {"\n", "|"}.isdisjoint(table):  # several lines, or one row: no path
        return table
    return Path(table).read_text("utf-8")
