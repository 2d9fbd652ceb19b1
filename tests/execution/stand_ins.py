"""Executors whose answers are known, for tests of what is built on executors."""

from __future__ import annotations

import datetime

from anyio.lowlevel import checkpoint

from resilience import ErrorCategory
from resilience.contrib.executor import ContainerConnectivityError
from resilience.execution.executor import ExecutionReport, ExecutionResult, Listener
from resilience.execution.request import ExecutionRequest
from resilience.report._explain import explain
from resilience.report.failure import Failure

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def report(value: object = None, category: str | None = None, message: str = "no", number: int = 1) -> ExecutionReport:
    """The report of a success with a value, or of a failure."""
    error = None
    if category is not None:
        leaf = ErrorCategory(category)
        error = explain(Failure(category=leaf, error_type="Failed", message=message, specifics={"timeout_limit": 5}))
    return ExecutionReport(
        execution_id=f"exec_{number}",
        success=error is None,
        execution_result=ExecutionResult(return_value=value),
        timestamp=NOON,
        error=error,
    )


def refused() -> ContainerConnectivityError:
    return ContainerConnectivityError("connection refused", "localhost", 8888)


class Known:
    """Answers with the steps of a script, one each time: an exception is raised."""

    def __init__(self, *script: ExecutionReport | Exception) -> None:
        self._script = list(script)
        self.seen: list[ExecutionRequest] = []

    def _next(self, request: ExecutionRequest | str) -> ExecutionReport:
        self.seen.append(ExecutionRequest.of(request))
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def execute_sync(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        return self._next(request)

    async def execute(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        await checkpoint()
        return self._next(request)
