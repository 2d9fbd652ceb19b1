"""One request to a kernel, and everything it says about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError, Message, inside, unreachable

__all__ = ["Conversation", "become_ready"]

_LINGER = 2.0  # seconds after the reply for what was printed; a flood may have washed the end away
_AGAIN = 0.5  # seconds after which it is asked again whether it is ready
_DEAD = frozenset({"dead", "restarting", "autorestarting"})


class Conversation:
    """A request that was sent, and the messages that answer it. Those that answer others are not heard.

    *heard* is told of each of them in the order they come, but for those that say how far the kernel is.
    """

    def __init__(self, kernel: Kernel, heard: Callable[[Message], object] | None = None) -> None:
        self._kernel = kernel
        self._heard = heard
        self._idle = False
        self.has_begun: bool = False
        """Whether the kernel has said anything about it."""
        self.reply: Mapping[str, Any] | None = None

    async def begin(self, kind: str, content: Mapping[str, object]) -> None:
        """Send the request."""
        self._id = await self._kernel.send(kind, content)

    @property
    def is_over(self) -> bool:
        """Whether all has been said."""
        return self._idle and self.reply is not None

    async def listen(self, seconds: float = math.inf) -> bool:
        """Listen for at most *seconds*; return whether it is over. May be called again where it is not.

        Raises `KernelDiedError`.
        """
        with anyio.move_on_after(seconds):
            while not self.is_over:
                with anyio.move_on_after(math.inf if self.reply is None else _LINGER) as lingering:
                    self._note(await self._kernel.receive())
                if lingering.cancelled_caught:
                    self._idle = True
        return self.is_over

    def _note(self, message: Message) -> None:
        state = message.content.get("execution_state") if message.kind == "status" else None
        if message.parent != self._id:
            if state in _DEAD:
                raise KernelDiedError
            return
        self.has_begun = True
        if state is not None:
            self._idle = self._idle or state == "idle"
        elif message.kind.endswith("_reply"):
            self.reply = message.content
        elif self._heard is not None:
            self._heard(message)


async def become_ready(kernel: Kernel, seconds: float) -> None:
    """Wait until the kernel answers, on both channels: until then what it prints may be missed.

    Raises `ContainerConnectivityError` when it does not, `ContainerConfigurationError` where it speaks no Python.
    """
    with anyio.move_on_after(seconds):
        while True:
            asked = Conversation(kernel)
            await asked.begin("kernel_info_request", {})
            try:
                if await asked.listen(_AGAIN) and asked.reply is not None:
                    return _refuse_other_languages(kernel, asked.reply)
            except KernelDiedError:
                raise unreachable(kernel, "it ended before it was ready") from None
    raise unreachable(kernel, f"no answer in {seconds:g} s")


def _refuse_other_languages(kernel: Kernel, info: Mapping[str, Any]) -> None:
    language = inside(info, "language_info").get("name")
    if language != "python":
        raise ContainerConfigurationError(f"{kernel.name} speaks {language!r}, not Python")
