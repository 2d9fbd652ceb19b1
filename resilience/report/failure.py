"""`Failure`: all that is known of a failure before it is explained."""

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
    """How far a program came before it failed. Lines count from 1."""

    completed_lines: int
    """The lines of the statements, at the top level, that were carried out to their end."""
    total_lines: int
    last_successful_line: int | None
    """The last line of the last statement that was carried out; None where there is none."""
    path: Sequence[int] = ()
    """The lines that were reached, in order, the failed one last; bounded."""
    stdout: str = ""
    variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Of the top level, before the failure."""
    snippet: str = ""
    """The statements that were carried out: runnable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What the policy of an execution forbids."""

    kind: str
    """``blocked_import``, ``blocked_call``, ``blocked_attribute``, ``file_read``, ``file_write``, ``network``,
    ``process``."""
    attempted_operation: str
    """What it was about to do, such as ``file_write`` or ``import os``."""
    blocked_code: str
    """The expression or statement itself, such as ``open('/etc/passwd', 'w')``."""
    reason: str
    """Why not, such as ``writing files is denied at level strict``."""
    subject: str
    """What was reached for: a module, a function, a path."""
    alternatives: Sequence[str] = ()
    """What may be done instead."""
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure: what `resilience.report._explain` makes an `ErrorReport` of."""

    category: ErrorCategory
    """A leaf."""
    error_type: str
    """What it is called in the report: the exception's class, or ``ExecutionTimeout``, ``SecurityViolation``, ..."""
    message: str
    exception: Captured | None = None
    """None where nothing was raised, such as for a process that was killed."""
    source: str | None = None
    """The program, where it is at hand."""
    filename: str = "<string>"
    """What *source* was compiled as."""
    is_local: bool = False
    """Whether it happened in this process, so that files may be read for their lines: what another one calls a file may
    be any file here, or none that ends."""
    line: int | None = None
    """Where in *source*, where no exception tells."""
    column: int | None = None
    specifics: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What belongs to failures of this category: ``timeout_limit``, ``memory_limit``, ``security_level``,
    ``available_modules``, ..."""
    progress: Progress | None = None
    violation: Violation | None = None
    system: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """The state of what it ran in: interpreter, limits, platform."""
    timestamp: datetime.datetime | None = None
    """When it happened, UTC; None: now."""
