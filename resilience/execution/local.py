"""Execution in a process on this machine."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from resilience._validation import parse_count
from resilience.execution._event_emitter import SuccessReporting
from resilience.execution._job import Run
from resilience.execution._worker_pool import Spares
from resilience.execution.executor import ExecutionReport, Listener
from resilience.execution.request import ExecutionRequest

if TYPE_CHECKING:
    from resilience.execution.streaming import EventStream

__all__ = ["SubprocessExecutor"]

_QUICK = 0.01
"""Seconds that news of an execution is waited for without a thread."""


class SubprocessExecutor:
    r"""Executes Python code in a process of its own on this machine, within limits.

    *python* is the interpreter, this one by default. *spares* processes wait for code, so that it need not wait for
    them; the first is started after the first execution, or by `warm`. Use it from any number of threads and tasks, and
    close it, best as a context manager: nothing of it is left then.

    >>> with SubprocessExecutor() as executor:
    ...     report = executor.execute_sync("total = sum([1, 2, 3])\nprint('added')\ntotal * 2")
    >>> report.success, report.execution_result.return_value, report.execution_result.stdout
    (True, 12, 'added\n')

    The limits are guard rails for code that means well, not a security boundary. On macOS the system does not keep the
    limit of memory. Windows is not supported: execution raises `ContainerConfigurationError` there.
    """

    def __init__(self, *, python: str | os.PathLike[str] | None = None, spares: int = 1) -> None:
        self._python = sys.executable if python is None else os.fspath(python)
        self._spares = Spares(self._python, parse_count("spares", spares, least=0))

    def execute_sync(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Execute the code of *request*, and return how it went: success and failure are both data.

        *on_event* is told what happens while it happens, in this thread.
        """
        report = self._carry_out(self._run(request), on_event, None)
        assert report is not None, "only an execution that can be woken is cancelled"
        return report

    async def execute(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Do what `execute_sync` does, and let other tasks run meanwhile. Cancelled, it kills the process first.

        *on_event* is called in this event loop.
        """
        from resilience.execution._waiting import in_thread, news

        run = self._run(request)
        try:
            control = None if on_event is not None else run.begin()
            if control is not None:  # most programs are over before a thread would have begun
                for _ in range(2):  # a hello, or a warning, may come first
                    await news(control, _QUICK)
                    if run.is_over():
                        break
                report = run.finish_at_once()
                if report is not None:
                    return report
            return await in_thread(lambda listener, wake: self._carry_out(run, listener, wake), on_event)
        except BaseException:
            run.give_up()
            raise

    def stream(self, request: ExecutionRequest | str, *, most: int = 1000) -> EventStream:
        """Execute the code of *request*, and return its events while it runs, as an async iterator.

        At most *most* of them wait to be taken; see `EventStream`.

        >>> import anyio
        >>> async def main() -> list[str]:
        ...     async with SubprocessExecutor() as executor, executor.stream("print('hi')") as events:
        ...         return [event.kind async for event in events]
        >>> list(dict.fromkeys(anyio.run(main)))
        ['start', 'stdout', 'result']
        """
        from resilience.execution.streaming import EventStream

        run = self._run(request)
        return EventStream(lambda listener, wake: self._carry_out(run, listener, wake), parse_count("most", most))

    def warm(self) -> None:
        """Wait until the spares are ready."""
        self._spares.fill()

    def close(self) -> None:
        """End all processes and wait until nothing is left of them. Executing after that raises RuntimeError."""
        self._spares.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from resilience.execution._waiting import closed

        await closed(self.close)

    def _run(self, request: ExecutionRequest | str) -> Run:
        if self._spares.is_closed:
            raise RuntimeError("this executor is closed")
        return Run(ExecutionRequest.of(request), self._spares)

    def _carry_out(self, run: Run, listener: Listener | None, wake: int | None) -> ExecutionReport | None:
        """Execute; None where *wake* became readable, which says that nobody wants it any more."""
        tell = None if listener is None else SuccessReporting(listener)
        if tell is not None:
            tell("start")
        report = run.carry_out(tell, wake)
        if tell is not None and report is not None:
            if report.error is not None:
                tell("error", report.error.error_summary, report.error.line_number)
            else:
                value = report.execution_result.return_value
                tell("result", "" if value is None else str(value))
        return report
