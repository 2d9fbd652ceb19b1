"""Executor that runs each program in a Jupyter kernel."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Self, cast

from resilience._validation import parse_duration
from resilience.contrib.executor import ContainerConnectivityError
from resilience.execution._event_emitter import final_event
from resilience.execution._jupyter.event_bridge import EventBridge
from resilience.execution._jupyter.job import KernelJob, end_session
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError
from resilience.execution._jupyter.loop_thread import BackgroundLoop
from resilience.execution._jupyter.session import wait_until_ready
from resilience.execution._waiting import finish_in_thread, run_in_thread
from resilience.execution.executor import ExecutionReport, Listener
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.execution.session import ExecutionSession, SessionDefaults, SessionOutcome

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

__all__ = ["JupyterExecutor"]

_MAX_STARTS = 3
_PORT_TAKEN = "Address already in use"  # in the last words of a kernel that could not bind one of its ports


class JupyterExecutor:
    """Executes each program in a kernel, one at a time, as a ``__main__`` of its own: programs share no variables.

    The kernel is started at the first execution: here, one called *kernel_name*; or by a *manager*, a function that
    returns an `AsyncKernelManager`; or by the Jupyter server or gateway at *gateway_url*, which is given *token*. It
    ends with `close`. A kernel that runs already is found by its *connection_file*, and left running.

    A program that still runs after its timeout is interrupted; when it goes on for *grace* seconds all the same, the
    kernel is replaced. So is one that died. *assigned_by* appears in the reports of requests that name none: who gave
    the work. The source is checked against the security level before anything runs. In
    the kernel neither the level nor the memory limit holds: they are for the kernel's host to set.

    Raises `ContainerConnectivityError` where the kernel cannot be started or reached in *startup_timeout* seconds, and
    `ContainerConfigurationError` where its name, its connection file or the server's answer is wrong. Needs
    ``pip install 'category-resilience[jupyter]'``, and a kernel such as ipykernel where it runs.

    >>> with JupyterExecutor() as executor:
    ...     executor.execute_sync("6 * 7").execution_result.return_value
    42
    """

    def __init__(
        self,
        kernel_name: str = "python3",
        *,
        connection_file: str | os.PathLike[str] | None = None,
        gateway_url: str | None = None,
        token: str | None = None,
        manager: Callable[[], AsyncKernelManager] | None = None,
        startup_timeout: float = 60.0,
        grace: float = 2.0,
        assigned_by: str = "ray",
    ) -> None:
        self._assigned_by = assigned_by
        self._startup = parse_duration("startup_timeout", startup_timeout)
        self._grace = parse_duration("grace", grace)
        given = {"connection_file": connection_file, "gateway_url": gateway_url, "manager": manager}
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise TypeError(f"{' and '.join(named)}: give one of them")
        if token is not None and gateway_url is None:
            raise TypeError("token: give it with gateway_url=, whose server it authenticates to")
        _require_jupyter_client()
        self._kernel = self._find(kernel_name, connection_file, gateway_url, token, manager)
        self._is_open = False
        self._background: BackgroundLoop | None = None
        self._lock = threading.Lock()
        self._one_at_a_time = asyncio.Lock()

    def _find(
        self,
        kernel_name: str,
        connection_file: str | os.PathLike[str] | None,
        gateway_url: str | None,
        token: str | None,
        manager: Callable[[], AsyncKernelManager] | None,
    ) -> Kernel:
        if gateway_url is not None:
            from resilience.execution._jupyter.gateway import GatewayKernel

            return GatewayKernel(gateway_url, kernel_name, token, self._startup)
        from resilience.execution._jupyter.channels import ConnectedKernel, ManagedKernel

        if connection_file is not None:
            return ConnectedKernel(connection_file)
        if manager is not None:
            return ManagedKernel(manager, inherits=True)
        from jupyter_client.manager import AsyncKernelManager

        return ManagedKernel(functools.partial(AsyncKernelManager, kernel_name=kernel_name), inherits=False)

    async def execute(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Execute the code of *request* and return the report; *on_event* is called in this event loop.

        On asyncio and trio. Cancelled, it interrupts the program first.
        """
        wanted = ExecutionRequest.of(request, variables)
        return await run_in_thread(
            lambda listener, cancelled_descriptor: self._run(wanted, listener, cancelled_descriptor), on_event
        )

    def execute_sync(
        self,
        request: ExecutionRequest | str,
        *,
        variables: Mapping[str, object] | None = None,
        on_event: Listener | None = None,
    ) -> ExecutionReport:
        """Do what `execute` does and block until it has ended; *on_event* is called in this thread."""
        report = self._run(ExecutionRequest.of(request, variables), on_event, None)
        assert report is not None, "only a cancelled execution has no report"
        return report

    def session(
        self,
        *,
        security_level: SecurityPolicy | SecurityLevel | str = SecurityLevel.STRICT,
        allowed_imports: Sequence[str] = (),
        working_directory: str | os.PathLike[str] | None = None,
    ) -> ExecutionSession:
        """Return a session: executions in the kernel that share their variables.

        Level, imports and directory are those of code that is given as a text; a request has its own, and without a
        directory of its own runs in that of the session. Other executions and sessions may use the kernel meanwhile.
        """
        return ExecutionSession(
            _KernelSession(self), SessionDefaults(security_level, allowed_imports, working_directory)
        )

    def _job(self, request: ExecutionRequest, bridge: EventBridge, session: tuple[str, int] | None = None) -> KernelJob:
        return KernelJob(self._kernel, request, bridge, self._grace, self._assigned_by, session)

    def _run(
        self, request: ExecutionRequest, on_event: Listener | None, cancelled_descriptor: int | None
    ) -> ExecutionReport | None:
        """Execute in the background loop; None if *cancelled_descriptor* became readable."""
        bridge = EventBridge(on_event)
        return self._run_job(self._job(request, bridge), bridge, cancelled_descriptor)

    def _run_job(self, job: KernelJob, bridge: EventBridge, cancelled_descriptor: int | None) -> ExecutionReport | None:
        return bridge.wait(self._background_loop().submit(self._run_in_loop(job, bridge, cancelled_descriptor)))

    async def _run_in_loop(
        self, job: KernelJob, bridge: EventBridge, cancelled_descriptor: int | None
    ) -> ExecutionReport | None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancelled: list[bool] = []

        def cancel() -> None:
            loop.remove_reader(cast("int", cancelled_descriptor))
            cancelled.append(task.cancel())

        if cancelled_descriptor is not None:
            loop.add_reader(cancelled_descriptor, cancel)
        try:
            bridge.emit("start")
            report = job.rejected() or await self._execute(job)
            bridge.emit(*final_event(report))
            return report
        except asyncio.CancelledError:
            if cancelled:
                return None
            raise
        finally:
            if cancelled_descriptor is not None:
                loop.remove_reader(cancelled_descriptor)

    async def _execute(self, job: KernelJob) -> ExecutionReport:
        async with self._one_at_a_time:
            while True:
                is_fresh = not self._is_open
                try:
                    await self._open()
                    return await job.run()
                except KernelDiedError:
                    if is_fresh:  # it was ready a moment ago, so the program has ended it
                        return job.report_of_death()
                    # It died between two executions: run the program in a new kernel.
                finally:
                    if not job.kernel_is_idle:
                        await self._close_kernel()

    def _end_session(self, name: str) -> None:
        """Have the kernel forget a session, if it is running."""
        with self._lock:
            background = self._background
        if background is not None and self._is_open:
            background.submit(self._forget(name)).result()

    async def _forget(self, name: str) -> None:
        async with self._one_at_a_time:
            with contextlib.suppress(KernelDiedError, ContainerConnectivityError):  # its state is gone anyway
                if self._is_open:
                    await end_session(self._kernel, name, self._grace)

    async def _open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        for attempt in range(1, _MAX_STARTS + 1):
            await self._kernel.open()
            try:
                await wait_until_ready(self._kernel, self._startup)
                return
            except ContainerConnectivityError:
                # jupyter_client chooses the ports, the kernel binds them later: another process can be faster.
                if attempt == _MAX_STARTS or _PORT_TAKEN not in self._kernel.stderr_tail():
                    raise
                await self._kernel.close()

    async def _close_kernel(self) -> None:
        """End the kernel, or disconnect from it; the next execution opens another one."""
        if self._is_open:
            self._is_open = False
            await self._kernel.close()

    # -- the thread it all happens in ----------------------------------------------------------------------------

    def _background_loop(self) -> BackgroundLoop:
        with self._lock:
            if self._background is None:
                self._background = BackgroundLoop("resilience jupyter")
                self._one_at_a_time = asyncio.Lock()  # of this loop
            return self._background

    def close(self) -> None:
        """End the kernel, or disconnect from one found by its connection file. A running program is interrupted.

        The executor may be used again, with another kernel.
        """
        with self._lock:
            background, self._background = self._background, None
        if background is not None:
            background.close(self._close_kernel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await finish_in_thread(self.close)

    def __repr__(self) -> str:
        return f"<JupyterExecutor: {self._kernel.name}>"


def _require_jupyter_client() -> None:
    if importlib.util.find_spec("jupyter_client") is None:
        raise ImportError("jupyter_client is missing; install it with: pip install 'category-resilience[jupyter]'")


class _KernelSession:
    """The state of a session in a kernel, under a name of its own."""

    def __init__(self, executor: JupyterExecutor) -> None:
        self._executor = executor
        self._name = uuid.uuid4().hex

    def execute_sync(self, request: ExecutionRequest, number: int, on_event: Listener | None) -> SessionOutcome:
        """Execute *request* in the kernel."""
        outcome = self._run(request, number, on_event, None)
        assert outcome is not None, "only a cancelled execution has no report"
        return outcome

    async def execute(self, request: ExecutionRequest, number: int, on_event: Listener | None) -> SessionOutcome:
        """Execute *request* in the kernel without blocking the event loop."""
        return await run_in_thread(
            lambda listener, cancelled: self._run(request, number, listener, cancelled), on_event
        )

    def _run(
        self, request: ExecutionRequest, number: int, on_event: Listener | None, cancelled: int | None
    ) -> SessionOutcome | None:
        bridge = EventBridge(on_event)
        job = self._executor._job(request, bridge, (self._name, number))
        report = self._executor._run_job(job, bridge, cancelled)
        if report is None:
            return None
        result = job.result
        if result is None:
            return SessionOutcome(report, job.was_sent, is_fresh=False, names=None)
        return SessionOutcome(report, has_run=True, is_fresh=result.is_fresh, names=result.answer.names)

    def restart(self) -> None:
        """Have the kernel forget all state."""
        self._executor._end_session(self._name)

    def close(self) -> None:
        """Have the kernel forget all state."""
        self._executor._end_session(self._name)
