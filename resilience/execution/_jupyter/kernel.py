"""Interface of a kernel, wherever it runs: open, send, receive, interrupt, close."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from resilience.contrib.executor import ContainerConnectivityError

__all__ = ["Kernel", "KernelDiedError", "Message", "connectivity_error", "object_at"]


class KernelDiedError(Exception):
    """The kernel's process has ended while the connection was open."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a kernel. *parent* is the ID of the request it belongs to, empty if it belongs to none."""

    kind: str
    parent: str
    content: Mapping[str, Any]

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Message:
        """Read a message of the Jupyter protocol."""
        kind = object_at(message, "header").get("msg_type") or message.get("msg_type") or ""
        return cls(str(kind), str(object_at(message, "parent_header").get("msg_id", "")), object_at(message, "content"))


def object_at(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the JSON object under *key*; an empty one if there is none."""
    found: object = document.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


class Kernel(abc.ABC):
    """A kernel and the connection to it. Used by one task at a time, always on the same event loop."""

    #: Its address.
    host: str
    port: int
    #: Its name in reports.
    name: str

    @abc.abstractmethod
    async def open(self) -> None:
        """Start the kernel, or connect to it. It need not be ready to reply yet.

        Raises `ContainerConnectivityError` or `ContainerConfigurationError`.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Disconnect, and kill a kernel that `open` has started. `open` may be called again."""

    @abc.abstractmethod
    async def send(self, kind: str, content: Mapping[str, object]) -> str:
        """Send a request and return its ID."""

    @abc.abstractmethod
    async def receive(self) -> Message:
        """Wait for the next message. Raises `KernelDiedError` if the kernel has ended."""

    @abc.abstractmethod
    async def interrupt(self) -> None:
        """Interrupt the running program, as Ctrl-C does."""

    def exit_code(self) -> int | None:
        """Return the exit status of its process, negative for a signal; None if unknown."""
        return None

    def stderr_tail(self) -> str:
        """Return the end of what its process wrote to stderr; "" if unknown."""
        return ""


def connectivity_error(kernel: Kernel, why: str, **details: object) -> ContainerConnectivityError:
    """Return the error of a kernel that cannot be started or reached, with *why* in its message."""
    words = kernel.stderr_tail()
    if words:
        details["stderr"] = words
    return ContainerConnectivityError(f"{kernel.name}: {why}", kernel.host, kernel.port, details)
