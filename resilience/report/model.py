"""`ErrorReport` and its parts: the finished explanation of one failure.

A report is a frozen value. It holds no secret that `Redaction` knows, no path of the host and no live object, so it may
be logged, stored and sent to a model. `resilience.report._explain` makes it; the methods here only render it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from resilience.categories import ErrorCategory
from resilience.errors._json_safe import Json

__all__ = ["ErrorReport", "ExceptionInfo", "ExecutionContext", "RecoveryOption", "SourceLine", "TracebackFrame"]

_MAX_TOKENS = 400


@dataclass(frozen=True, slots=True)
class TracebackFrame:
    """One call of a traceback. Lines count from 1, columns from 0.

    `code_line` is without its indentation, which the columns include. In `local_vars`, numbers, strings, booleans and
    None are as they were, any other value is a short text.
    """

    filename: str
    line_number: int
    function_name: str
    code_line: str
    local_vars: Mapping[str, Json] = field(default_factory=dict[str, Json])
    column_number: int | None = None
    end_line_number: int | None = None
    end_column_number: int | None = None
    is_own: bool = True
    """Whether it is a call of the program itself, and not of Python or an installed package."""


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One exception: its message, its traceback, and the variables of the frames.

    `traceback` has the outermost call first, `full_traceback` is the text that CPython prints. `context` and
    `suggestions` are empty for causes and members, as the advice belongs to the exception that was raised.
    """

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
    """Its relation to the exception that refers to it: ``cause``, ``context`` or ``member``."""
    members: tuple[ExceptionInfo, ...] = ()
    """Of a group."""
    frames_dropped: int = 0
    """The number of calls left out in the middle of *traceback*."""


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """The state of a program when it failed: names in scope, and the lines it had run.

    Without an executor the lines are not recorded; then *execution_path* has the calls: ``shop.py line 12 (failed)``.
    """

    variables_in_scope: tuple[str, ...] = ()
    last_successful_line: int | None = None
    execution_path: tuple[str, ...] = ()
    """``("line 1", "line 2", "line 3 (failed)")``."""


@dataclass(frozen=True, slots=True)
class RecoveryOption:
    """One option for the next step: ``fix_and_retry``, ``partial_execution``, ``debug_mode``, ``retry``, ...

    *kind* is for programs to choose by, *description* for people and models. For failures of a dependency it is the
    value of the category's `Recovery`, such as ``retry`` or ``wait``.
    """

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
    """The explanation of one failure, with its cause and the advice on it, for a person, a program or a model.

    Values under secret names, credentials of the usual forms and the host's own paths are not in it.

    `error_summary` is for a log line, `immediate_cause` for the reason, `suggestions` for what to do; the first
    suggestion is the most promising. `category` decides which `specifics` and `recovery_options` there are.

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
    """The variables of the failing frame."""
    excerpt: tuple[SourceLine, ...] = ()
    """The lines around the failing one."""
    specifics: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Facts that only failures of this category have."""
    execution_context: ExecutionContext | None = None
    partial_results: Mapping[str, Json] | None = None
    stderr: str = ""
    """The end of the program's standard error."""
    recovery_options: tuple[RecoveryOption, ...] = ()
    security_violation: Mapping[str, Json] | None = None
    system_state: Mapping[str, Json] = field(default_factory=dict[str, Json])

    @classmethod
    def from_exception(
        cls, exc: BaseException, *, source: str | None = None, filename: str = "<string>"
    ) -> ErrorReport:
        """Return the report of an exception, raised in any program.

        *source* is the text that was compiled as *filename*, for code that came from no file. The category is what
        `resilience.classify` says. An exception whose attributes raise gets a report as well.
        """
        from resilience.report._from_exception import report_of

        return report_of(exc, source=source, filename=filename)

    def to_dict(self, level: int = 3) -> dict[str, Json]:
        """Return the report as JSON-compatible values, in one of four levels of detail.

        1 is a summary; 2 adds location, calls and cause; 3 adds variables, suggestions and partial results; 4 adds the
        state of the system. Each level includes the one before it.
        """
        from resilience.report._levels import report_dict

        return report_dict(self, level)

    def to_json(self, level: int = 3, *, indent: int | None = None) -> str:
        """Return `to_dict` as a JSON text, on one line where *indent* is None. It may hold characters beyond ASCII."""
        import json

        return json.dumps(self.to_dict(level), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_llm(self, max_tokens: int = _MAX_TOKENS) -> str:
        """Return the report as text for a model, in at most *max_tokens* by a cautious estimate.

        Its parts are the summary, the line of the program with its neighbours, the advice, the values that matter and
        the program's own calls. It is not longer than the traceback plus a third, to which the ends of standard error
        and of the output are added, without what a progress bar overwrote. The same report gives the same text.
        """
        from resilience.report._llm import llm_text

        return llm_text(self, max_tokens)

    def to_mcp(self, level: int = 3, *, max_tokens: int = _MAX_TOKENS) -> dict[str, Json]:
        """Return the report as the result of a tool call of the Model Context Protocol.

        Its text is that of `to_llm`, its structured content that of `to_dict`, and ``isError`` is always true.
        """
        return {
            "isError": True,
            "content": [{"type": "text", "text": self.to_llm(max_tokens)}],
            "structuredContent": self.to_dict(level),
        }

    def render(self) -> str:
        """Return the report as text for people: source, cause, advice. Control characters in it are escaped."""
        from resilience.report._text import rendered

        return rendered(self)

    def __str__(self) -> str:
        return self.render()
