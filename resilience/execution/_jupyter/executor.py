"""Execute code in a Jupyter kernel."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, cast

from resilience._validation import parse_duration
from resilience.execution._jupyter.event_bridge import Relay
from resilience.execution._jupyter.job import Running
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError
from resilience.execution._jupyter.loop_thread import BackgroundLoop
from resilience.execution._jupyter.session import become_ready
from resilience.execution._waiting import closed, in_thread
from resilience.execution.executor import ExecutionReport, Listener
from resilience.execution.request import ExecutionRequest

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

__all__ = ["JupyterExecutor"]


class JupyterExecutor:
    """Executes each program in a kernel, one at a time, as a ``__main__`` of its own: no variables of the one before.

    The kernel is started at the first execution: here, one called *kernel_name*; or by a *manager*, a function that
    returns an `AsyncKernelManager`; or by the Jupyter server or gateway at *gateway_url*, which is given *token*. It
    ends with `close`. A kernel that runs already is found by its *connection_file*, and left running.

    A program that is still running after its timeout is interrupted; when it goes on for *grace* seconds all the same,
    the kernel is ended, and another one takes its place. So is one that died. The source is held to the security level
    before anything runs. In the kernel nothing is: neither the level nor the memory limit, which are the kernel's
    host to set.

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
    ) -> None:
        self._startup = parse_duration("startup_timeout", startup_timeout)
        self._grace = parse_duration("grace", grace)
        given = {"connection_file": connection_file, "gateway_url": gateway_url, "manager": manager}
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise TypeError(f"{' and '.join(named)}: give one of them")
        if token is not None and gateway_url is None:
            raise TypeError("token: give it with gateway_url=, whose server is to be told")
        _require_jupyter_client()
        self._kernel = self._find(kernel_name, connection_file, gateway_url, token, manager)
        self._is_open = False
        self._background: BackgroundLoop | None = None
        self._guard = threading.Lock()
        self._turn = asyncio.Lock()  # one program at a time

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

    async def execute(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Execute the code of *request* and tell how it went; *on_event* is called in this event loop.

        On asyncio and trio. Cancelled, it interrupts the program first.
        """
        wanted = ExecutionRequest.of(request)
        return await in_thread(lambda listener, wake: self._carry_out(wanted, listener, wake), on_event)

    def execute_sync(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Do what `execute` does, and block until it has; *on_event* is called in this thread."""
        report = self._carry_out(ExecutionRequest.of(request), on_event, None)
        assert report is not None, "only an execution that can be woken is cancelled"
        return report

    def _carry_out(
        self, request: ExecutionRequest, on_event: Listener | None, wake: int | None
    ) -> ExecutionReport | None:
        """Execute; None where *wake* became readable, which says that nobody wants it any more."""
        relay = Relay(on_event)
        running = Running(self._kernel, request, relay, self._grace)
        return relay.wait(self._loop().begin(self._told(running, relay, wake)))

    async def _told(self, running: Running, relay: Relay, wake: int | None) -> ExecutionReport | None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancelled: list[bool] = []

        def cancel() -> None:
            loop.remove_reader(cast("int", wake))
            cancelled.append(task.cancel())

        if wake is not None:
            loop.add_reader(wake, cancel)
        try:
            relay.tell("start")
            report = running.refused() or await self._execute(running)
            if report.error is not None:
                relay.tell("error", report.error.error_summary, report.error.line_number)
            else:
                value = report.execution_result.return_value
                relay.tell("result", "" if value is None else str(value))
            return report
        except asyncio.CancelledError:
            if cancelled:
                return None
            raise
        finally:
            if wake is not None:
                loop.remove_reader(wake)

    async def _execute(self, running: Running) -> ExecutionReport:
        async with self._turn:
            while True:
                is_fresh = not self._is_open
                try:
                    await self._open()
                    return await running.run()
                except KernelDiedError:
                    if is_fresh:  # it was ready a moment ago: the program has ended it before it could say a word
                        return running.died()
                    # It died while nobody looked: another one is asked.
                finally:
                    if not running.kernel_is_idle:
                        await self._let_go()

    async def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            await self._kernel.open()
            await become_ready(self._kernel, self._startup)

    async def _let_go(self) -> None:
        """End the kernel, or leave it; the next execution opens another one."""
        if self._is_open:
            self._is_open = False
            await self._kernel.close()

    # -- the thread it all happens in ----------------------------------------------------------------------------

    def _loop(self) -> BackgroundLoop:
        with self._guard:
            if self._background is None:
                self._background = BackgroundLoop("resilience jupyter")
                self._turn = asyncio.Lock()  # of this loop
            return self._background

    def close(self) -> None:
        """End the kernel, or leave one that was found. What still runs is interrupted. It may be used again."""
        with self._guard:
            background, self._background = self._background, None
        if background is not None:
            background.close(self._let_go)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await closed(self.close)

    def __repr__(self) -> str:
        return f"<JupyterExecutor: {self._kernel.name}>"


def _require_jupyter_client() -> None:
    if importlib.util.find_spec("jupyter_client") is None:
        raise ImportError("jupyter_client is missing; install it with: pip install 'category-resilience[jupyter]'")
