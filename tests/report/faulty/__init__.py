"""Faulty programs, and what must be said of each: run for real, on every Python."""

from __future__ import annotations

import dataclasses
import sys
import traceback

from resilience import classify
from resilience.categories import ErrorCategory
from resilience.report._capture import capture
from resilience.report.failure import Failure


@dataclasses.dataclass(frozen=True)
class Faulty:
    """A program that fails, and what its diagnosis must say."""

    name: str
    code: str
    cause: str
    """Words of the immediate cause."""
    tips: tuple[str, ...] = ()
    """Words of the suggestions; those of the first one first."""
    fix: str | None = None
    """The corrected line; None: none must be proposed; "?": it does not matter."""
    line: int | None = 1
    factors: tuple[str, ...] = ()
    since: tuple[int, int] = (3, 11)
    until: tuple[int, int] = (4, 0)

    @property
    def runs_here(self) -> bool:
        return self.since <= sys.version_info[:2] < self.until


def faulty(name, code, cause, *tips, fix="?", line=1, factors=(), since=(3, 11), until=(4, 0)) -> Faulty:
    return Faulty(name, code, cause, tips, fix, line, factors, since, until)


def raised_by(code: str) -> BaseException | None:
    """Run a program and return what it raises."""
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        return error
    return None


def hidden(filename: str) -> bool:
    return filename == __file__


def failure_of(code: str, **given) -> Failure:
    """Run a program and return its failure."""
    error = raised_by(code)
    assert error is not None, "it does not fail"
    raised = capture(error, source=code, hidden=hidden)
    traceback.clear_frames(error.__traceback__)  # coroutines that nothing awaited end here, and not in another test
    category = ErrorCategory.SYNTAX if isinstance(error, SyntaxError) else classify(error)
    return Failure(
        category=category,
        error_type=raised["type"],
        message=raised["message"],
        exception=raised,
        source=code,
        **given,
    )
