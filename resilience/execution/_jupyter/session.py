"""Request to a kernel and its messages, by the Jupyter messaging protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError, Message, connectivity_error, object_at

__all__ = ["KernelRequest", "wait_until_ready"]

_OUTPUT_DELAY = 2.0  # seconds after the reply for late output; under a flood zmq may have dropped the idle status
_RETRY_INTERVAL = 0.5  # seconds between two readiness requests
_DEAD_STATES = frozenset({"dead", "restarting", "autorestarting"})


class KernelRequest:
    """One request and the messages that belong to it; messages of other requests are ignored.

    *on_message* is called with each of them in order, except for replies and status changes.
    """

    def __init__(self, kernel: Kernel, on_message: Callable[[Message], object] | None = None) -> None:
        self._kernel = kernel
        self._on_message = on_message
        self._idle = False
        self.has_started: bool = False
        """Whether the kernel has sent any message that belongs to it."""
        self.reply: Mapping[str, Any] | None = None

    async def send(self, kind: str, content: Mapping[str, object]) -> None:
        """Send the request."""
        self._id = await self._kernel.send(kind, content)

    @property
    def is_done(self) -> bool:
        """Whether the reply has arrived and the kernel is idle again."""
        return self._idle and self.reply is not None

    async def wait(self, seconds: float = math.inf) -> bool:
        """Handle messages for at most *seconds*; return whether the request is done. May be called again.

        Raises `KernelDiedError`.
        """
        with anyio.move_on_after(seconds):
            while not self.is_done:
                with anyio.move_on_after(math.inf if self.reply is None else _OUTPUT_DELAY) as output_wait:
                    self._handle(await self._kernel.receive())
                if output_wait.cancelled_caught:
                    self._idle = True
        return self.is_done

    def _handle(self, message: Message) -> None:
        state = message.content.get("execution_state") if message.kind == "status" else None
        if message.parent != self._id:
            if state in _DEAD_STATES:
                raise KernelDiedError
            return
        self.has_started = True
        if state is not None:
            self._idle = self._idle or state == "idle"
        elif message.kind.endswith("_reply"):
            self.reply = message.content
        elif self._on_message is not None:
            self._on_message(message)


async def wait_until_ready(kernel: Kernel, seconds: float) -> None:
    """Wait until the kernel replies on both channels. Output printed before that may be lost.

    Raises `ContainerConnectivityError` if it does not, and `ContainerConfigurationError` if it does not run Python.
    """
    with anyio.move_on_after(seconds):
        while True:
            request = KernelRequest(kernel)
            await request.send("kernel_info_request", {})
            try:
                if await request.wait(_RETRY_INTERVAL) and request.reply is not None:
                    return _require_python(kernel, request.reply)
            except KernelDiedError:
                raise connectivity_error(kernel, "it ended before it was ready") from None
    raise connectivity_error(kernel, f"no reply in {seconds:g} s")


def _require_python(kernel: Kernel, info: Mapping[str, Any]) -> None:
    language = object_at(info, "language_info").get("name")
    if language != "python":
        raise ContainerConfigurationError(f"{kernel.name} runs {language!r}, not Python")
