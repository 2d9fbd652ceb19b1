"""`ErrorReport` and its parts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json

__all__ = ["ErrorReport", "ExceptionInfo", "ExecutionContext", "RecoveryOption", "SourceLine", "TracebackFrame"]

_MAX_TOKENS = 2000


@dataclass(frozen=True, slots=True)
class TracebackFrame:
    """One call of a traceback. Lines count from 1, columns from 0."""

    filename: str
    line_number: int
    function_name: str
    code_line: str
    local_vars: Mapping[str, Json] = field(default_factory=dict[str, Json])
    column_number: int | None = None
    end_line_number: int | None = None
    end_column_number: int | None = None


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One exception: what it says, where it was raised, what the variables were."""

    type: str
    message: str
    traceback: tuple[TracebackFrame, ...] = ()
    full_traceback: str = ""
    local_variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    global_variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    context: str = ""
    suggestions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cause: ExceptionInfo | None = None
    relation: str = "raised"
    """How it hangs on the one above it: ``cause``, ``context`` or ``member``."""
    members: tuple[ExceptionInfo, ...] = ()
    """Of a group."""
    frames_dropped: int = 0
    """Calls in the middle of *traceback* that are not told."""


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """Where a program was when it failed."""

    variables_in_scope: tuple[str, ...] = ()
    last_successful_line: int | None = None
    execution_path: tuple[str, ...] = ()
    """``("line 1", "line 2", "line 3 (failed)")``."""


@dataclass(frozen=True, slots=True)
class RecoveryOption:
    """What can be done now: ``fix_and_retry``, ``partial_execution``, ``debug_mode``, ``retry``, ..."""

    kind: str
    description: str
    suggested_fix: str | None = None
    code_snippet: str | None = None
    """Runnable: the lines that worked."""
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of the program, as it stands there."""

    line_number: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """What went wrong, why, and what to do next, for a person, a program or a model.

    Values under secret names, credentials of the usual forms and the host's own paths are not in it.

    >>> try:
    ...     prices = {"lamp": 9.5}
    ...     prices["lmap"]
    ... except KeyError as error:
    ...     report = ErrorReport.from_exception(error)
    >>> report.error_type, report.line_number, report.code_line
    ('KeyError', 3, 'prices["lmap"]')
    >>> report.to_dict(level=1)["error_summary"]
    "KeyError on line 3: 'lmap'"
    """

    category: ErrorCategory
    error_type: str
    error_message: str
    error_summary: str
    """One line: ``NameError on line 3: undefined variable``."""
    timestamp: datetime.datetime
    exception: ExceptionInfo | None = None
    filename: str | None = None
    line_number: int | None = None
    column_number: int | None = None
    end_column_number: int | None = None
    """Behind the last character; None too where it is on another line."""
    code_line: str = ""
    function_name: str | None = None
    context: str = ""
    immediate_cause: str = ""
    contributing_factors: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    suggested_fix: str | None = None
    """The corrected line, where that is certain enough."""
    local_variables: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Where it failed."""
    excerpt: tuple[SourceLine, ...] = ()
    """The lines around the place."""
    specifics: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What belongs to failures of this category."""
    execution_context: ExecutionContext | None = None
    partial_results: Mapping[str, Json] | None = None
    recovery_options: tuple[RecoveryOption, ...] = ()
    security_violation: Mapping[str, Json] | None = None
    system_state: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @classmethod
    def from_exception(
        cls, exc: BaseException, *, source: str | None = None, filename: str = "<string>"
    ) -> ErrorReport:
        """Return the report of an exception, raised in any program.

        *source* is the text that was compiled as *filename*, for code that came from no file. The category is what
        `resilience.classify` says. Whatever the exception does when it is looked at, there is a report.
        """
        from resilience.report._from_exception import report_of

        return report_of(exc, source=source, filename=filename)

    def to_dict(self, level: int = 3) -> dict[str, Json]:
        """Return it as JSON takes it, in four levels of detail.

        1 is a summary; 2 adds the technical side: where, calls, cause; 3 adds variables, suggestions and what
        worked; 4 adds the state of the system. Each has all of the one before it.
        """
        from resilience.report._levels import report_dict

        return report_dict(self, level)

    def to_json(self, level: int = 3, *, indent: int | None = None) -> str:
        """Return `to_dict` as a JSON text."""
        import json

        return json.dumps(self.to_dict(level), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_llm(self, max_tokens: int = _MAX_TOKENS) -> str:
        """Return it for a model, the most important first, in at most *max_tokens* by a cautious estimate.

        The same report gives the same text. `resilience.report._llm.estimated_tokens` is the estimate.
        """
        from resilience.report._llm import llm_text

        return llm_text(self, max_tokens)

    def to_mcp(self, level: int = 3, *, max_tokens: int = _MAX_TOKENS) -> dict[str, Json]:
        """Return it as the result of a tool call of the Model Context Protocol."""
        return {
            "isError": True,
            "content": [{"type": "text", "text": self.to_llm(max_tokens)}],
            "structuredContent": self.to_dict(level),
        }

    def render(self) -> str:
        """Return it for people: source, cause, what to do."""
        from resilience.report._text import rendered

        return rendered(self)

    def __str__(self) -> str:
        return self.render()
