"""Programs that fail, and what is known of them then."""

from __future__ import annotations

import textwrap

from resilience.report._capture import capture
from resilience.report.captured_exception import Captured

__all__ = ["captured", "raised", "taken"]


def raised(source: str) -> BaseException:
    """Run a program, and return what it raises, without this file's own call."""
    try:
        exec(compile(source, "<string>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        assert error.__traceback__ is not None
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError("it does not fail")


def captured(source: str) -> Captured:
    source = textwrap.dedent(source).lstrip("\n")
    return capture(raised(source), source=source)


def taken(error: BaseException) -> BaseException:
    """Return *error* with a traceback."""
    try:
        raise error
    except BaseException as same:
        return same
