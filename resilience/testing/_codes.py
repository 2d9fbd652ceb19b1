"""A test that keeps a project's error codes and their table together."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["assert_codes"]


def assert_codes(prefix: str, table: str | os.PathLike[str]) -> None:
    """Fail unless the codes with *prefix* are those in *table*, the path of a Markdown file or its text.

    Import the modules that declare them first. The AssertionError has a line for each problem, with what to do.

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

    # A text of several lines, or of one row, is no path.
    text = table if isinstance(table, str) and ("\n" in table or "|" in table) else Path(table).read_text("utf-8")
    problems = check_codes(prefix, text)
    if not problems and not CodeRegistry(prefix).codes():
        raise AssertionError(f"nothing declares a code with the prefix {prefix}: import the modules that do first")
    if problems:
        number = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise AssertionError(f"{number} with the codes of {prefix}:{lines}")
