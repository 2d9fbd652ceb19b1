"""`Failure`: the input of a report, with every fact that is known of one failure.

An executor, the parser of saved tracebacks and `ErrorReport.from_exception` each fill one in;
`resilience.report._explain` makes the report of it. It holds plain values alone, so that it may come from another
process.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json
from resilience.report.captured_exception import Captured

__all__ = ["Failure", "Progress", "Violation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a program up to its failure. Lines count from 1.

    An executor records it, since a traceback does not show what worked. Partial results and the runnable snippet of a
    report come from it.
    """

    completed_lines: int
    """The lines of the statements, at the top level, that were completed."""
    total_lines: int
    last_successful_line: int | None
    """The last line of the last statement that was completed; None where there is none."""
    path: Sequence[int] = ()
    """The lines that were reached, in order, the failed one last; bounded."""
    stdout: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Of the top level, before the failure."""
    snippet: str = ""
    """The statements that were completed: runnable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An operation that the policy of an execution forbids.

    No exception belongs to it: an operation may be refused before the program starts.
    """

    kind: str
    """``blocked_import``, ``blocked_call``, ``blocked_attribute``, ``file_read``, ``file_write``, ``network``,
    ``process``."""
    attempted_operation: str
    """The operation, such as ``file_write`` or ``import os``."""
    blocked_code: str
    """The expression or statement itself, such as ``open('/etc/passwd', 'w')``."""
    reason: str
    """The reason, such as ``writing files is denied at level strict``."""
    subject: str
    """The object of the operation: a module, a function, a path."""
    alternatives: Sequence[str] = ()
    """Allowed ways to the same result."""
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure, as `resilience.report._explain` takes it to make an `ErrorReport`.

    Category, type and message are enough for a report. Every other fact helps the diagnosis, first of all *exception*
    and *source*. Secrets and paths may be in it: `explain` redacts what it takes over.
    """

    category: ErrorCategory
    """A leaf."""
    error_type: str
    """Its name in the report: the exception's class, or ``ExecutionTimeout``, ``SecurityViolation``, ..."""
    message: str
    exception: Captured | None = None
    """None where nothing was raised, such as for a process that was killed."""
    source: str | None = None
    """The source of the program, where it is known."""
    filename: str = "<string>"
    """The file name that *source* was compiled under."""
    is_local: bool = False
    """Whether it happened in this process, so that files may be read for their lines. The file name of another process
    may mean any file here, or a pipe without an end."""
    line: int | None = None
    """The line of *source*, for a failure without an exception that has one."""
    column: int | None = None
    specifics: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Facts that only failures of this category have: ``timeout_limit``, ``memory_limit``, ``security_level``,
    ``available_modules``, ..."""
    progress: Progress | None = None
    violation: Violation | None = None
    stderr: str = ""
    """The program's standard error: warnings, what a test runner or an option parser says, tracebacks of threads."""
    system: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The state of the system: interpreter, limits, platform."""
    timestamp: datetime.datetime | None = None
    """When it happened, UTC; None: now."""
