"""Session: executions that share their variables, in one worker process or kernel."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from resilience.categories import ErrorCategory
from resilience.execution.executor import ExecutionReport, Listener
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy

__all__ = ["ExecutionSession"]

_MAX_NAMED = 10


@dataclasses.dataclass(frozen=True, slots=True)
class SessionOutcome:
    """One execution of a session, as its process has left it."""

    report: ExecutionReport
    has_run: bool
    """Whether the program was started. Code that violates the policy is not."""
    is_fresh: bool
    """Whether the process was new, without the state of earlier executions."""
    names: Sequence[str] | None
    """Names that are defined afterwards; None if the process has ended."""


@dataclasses.dataclass(frozen=True, slots=True)
class SessionDefaults:
    """Options of a session for the requests that do not have them."""

    security_level: SecurityPolicy | SecurityLevel | str
    allowed_imports: Sequence[str]
    working_directory: str | os.PathLike[str] | None

    def request(
        self, request: ExecutionRequest | str, variables: Mapping[str, object] | None = None
    ) -> ExecutionRequest:
        """Return *request* with these options; of a request only the directory is set, if it has none."""
        if isinstance(request, str):
            request = ExecutionRequest(
                request, security_level=self.security_level, allowed_imports=self.allowed_imports
            )
        found = ExecutionRequest.of(request, variables)
        if self.working_directory is None or found.working_directory is not None:
            return found
        return dataclasses.replace(found, working_directory=self.working_directory)


class SessionProcess(Protocol):
    """The process behind a session, and how to execute in it. One execution at a time."""

    def execute_sync(self, request: ExecutionRequest, number: int, on_event: Listener | None) -> SessionOutcome:
        """Execute *request* as the execution *number*, from 1 on."""
        ...

    async def execute(self, request: ExecutionRequest, number: int, on_event: Listener | None) -> SessionOutcome:
        """Do what `execute_sync` does without blocking the event loop."""
        ...

    def restart(self) -> None:
        """Forget all state."""
        ...

    def close(self) -> None:
        """End the process, or what it keeps for this session."""
        ...


class ExecutionSession:
    """Executions one after the other that share variables, functions and imports, as the cells of a notebook do.

    An executor makes it: ``with executor.session() as session``. Time and memory limits hold for each execution. A
    program that fails, or reaches its time limit, leaves what it has defined by then. A process that ends takes
    everything with it: the report of that execution, and of the first one afterwards, say in their notes what is lost,
    and `lost` has the names. `replay` executes again, in a fresh process, what has run before.

    >>> from resilience.execution import SubprocessExecutor
    >>> with SubprocessExecutor() as executor, executor.session() as session:
    ...     report = session.execute_sync("x = 5")
    ...     session.execute_sync("x + 1").execution_result.return_value
    6

    It executes one program at a time: RuntimeError while another one runs.
    """

    def __init__(self, process: SessionProcess, defaults: SessionDefaults) -> None:
        self._process = process
        self._make_request = defaults.request
        self._busy = threading.Lock()
        self._number = 0
        self._done: list[ExecutionRequest] = []
        self._names: tuple[str, ...] = ()
        self._lost: tuple[str, ...] = ()
        self._is_closed = False

    @property
    def lost(self) -> tuple[str, ...]:
        """Names that were defined in a process that has ended, and have not been restored by `replay`."""
        return self._lost

    def execute_sync(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Execute the code of *request* with the variables of the executions before; return the report.

        *variables* are set before. Raises what `execute_sync` of the executor raises, and RuntimeError after `close`.
        """
        wanted = self._make_request(request, variables)
        with self._execution():
            return self._settled(wanted, self._process.execute_sync(wanted, self._number, on_event))

    async def execute(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Do what `execute_sync` does without blocking the event loop, on asyncio or trio.

        Cancelled in a worker process, it kills that process: the state is lost.
        """
        wanted = self._make_request(request, variables)
        with self._execution():
            return self._settled(wanted, await self._process.execute(wanted, self._number, on_event))

    def replay_sync(self) -> list[ExecutionReport]:
        """Begin a fresh process, and execute in it again, in order, what has run so far; return the reports.

        Executions that ended the process, or reached their time limit, are left out. Effects outside the process happen
        again.
        """
        return [self.execute_sync(each) for each in self._begin_again()]

    async def replay(self) -> list[ExecutionReport]:
        """Do what `replay_sync` does without blocking the event loop."""
        return [await self.execute(each) for each in self._begin_again()]

    def close(self) -> None:
        """End the session and its process. Executing after that raises RuntimeError."""
        self._is_closed = True
        self._process.close()

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
        from resilience.execution._waiting import finish_in_thread

        await finish_in_thread(self.close)

    def __repr__(self) -> str:
        return f"<ExecutionSession: {len(self._done)} executions, {len(self._names)} names>"

    def _execution(self) -> _OneAtATime:
        if self._is_closed:
            raise RuntimeError("this session is closed")
        self._number += 1
        return _OneAtATime(self._busy)

    def _begin_again(self) -> list[ExecutionRequest]:
        """Forget all state and return the requests to execute again."""
        with self._execution():
            self._process.restart()
        done, self._done = self._done, []
        self._names, self._lost = (), ()
        return done

    def _settled(self, request: ExecutionRequest, outcome: SessionOutcome) -> ExecutionReport:
        """Record what the execution has left, and return its report with notes of what is lost."""
        if not outcome.has_run:
            return outcome.report
        notes: list[str] = []
        if outcome.is_fresh and (self._names or self._lost):
            self._lost = self._names or self._lost
            notes.append(f"this execution began without {_listed(self._lost)}, lost with an earlier process: {_ADVICE}")
        if outcome.names is None:
            self._lost, self._names = self._names or self._lost, ()
            notes.append(f"the session's process has ended, and {_listed(self._lost)} with it: {_ADVICE}")
        else:
            self._names = tuple(outcome.names)
            if outcome.report.category is not ErrorCategory.EXECUTION_TIMEOUT:
                self._done.append(request)
        return dataclasses.replace(outcome.report, notes=(*outcome.report.notes, *notes)) if notes else outcome.report


_ADVICE = "replay() executes again what had run before"


class _OneAtATime:
    """A block of one execution. Raises RuntimeError if another one is in it."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("this session is executing: await that first, or use another session")

    def __exit__(self, *raised: object) -> None:
        self._lock.release()


def _listed(names: Sequence[str]) -> str:
    """Return some of the names as a text.

    >>> _listed(["x", "y"]), _listed([])
    ('x, y', 'its state')
    """
    if not names:
        return "its state"
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
