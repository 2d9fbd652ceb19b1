"""State of one run of the loop ``generate -> analyse -> execute``: its attempts, failures and limits.

It performs no I/O by itself and calls no generator: `generation` does, sync or async, and reports each step to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator
from typing import NoReturn

from resilience._decorators import retry_on_category
from resilience.categories import ErrorCategory
from resilience.classification import classify
from resilience.contrib.executor import (
    CodeGenerationError,
    CodeRuntimeError,
    MaxAttemptsExceededError,
    Operation,
    Stage,
    WorkflowError,
)
from resilience.errors.base import ResilienceError
from resilience.execution._markdown import extract_code
from resilience.execution._precheck import precheck
from resilience.execution._to_exception import to_exception
from resilience.execution.executor import ExecutionReport
from resilience.execution.feedback import Feedback
from resilience.execution.history import ErrorHistory
from resilience.execution.request import ExecutionRequest
from resilience.policies.retry import Retry
from resilience.policies.retry_report import CallReport, report_of
from resilience.policies.revision import Arguments
from resilience.policies.stop_reason import StopReason
from resilience.report.model import ErrorReport

__all__ = ["Draft", "GeneratedRun", "GenerationLimits", "GenerationState"]

_REVISED_CATEGORIES = ErrorCategory.CODE_RELATED | ErrorCategory.SECURITY
"""Failures caused by the code, which must be generated again. Violations too: the same code would be blocked again."""
_BUG_CATEGORIES = ErrorCategory.UNKNOWN | ErrorCategory.INTERNAL | ErrorCategory.CODE_RELATED
"""Categories of foreign exceptions that are bugs of the generator or the executor, such as a NameError."""
_MAX_FEEDBACK_REPORTS = 3  # failures
_EXHAUSTED = (StopReason.ATTEMPTS, StopReason.NESTED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedRun:
    """Result of a run."""

    code: str
    """The code that was generated last."""
    report: ExecutionReport | None
    """Report of the last execution; None if there was none."""
    generations: int
    """Number of calls of the generator."""
    executions: int
    """Number of executions, successful or not."""
    reports: tuple[ErrorReport, ...]
    """All failures in order: of the code, the generator and the executor."""

    @property
    def error_chain(self) -> tuple[str, ...]:
        """All failures, one line each."""
        return tuple(each.error_summary for each in self.reports)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GenerationLimits:
    """Limits of each kind of attempt."""

    generations: int
    executions: int
    connections: int
    base_delay: float | None


class Draft:
    """One generated program. It is kept when infrastructure fails and replaced when the code fails."""

    __slots__ = ("code",)

    def __init__(self) -> None:
        self.code: str | None = None


class GenerationState:
    """State of one run: counts attempts, collects failures, and provides the retry policy of the loop."""

    def __init__(
        self, limits: GenerationLimits, request: ExecutionRequest | None, history: ErrorHistory | None
    ) -> None:
        self._limits = limits
        self._request = request
        self._history = history
        self._code = ""
        self._report: ExecutionReport | None = None
        self._generations = 0
        self._executions = 0
        self._reports: list[ErrorReport] = []
        self._caused_by_code: list[ErrorReport] = []
        self._unsaved: list[tuple[ErrorReport, str]] = []
        self._recorded: Exception | None = None
        self._exhausted: Operation = "code_generation"

    def policy(self) -> Retry:
        """Return the retry policy that decides the next step after a failure."""
        limits = self._limits
        return retry_on_category(
            ErrorCategory.INFRASTRUCTURE,
            attempts=limits.connections,
            base_delay=limits.base_delay,
            revise=self._revise,
            revise_on=_REVISED_CATEGORIES,
            max_revisions=limits.generations,  # one more than allowed: `_revise` stops earlier and knows the limit
            no_progress=limits.generations + limits.connections,  # only the limits end the loop
        )

    def _revise(self, call: Arguments, report: CallReport) -> dict[str, Draft] | None:
        if self._executions >= self._limits.executions:
            self._exhausted = "execution"
            return None
        if self._generations >= self._limits.generations:
            self._exhausted = "code_generation"
            return None
        return {"draft": self.draft()}

    # -- steps ----------------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        """Start another draft."""
        self._generations += 1
        return Draft()

    def feedback(self) -> Feedback:
        """Return the feedback for the generator. May wait for the history's file."""
        self.save_failures()
        reports = tuple(self._caused_by_code[-_MAX_FEEDBACK_REPORTS:])
        advice = self._history.advice(reports[-1]) if self._history is not None and reports else ()
        return Feedback(generation=self._generations, code=self._code, reports=reports, advice=advice)

    def generated(self, draft: Draft, answer: object) -> None:
        """Take the code out of an answer. Raises `CodeGenerationError` if there is none, or it was cut off."""
        if not isinstance(answer, str):
            raise TypeError(f"generate() returned {type(answer).__name__}: give the source as str")
        found = extract_code(answer)
        problem = found.problem or ("" if found.code.strip() else "the generator returned no code")
        if problem:
            raise CodeGenerationError(problem, self._generations, self.run().error_chain)
        draft.code = self._code = found.code

    def precheck(self, draft: Draft) -> ExecutionRequest:
        """Return the request for the draft's code. Raises the error of code that fails the precheck."""
        assert draft.code is not None, "it was generated"
        request = (
            ExecutionRequest(draft.code)
            if self._request is None
            else dataclasses.replace(self._request, code=draft.code)
        )
        failed = precheck(request)
        if failed is not None:
            self._fail(failed)
        return request

    def executed(self, report: ExecutionReport) -> GeneratedRun:
        """Record the report of an execution. Raises its error if it failed."""
        self._executions += 1
        self._report = report
        for failure in report.tried:
            self._record(failure, report.execution_id)
        if report.error is not None:
            self._fail(report)
        return self.run()

    def _fail(self, report: ExecutionReport) -> NoReturn:
        failure = report.error
        assert failure is not None
        self._record(failure, report.execution_id)
        error = self._recorded = to_exception(report, failure)
        if isinstance(error, CodeRuntimeError):
            error.execution_attempt = self._executions
        raise error

    def _record(self, failure: ErrorReport, execution_id: str = "") -> None:
        self._reports.append(failure)
        if failure.category in _REVISED_CATEGORIES:
            self._caused_by_code.append(failure)
        self._unsaved.append((failure, execution_id))

    def save_failures(self) -> None:
        """Write new failures to the history. May wait for its file."""
        while self._unsaved:
            failure, execution_id = self._unsaved.pop(0)
            if self._history is not None:
                self._history.record(failure, execution_id)

    def _record_error(self, error: Exception) -> None:
        self._recorded = error
        self._record(ErrorReport.from_exception(error))

    @contextlib.contextmanager
    def stage(self, stage: Stage) -> Generator[None]:
        """Record an exception of the block, and raise a `WorkflowError` in the place of a bug."""
        try:
            yield
        except Exception as error:
            if error is self._recorded:
                raise
            if isinstance(error, ResilienceError) or classify(error) not in _BUG_CATEGORIES:
                self._record_error(error)
                raise
            bug = WorkflowError(f"{type(error).__name__} during {stage}", stage, error)
            bug.__cause__ = error  # before its report is built
            self._record_error(bug)
            raise bug from error

    # -- result ---------------------------------------------------------------------------------------------------

    def run(self) -> GeneratedRun:
        """Return the result so far."""
        return GeneratedRun(
            code=self._code,
            report=self._report,
            generations=self._generations,
            executions=self._executions,
            reports=tuple(self._reports),
        )

    def final(self, error: Exception) -> Exception:
        """Return the exception to raise for the failure that ended the run: itself, or `MaxAttemptsExceededError`."""
        call = report_of(error)
        if call is None:
            return error
        if call.reason is StopReason.NOT_REVISED:
            limit = self._limits.executions if self._exhausted == "execution" else self._limits.generations
            return self._exceeded(self._exhausted, limit)
        if call.reason in _EXHAUSTED and classify(error) in ErrorCategory.INFRASTRUCTURE:
            # Fewer than the limit if a nested retry was exhausted.
            return self._exceeded("connectivity", min(self._limits.connections, call.made - call.revisions))
        return error

    def _exceeded(self, what: Operation, limit: int) -> MaxAttemptsExceededError:
        return MaxAttemptsExceededError(what, limit, self.run().error_chain)
