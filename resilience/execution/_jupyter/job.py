"""Job in a kernel: one execution from its request to its report.

A program that exceeds its limit is interrupted; the helper then reports as it would for any failure. Only a program
that ignores the interrupt, or has ended the kernel, is reported without it.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from typing import Any

from resilience.clock import SYSTEM
from resilience.contrib.executor import ContainerConfigurationError, WorkflowError
from resilience.execution._analysis import analyse
from resilience.execution._inputs import EncodedVariables, content_of
from resilience.execution._jupyter import bootstrap
from resilience.execution._jupyter.event_bridge import EventBridge
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError, connectivity_error
from resilience.execution._jupyter.output import KernelOutput
from resilience.execution._jupyter.result_decoder import KernelResult, report_of_dead_kernel, with_kernel_details
from resilience.execution._jupyter.session import KernelRequest
from resilience.execution._outcome import Crash, ReportBuilder
from resilience.execution.executor import ExecutionReport
from resilience.execution.request import ExecutionRequest

__all__ = ["KernelJob", "end_session"]


class KernelJob:
    """Runs *request* in *kernel* and builds the report. The kernel must be open and ready.

    *session* is the name of a session, whose state the kernel keeps, and the number of this execution in it.
    """

    def __init__(
        self,
        kernel: Kernel,
        request: ExecutionRequest,
        bridge: EventBridge,
        grace: float,
        assigned_by: str = "ray",
        session: tuple[str, int] | None = None,
    ) -> None:
        self._kernel = kernel
        self._request = request
        self._bridge = bridge
        self._output = KernelOutput(bridge)
        self._grace = grace
        self._assigned_by = request.assigned_by or assigned_by
        self._id = f"exec_{os.urandom(6).hex()}"
        self._code = request.code.removeprefix("\ufeff")  # byte order mark, which Python strips from files only
        self._policy = request.policy
        self._order = _order_of(request, self._code, session)
        self._started_at = 0.0
        self._has_started = False
        self.was_sent: bool = False
        """Whether the program was sent to the kernel."""
        self.result: KernelResult | None = None
        """What the helper has sent; None if the program has not run, or has ended the kernel."""
        self.kernel_is_idle: bool = False
        """Whether the kernel can take the next request."""

    def rejected(self) -> ExecutionReport | None:
        """Return the report of code whose source violates the policy; None if it may run."""
        violations = analyse(self._code, self._policy)
        return (
            with_kernel_details(self._report_builder().from_violations(violations), self._kernel)
            if violations
            else None
        )

    async def run(self) -> ExecutionReport:
        """Run the program and return its report.

        Raises `ContainerConnectivityError`, `WorkflowError` for an answer that cannot be read, and `KernelDiedError`
        where the kernel was dead before it took the program.
        """
        self._started_at = SYSTEM.now()
        self.was_sent = True
        try:
            timed_out, reply = await self._run_program()
        except KernelDiedError:
            if not self._has_started:
                raise
            return self.report_of_death()
        status = None if reply is None else reply.get("status")
        if reply is not None and status == "ok":
            self.result = KernelResult.of(reply, timed_out=timed_out)
            return with_kernel_details(self.result.report(self._report_builder()), self._kernel)
        if timed_out:  # the program ignored the interrupt, or ended without the helper
            crash = Crash(
                timed_out=True, protocol_error="", exit_status=None, peak_memory=None, seconds=self._seconds()
            )
            return with_kernel_details(self._report_builder().from_crash(crash), self._kernel)
        if status == "aborted":  # another client's request has failed
            raise connectivity_error(self._kernel, "the request was aborted")
        name, message = self._output.error or ("no error", "")
        raise WorkflowError(f"{self._kernel.name} answered {status!r}: {name}: {message}", "execution")

    def report_of_death(self) -> ExecutionReport:
        """Return the report of a program that has ended the kernel's process."""
        return with_kernel_details(
            report_of_dead_kernel(self._report_builder(), self._kernel.exit_code(), self._seconds()), self._kernel
        )

    async def _run_program(self) -> tuple[bool, Mapping[str, Any] | None]:
        """Run the program by the helper, installed if it is missing; return whether it timed out, and the reply."""
        timed_out, reply = await self._attempt()
        if not timed_out and bootstrap.is_helper_missing(*(self._output.error or ("", ""))):
            await self._install()
            timed_out, reply = await self._attempt()
        return timed_out, reply

    async def _attempt(self) -> tuple[bool, Mapping[str, Any] | None]:
        exchange = await self._send_program()
        try:
            self.kernel_is_idle = await exchange.wait(self._request.seconds)
        except KernelDiedError:
            self._has_started = exchange.has_started
            raise
        except asyncio.CancelledError:
            await self._stop(exchange)
            raise
        if self.kernel_is_idle:
            return False, exchange.reply
        return True, await self._stop(exchange)

    async def _send_program(self) -> KernelRequest:
        run = bootstrap.call_expression("run", self._id, self._order)
        return await self._execute(run, {"answer": bootstrap.call_expression("take_result", self._id)})

    async def _install(self) -> None:
        """Install the helper in the kernel."""
        self._output.error = None
        self.kernel_is_idle = False
        exchange = await self._execute(bootstrap.install_code(), {}, silent=True)
        await exchange.wait()
        said = exchange.reply or {"ename": "no reply"}
        if said.get("status") != "ok":
            raise ContainerConfigurationError(
                f"{self._kernel.name} cannot run the helper, which needs Python 3.11 or later",
                {"error": f"{said.get('ename')}: {said.get('evalue')}"},
            )

    async def _execute(self, code: str, expressions: Mapping[str, str], *, silent: bool = False) -> KernelRequest:
        exchange = KernelRequest(self._kernel, self._output.handle)
        request = {
            "code": code,
            "silent": silent,
            "store_history": False,
            "user_expressions": expressions,
            "allow_stdin": False,
            "stop_on_error": False,
        }
        await exchange.send("execute_request", request)
        return exchange

    async def _stop(self, exchange: KernelRequest) -> Mapping[str, Any] | None:
        """Interrupt the program; return the reply, None if the program ignores the interrupt."""
        await self._kernel.interrupt()
        self.kernel_is_idle = await exchange.wait(self._grace)
        return exchange.reply if self.kernel_is_idle else None

    # -- the report ----------------------------------------------------------------------------------------------

    def _seconds(self) -> float:
        return SYSTEM.now() - self._started_at

    def _report_builder(self) -> ReportBuilder:
        return ReportBuilder(
            execution_id=self._id,
            request=self._request,
            code=self._code,
            policy=self._policy,
            assigned_by=self._assigned_by,
            stdout=self._output.stdout,
            stderr=self._output.stderr,
            artifacts=self._output.collector.artifacts,
            notes=self._output.collector.notes,
        )


async def end_session(kernel: Kernel, name: str, seconds: float) -> None:
    """Have the helper in *kernel* forget a session; wait at most *seconds*."""
    exchange = KernelRequest(kernel)
    code = bootstrap.call_expression("end_session", name)
    await exchange.send("execute_request", {"code": code, "silent": True, "store_history": False, "allow_stdin": False})
    await exchange.wait(seconds)


def _order_of(request: ExecutionRequest, code: str, session: tuple[str, int] | None) -> dict[str, object]:
    """Return the order for the helper's `run`. It must survive `repr`."""
    order: dict[str, object] = {"code": code}
    if request.return_variables is not None:
        order["wanted"] = list(request.return_variables)
    if request.working_directory is not None:
        order["directory"] = os.path.abspath(request.working_directory)  # noqa: PTH100
    if request.variables:
        variables = EncodedVariables.of(request.variables)
        order |= {"given": dict(variables.plain), "pickled": base64.b64encode(variables.pickled).decode("ascii")}
    if request.files:
        files = {path: base64.b64encode(content_of(content)) for path, content in request.files.items()}
        order["files"] = {path: content.decode("ascii") for path, content in files.items()}
    if session is not None:
        order["session"], order["number"] = session
    return order
