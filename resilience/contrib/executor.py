"""Errors of a service that generates code and executes it.

    PythonExecutorException             the base
    ├── ContainerConnectivityError      the container cannot be reached: run the same code again
    ├── ContainerConfigurationError     its settings are wrong and have to be corrected
    ├── CodeGenerationError             no valid code was generated
    ├── CodeSyntaxError                 the code cannot be parsed: generate it again
    ├── CodeRuntimeError                the code has failed: generate it again
    ├── ExecutionTimeoutError           the code ran for too long: report it to the user
    ├── MaxAttemptsExceededError        all attempts have failed: report it to the user
    └── WorkflowError                   the executor itself has failed

The category says what to do: retry INFRASTRUCTURE errors with the same code, generate other code for CODE_RELATED ones,
hand WORKFLOW ones to a person, and correct the settings for CONFIGURATION.

>>> error = ContainerConnectivityError("connection refused", "localhost", 8888)
>>> error.should_retry_execution(), error.should_retry_code_generation()
(True, False)
>>> error.get_user_message()
'Python execution environment is not reachable at localhost:8888'
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from resilience.categories import CategoryLike, ErrorCategory, combine
from resilience.errors.base import ResilienceError

__all__ = [
    "CodeGenerationError",
    "CodeRuntimeError",
    "CodeSyntaxError",
    "ContainerConfigurationError",
    "ContainerConnectivityError",
    "ExecutionTimeoutError",
    "MaxAttemptsExceededError",
    "Operation",
    "PythonExecutorException",
    "Stage",
    "WorkflowError",
]

Operation = Literal["code_generation", "execution", "connectivity"]
"""The operation that was repeated."""
Stage = Literal["code_generation", "static_analysis", "execution", "orchestration"]
"""The stage of the executor's work."""


class PythonExecutorException(ResilienceError, code="PYX-E000"):
    """The base class of the executor's errors. Raise one of its subclasses, which have codes and categories.

    *category* may be a group here, such as INFRASTRUCTURE. *technical_details* are for debugging, and the same dict as
    `details`; *folder_path* is where the code was executed.

    >>> error = PythonExecutorException("no disk", ErrorCategory.INFRASTRUCTURE, folder_path="/srv/run-7")
    >>> str(error), error.is_infrastructure_error(), error.folder_path.name
    ('no disk', True, 'run-7')
    """

    def __init__(
        self,
        message: str,
        category: CategoryLike,
        technical_details: Mapping[str, object] | None = None,
        folder_path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(message, details=technical_details or {})
        self.message = message
        given = combine("category", [category])
        if given is not type(self).category:
            self.category = given
        self.folder_path: Path | None = None if folder_path is None else Path(folder_path)

    @property
    def technical_details(self) -> dict[str, object]:
        """Details of the failure, for debugging."""
        return self.details

    @technical_details.setter
    def technical_details(self, details: dict[str, object]) -> None:
        self.details = details

    def is_infrastructure_error(self) -> bool:
        """Return whether the environment of the code has failed, and not the code."""
        return self.category in ErrorCategory.INFRASTRUCTURE

    def is_code_error(self) -> bool:
        """Return whether the code itself has failed."""
        return self.category in ErrorCategory.CODE_RELATED

    def is_workflow_error(self) -> bool:
        """Return whether a person has to decide how to go on."""
        return self.category in ErrorCategory.WORKFLOW

    def should_retry_execution(self) -> bool:
        """Return whether to execute the same code again, after a wait."""
        return self.is_infrastructure_error()

    def should_retry_code_generation(self) -> bool:
        """Return whether to generate the code again, with this error as feedback."""
        return self.is_code_error()

    def get_user_message(self) -> str:
        """Return a sentence for the user, without technical details."""
        return self.user_message


class ContainerConnectivityError(PythonExecutorException, code="PYX-E001", category="network"):
    """The container that executes the code cannot be reached at *host* and *port*."""

    def __init__(
        self, message: str, host: str, port: int, technical_details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message, ErrorCategory.NETWORK, technical_details)
        self.host = host
        self.port = port

    def get_user_message(self) -> str:
        """Return a sentence for the user."""
        return f"Python execution environment is not reachable at {self.host}:{self.port}"


class ContainerConfigurationError(PythonExecutorException, code="PYX-E002", category="configuration"):
    """A setting of the container is missing or wrong."""

    def __init__(self, message: str, technical_details: Mapping[str, object] | None = None) -> None:
        super().__init__(message, ErrorCategory.CONFIGURATION, technical_details)


class CodeGenerationError(PythonExecutorException, code="PYX-E003", category="generation"):
    """The model has generated no valid code; *error_chain* has the failure of each attempt."""

    def __init__(
        self,
        message: str,
        generation_attempt: int,
        error_chain: Sequence[str],
        technical_details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, ErrorCategory.GENERATION, technical_details)
        self.generation_attempt = generation_attempt
        self.error_chain: list[str] = list(error_chain)


class CodeSyntaxError(PythonExecutorException, code="PYX-E004", category="syntax_error"):
    """The code cannot be parsed."""

    def __init__(
        self, message: str, syntax_issues: Sequence[str], technical_details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message, ErrorCategory.SYNTAX, technical_details)
        self.syntax_issues: list[str] = list(syntax_issues)


class CodeRuntimeError(PythonExecutorException, code="PYX-E005", category="runtime_error"):
    """The code has raised an error."""

    def __init__(
        self,
        message: str,
        traceback_info: str,
        execution_attempt: int,
        technical_details: Mapping[str, object] | None = None,
        folder_path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(message, ErrorCategory.RUNTIME, technical_details, folder_path)
        self.traceback_info = traceback_info
        self.execution_attempt = execution_attempt


class ExecutionTimeoutError(PythonExecutorException, code="PYX-E006", category="timeout_error"):
    """The code was still running after *timeout_seconds*.

    >>> str(ExecutionTimeoutError(30))
    'Python code execution timeout after 30 seconds'
    """

    def __init__(
        self,
        timeout_seconds: float,
        technical_details: Mapping[str, object] | None = None,
        folder_path: str | os.PathLike[str] | None = None,
    ) -> None:
        message = f"Python code execution timeout after {timeout_seconds} seconds"
        super().__init__(message, ErrorCategory.EXECUTION_TIMEOUT, technical_details, folder_path)
        self.timeout_seconds = timeout_seconds


class MaxAttemptsExceededError(PythonExecutorException, code="PYX-E007", category="attempts_exhausted"):
    """All *max_attempts* attempts have failed; *error_chain* has the failure of each.

    >>> str(MaxAttemptsExceededError("execution", 3, ["NameError", "NameError", "KeyError"]))
    'Maximum execution attempts (3) exceeded'
    """

    def __init__(
        self,
        operation_type: Operation,
        max_attempts: int,
        error_chain: Sequence[str],
        technical_details: Mapping[str, object] | None = None,
        folder_path: str | os.PathLike[str] | None = None,
    ) -> None:
        message = f"Maximum {operation_type} attempts ({max_attempts}) exceeded"
        super().__init__(message, ErrorCategory.EXHAUSTED, technical_details, folder_path)
        self.operation_type: Operation = operation_type
        self.max_attempts = max_attempts
        self.error_chain: list[str] = list(error_chain)


class WorkflowError(PythonExecutorException, code="PYX-E008", category="internal"):
    """The executor itself has failed at *stage*, not the code."""

    def __init__(
        self,
        message: str,
        stage: Stage,
        original_exception: BaseException | None = None,
        technical_details: Mapping[str, object] | None = None,
        folder_path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(message, ErrorCategory.INTERNAL, technical_details, folder_path)
        self.stage: Stage = stage
        self.original_exception = original_exception

    def get_user_message(self) -> str:
        """Return a sentence for the user."""
        return f"An unexpected error occurred in the Python executor during {self.stage}"
