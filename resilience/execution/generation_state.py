"""One run of the loop ``generate -> analyse -> execute``: what it has come to so far, and what is next."""

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
from resilience.execution._markdown import strip_fences
from resilience.execution._precheck import screen
from resilience.execution._to_exception import error_of
from resilience.execution.executor import ExecutionReport
from resilience.execution.feedback import Feedback
from resilience.execution.history import ErrorHistory
from resilience.execution.request import ExecutionRequest
from resilience.policies.retry import Retry
from resilience.policies.retry_report import CallReport, report_of
from resilience.policies.revision import Arguments
from resilience.policies.stop_reason import StopReason
from resilience.report.model import ErrorReport

__all__ = ["Draft", "GeneratedRun", "Limits", "Loop"]

_REVISED = ErrorCategory.CODE_RELATED | ErrorCategory.SECURITY
"""What the code is to blame for: it has to be written anew. What is blocked is, too, for it stays blocked."""
_BUGS = ErrorCategory.UNKNOWN | ErrorCategory.INTERNAL | ErrorCategory.CODE_RELATED
"""Of errors that are not the toolkit's: bugs of the generator or the executor, such as a NameError."""
_TOLD = 3  # failures
_GIVEN_UP = (StopReason.ATTEMPTS, StopReason.NESTED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedRun:
    """What a run has come to."""

    code: str
    """What was generated last."""
    report: ExecutionReport | None
    """Of the last execution; None where there was none."""
    generations: int
    """How many times code was asked for."""
    executions: int
    """How many times code was executed, well or not."""
    reports: tuple[ErrorReport, ...]
    """Every failure, in order: of the code, of the generator, and of what was to execute it."""

    @property
    def error_chain(self) -> tuple[str, ...]:
        """Every failure in a line."""
        return tuple(each.error_summary for each in self.reports)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often each may be tried."""

    generations: int
    executions: int
    connections: int
    base_delay: float | None


class Draft:
    """One piece of code on its way. It stays the same when infrastructure fails, and is made anew when it fails."""

    __slots__ = ("code",)

    def __init__(self) -> None:
        self.code: str | None = None


class Loop:
    """The state of one run."""

    def __init__(self, limits: Limits, request: ExecutionRequest | None, history: ErrorHistory | None) -> None:
        self._limits = limits
        self._request = request
        self._history = history
        self._code = ""
        self._report: ExecutionReport | None = None
        self._generations = 0
        self._executions = 0
        self._reports: list[ErrorReport] = []
        self._blamed: list[ErrorReport] = []
        self._unkept: list[tuple[ErrorReport, str]] = []
        self._noted: Exception | None = None
        self._ran_out: Operation = "code_generation"

    def policy(self) -> Retry:
        """Return the one policy that decides what comes after a failure."""
        limits = self._limits
        return retry_on_category(
            ErrorCategory.INFRASTRUCTURE,
            attempts=limits.connections,
            base_delay=limits.base_delay,
            revise=self._revise,
            revise_on=_REVISED,
            max_revisions=limits.generations,  # one more than there may be: `_revise` knows why it gives up
            no_progress=limits.generations + limits.connections,  # limits alone end it
        )

    def _revise(self, call: Arguments, report: CallReport) -> dict[str, Draft] | None:
        if self._executions >= self._limits.executions:
            self._ran_out = "execution"
            return None
        if self._generations >= self._limits.generations:
            self._ran_out = "code_generation"
            return None
        return {"draft": self.draft()}

    # -- the steps -----------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        """Begin another piece of code."""
        self._generations += 1
        return Draft()

    def feedback(self) -> Feedback:
        """Return what the generator is told. May wait for the file of the history."""
        self.keep()
        reports = tuple(self._blamed[-_TOLD:])
        advice = self._history.advice(reports[-1]) if self._history is not None and reports else ()
        return Feedback(generation=self._generations, code=self._code, reports=reports, advice=advice)

    def generated(self, draft: Draft, answer: object) -> None:
        """Take what the generator returned. Raises `CodeGenerationError` where there is no code in it."""
        if not isinstance(answer, str):
            raise TypeError(f"generate() returned {type(answer).__name__}: give the source as str")
        code = strip_fences(answer)
        if not code.strip():
            raise CodeGenerationError("the generator returned no code", self._generations, self.run().error_chain)
        draft.code = self._code = code

    def screened(self, draft: Draft) -> ExecutionRequest:
        """Return what is to be executed. Raises the error of code whose source alone shows that it fails."""
        assert draft.code is not None, "it was generated"
        request = (
            ExecutionRequest(draft.code)
            if self._request is None
            else dataclasses.replace(self._request, code=draft.code)
        )
        refused = screen(request)
        if refused is not None:
            self._fail(refused)
        return request

    def executed(self, report: ExecutionReport) -> GeneratedRun:
        """Take how an execution went. Raises the error that says so where it failed."""
        self._executions += 1
        self._report = report
        for failure in report.tried:
            self._note(failure, report.execution_id)
        if report.error is not None:
            self._fail(report)
        return self.run()

    def _fail(self, report: ExecutionReport) -> NoReturn:
        failure = report.error
        assert failure is not None
        self._note(failure, report.execution_id)
        error = self._noted = error_of(report, failure)
        if isinstance(error, CodeRuntimeError):
            error.execution_attempt = self._executions
        raise error

    def _note(self, failure: ErrorReport, execution_id: str = "") -> None:
        self._reports.append(failure)
        if failure.category in _REVISED:
            self._blamed.append(failure)
        self._unkept.append((failure, execution_id))

    def keep(self) -> None:
        """Put what has failed into the history. May wait for its file."""
        while self._unkept:
            failure, execution_id = self._unkept.pop(0)
            if self._history is not None:
                self._history.record(failure, execution_id)

    def _note_error(self, error: Exception) -> None:
        self._noted = error
        self._note(ErrorReport.from_exception(error))

    @contextlib.contextmanager
    def at(self, stage: Stage) -> Generator[None]:
        """Note what fails in the block, and make a `WorkflowError` of what is a bug."""
        try:
            yield
        except Exception as error:
            if error is self._noted:
                raise
            if isinstance(error, ResilienceError) or classify(error) not in _BUGS:
                self._note_error(error)
                raise
            bug = WorkflowError(f"{type(error).__name__} during {stage}", stage, error)
            bug.__cause__ = error  # before it is reported
            self._note_error(bug)
            raise bug from error

    # -- the end -------------------------------------------------------------------------------------------------

    def run(self) -> GeneratedRun:
        """Return what it has come to."""
        return GeneratedRun(
            code=self._code,
            report=self._report,
            generations=self._generations,
            executions=self._executions,
            reports=tuple(self._reports),
        )

    def final(self, error: Exception) -> Exception:
        """Return what to raise for the failure that ended it: itself, or that something was tried too often."""
        call = report_of(error)
        if call is None:
            return error
        if call.reason is StopReason.NOT_REVISED:
            most = self._limits.executions if self._ran_out == "execution" else self._limits.generations
            return self._exceeded(self._ran_out, most)
        if call.reason in _GIVEN_UP and classify(error) in ErrorCategory.INFRASTRUCTURE:
            # Fewer, where it is a retry further in that has given up.
            return self._exceeded("connectivity", min(self._limits.connections, call.made - call.revisions))
        return error

    def _exceeded(self, what: Operation, most: int) -> MaxAttemptsExceededError:
        return MaxAttemptsExceededError(what, most, self.run().error_chain)
