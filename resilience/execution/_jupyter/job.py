"""One execution in a kernel, from its request to its report."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from resilience.clock import SYSTEM
from resilience.contrib.executor import ContainerConfigurationError, WorkflowError
from resilience.execution._analysis import analyse
from resilience.execution._jupyter import bootstrap
from resilience.execution._jupyter.event_bridge import Relay
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError, unreachable
from resilience.execution._jupyter.output import KernelOutput
from resilience.execution._jupyter.result_decoder import KernelAnswer, died, in_kernel
from resilience.execution._jupyter.session import Conversation
from resilience.execution._outcome import Death, Execution
from resilience.execution.executor import ExecutionReport
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityPolicy

__all__ = ["Running"]


class Running:
    """Has *kernel* execute *request*, and makes the report."""

    def __init__(self, kernel: Kernel, request: ExecutionRequest, relay: Relay, grace: float) -> None:
        self._kernel = kernel
        self._request = request
        self._relay = relay
        self._output = KernelOutput(relay)
        self._grace = grace
        self._id = f"exec_{os.urandom(6).hex()}"
        self._code = request.code.removeprefix("\ufeff")  # a mark of editors, which Python takes off files only
        self._policy = SecurityPolicy.of(request.security_level, request.allowed_imports)
        self._began = 0.0
        self._has_begun = False
        self.kernel_is_idle: bool = False
        """Whether the kernel can be asked for the next execution."""

    def refused(self) -> ExecutionReport | None:
        """Return the report of code that is not run, for its source shows what it must not do."""
        violations = analyse(self._code, self._policy)
        return in_kernel(self._known().refused(violations), self._kernel) if violations else None

    async def run(self) -> ExecutionReport:
        """Execute it.

        Raises `ContainerConnectivityError`, `WorkflowError` for an answer that cannot be read, and `KernelDiedError`
        where the kernel was dead before it took the program.
        """
        self._began = SYSTEM.now()
        try:
            timed_out, reply = await self._converse()
        except KernelDiedError:
            if not self._has_begun:
                raise
            return self.died()
        status = None if reply is None else reply.get("status")
        if reply is not None and status == "ok":
            return in_kernel(KernelAnswer.of(reply, timed_out=timed_out).reported(self._known()), self._kernel)
        if timed_out:  # it could not be stopped, or was, but not by the helper
            late = Death(late=True, trouble="", status=None, most_memory=None, seconds=self._seconds())
            return in_kernel(self._known().died(late), self._kernel)
        if status == "aborted":  # since what somebody else asked for has failed
            raise unreachable(self._kernel, "the request was aborted")
        name, message = self._output.error or ("no error", "")
        raise WorkflowError(f"{self._kernel.name} answered {status!r}: {name}: {message}", "execution")

    def died(self) -> ExecutionReport:
        """Return the report of a program that has ended its kernel."""
        return in_kernel(died(self._known(), self._kernel.exit_code(), self._seconds()), self._kernel)

    async def _converse(self) -> tuple[bool, Mapping[str, Any] | None]:
        """Have the helper run the program; return whether its time was up, and the reply."""
        timed_out, reply = await self._attempt()
        if not timed_out and bootstrap.is_missing(*(self._output.error or ("", ""))):
            await self._install()
            timed_out, reply = await self._attempt()
        return timed_out, reply

    async def _attempt(self) -> tuple[bool, Mapping[str, Any] | None]:
        talk = await self._begin()
        try:
            self.kernel_is_idle = await talk.listen(self._request.seconds)
        except KernelDiedError:
            self._has_begun = talk.has_begun
            raise
        except asyncio.CancelledError:
            await self._stop(talk)
            raise
        if self.kernel_is_idle:
            return False, talk.reply
        return True, await self._stop(talk)

    async def _begin(self) -> Conversation:
        wanted, directory = self._request.return_variables, self._request.working_directory
        run = bootstrap.call(
            "run",
            self._id,
            self._code,
            None if wanted is None else list(wanted),
            None if directory is None else os.path.abspath(directory),  # noqa: PTH100, ASYNC240  # asks no disk
        )
        return await self._ask(run, {"answer": bootstrap.call("answer", self._id)})

    async def _install(self) -> None:
        """Put the helper into the kernel."""
        self._output.error = None
        self.kernel_is_idle = False
        talk = await self._ask(bootstrap.installation(), {}, silent=True)
        await talk.listen()
        said = talk.reply or {"ename": "no reply"}
        if said.get("status") != "ok":
            raise ContainerConfigurationError(
                f"{self._kernel.name} does not take the helper, which needs Python 3.11 or later there",
                {"error": f"{said.get('ename')}: {said.get('evalue')}"},
            )

    async def _ask(self, code: str, expressions: Mapping[str, str], *, silent: bool = False) -> Conversation:
        talk = Conversation(self._kernel, self._output.hear)
        request = {
            "code": code,
            "silent": silent,
            "store_history": False,
            "user_expressions": expressions,
            "allow_stdin": False,
            "stop_on_error": False,
        }
        await talk.begin("execute_request", request)
        return talk

    async def _stop(self, talk: Conversation) -> Mapping[str, Any] | None:
        """Interrupt the program; return the reply, None where it goes on all the same."""
        await self._kernel.interrupt()
        self.kernel_is_idle = await talk.listen(self._grace)
        return talk.reply if self.kernel_is_idle else None

    # -- the report ----------------------------------------------------------------------------------------------

    def _seconds(self) -> float:
        return SYSTEM.now() - self._began

    def _known(self) -> Execution:
        return Execution(
            execution_id=self._id,
            request=self._request,
            code=self._code,
            policy=self._policy,
            stdout=self._output.stdout,
            stderr=self._output.stderr,
        )
