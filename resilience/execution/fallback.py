"""Executor with a fallback: local execution while the remote executor cannot be reached.

A failure to run programs is another thing than a program that fails: only the former is retried, opens the circuit
and leads to the local executor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

from resilience._decorators import fallback, retry_on_category
from resilience.categories import CategoryLike, ErrorCategory
from resilience.circuits import CircuitBreaker
from resilience.execution.executor import ExecutionReport, Executor, Listener
from resilience.execution.request import ExecutionRequest
from resilience.policies.degraded import Degraded
from resilience.report.model import ErrorReport

__all__ = ["FallbackExecutor"]

F = TypeVar("F", bound="Callable[..., object]")
_Outcome = ExecutionReport | Degraded[ExecutionReport]


class FallbackExecutor:
    """Executes with *remote*, and with *local* when that cannot be reached: infrastructure fails, code does not.

    An execution by *remote* is tried *attempts* times, with waits that grow from *base_delay* (by default the
    category's own), through *circuit*: a `CircuitBreaker`, or the name of one with its default settings, which stops
    asking what fails all the time. What the code raises is no failure of *remote*: it is in the report.

    The report says in ``ran_on`` which of the two it was, and in ``tried`` what failed before. A failure of *local*
    reaches the caller, with that of *remote* as its context. So do at once failures of *remote* that are not
    infrastructure's, such as a wrong configuration. It closes neither.

    >>> from resilience.contrib.executor import ContainerConnectivityError
    >>> class Gone:
    ...     def execute_sync(self, request, *, on_event=None):
    ...         raise ContainerConnectivityError("connection refused", "localhost", 8888)
    >>> class Here:
    ...     def execute_sync(self, request, *, on_event=None):
    ...         import datetime
    ...         from resilience.execution.executor import ExecutionResult
    ...         return ExecutionReport(execution_id="1", success=True, execution_result=ExecutionResult(return_value=2),
    ...                                timestamp=datetime.datetime.now(datetime.UTC))
    >>> report = FallbackExecutor(Gone(), Here(), base_delay=0, attempts=2).execute_sync("1 + 1")
    >>> report.ran_on, report.execution_result.return_value, [each.error_type for each in report.tried]
    ('local', 2, ['ContainerConnectivityError', 'ContainerConnectivityError'])
    """

    def __init__(
        self,
        remote: Executor,
        local: Executor,
        *,
        circuit: str | CircuitBreaker = "remote execution",
        attempts: int = 3,
        base_delay: float | timedelta | None = None,
    ) -> None:
        self.circuit: CircuitBreaker = circuit if isinstance(circuit, CircuitBreaker) else CircuitBreaker(circuit)
        retry = retry_on_category(ErrorCategory.INFRASTRUCTURE, attempts=attempts, base_delay=base_delay)

        def guarded(function: F, instead: F) -> F:
            chain: dict[CategoryLike, Callable[..., object]] = {
                ErrorCategory.INFRASTRUCTURE | ErrorCategory.REJECTED: instead
            }
            # The runner of the report takes the substitute out of its `Degraded` again.
            return cast("F", fallback(chain=chain, degraded=True)(retry(self.circuit(function))))

        def execute_remotely_sync(errand: _PendingExecution) -> _Outcome:
            with errand.noting_failures():
                return remote.execute_sync(errand.request, on_event=errand.on_event)

        def execute_locally_sync(errand: _PendingExecution) -> _Outcome:
            return local.execute_sync(errand.request, on_event=errand.on_event)

        async def execute_remotely(errand: _PendingExecution) -> _Outcome:
            with errand.noting_failures():
                return await remote.execute(errand.request, on_event=errand.on_event)

        async def execute_locally(errand: _PendingExecution) -> _Outcome:
            return await local.execute(errand.request, on_event=errand.on_event)

        self._execute_sync = guarded(execute_remotely_sync, execute_locally_sync)
        self._execute = guarded(execute_remotely, execute_locally)

    async def execute(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Execute the code of *request* with the one of the two that can; return its report."""
        errand = _PendingExecution(ExecutionRequest.of(request, variables), on_event)
        return errand.report_of(await self._execute(errand))

    def execute_sync(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Do what `execute` does, and block until it has."""
        errand = _PendingExecution(ExecutionRequest.of(request, variables), on_event)
        return errand.report_of(self._execute_sync(errand))

    def __repr__(self) -> str:
        return f"<FallbackExecutor: {self.circuit!r}>"


@dataclasses.dataclass(frozen=True, slots=True)
class _PendingExecution:
    """One execution in flight: its request, its listener and the failures so far."""

    request: ExecutionRequest
    on_event: Listener | None
    failures: list[Exception] = dataclasses.field(default_factory=list[Exception])

    @contextmanager
    def noting_failures(self) -> Generator[None]:
        """Record the exception of the block."""
        try:
            yield
        except Exception as error:
            self.failures.append(error)
            raise

    def report_of(self, done: _Outcome) -> ExecutionReport:
        """Return the report with the failures before it."""
        failures, report, where = list(self.failures), done, "remote"
        if isinstance(report, Degraded):
            # An open circuit rejects the call before it is made, so its error is not recorded yet.
            failures += [report.error] if all(report.error is not each for each in failures) else []
            report, where = report.value, "local"
        tried = [ErrorReport.from_exception(error) for error in failures]
        return dataclasses.replace(report, ran_on=where, tried=(*tried, *report.tried))
