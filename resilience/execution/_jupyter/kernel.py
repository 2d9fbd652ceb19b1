"""A kernel that messages are exchanged with, wherever it runs."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from resilience.contrib.executor import ContainerConnectivityError

__all__ = ["Kernel", "KernelDiedError", "Message", "inside", "unreachable"]


class KernelDiedError(Exception):
    """The kernel's process has ended, while the way to it is open."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a kernel says: an answer to the request *parent*, or to nobody."""

    kind: str
    parent: str
    content: Mapping[str, Any]

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Message:
        """Read a message of the Jupyter protocol."""
        kind = inside(message, "header").get("msg_type") or message.get("msg_type") or ""
        return cls(str(kind), str(inside(message, "parent_header").get("msg_id", "")), inside(message, "content"))


def inside(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object under *key*; an empty one where there is none."""
    found: object = document.get(key)
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else {}


class Kernel(abc.ABC):
    """A kernel, and the way to it. Used by one task at a time, always on the same event loop."""

    #: Where it is reached.
    host: str
    port: int
    #: What it is called in reports.
    name: str

    @abc.abstractmethod
    async def open(self) -> None:
        """Start it, or find the way to it. It need not be ready to answer yet.

        Raises `ContainerConnectivityError` or `ContainerConfigurationError`.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Leave it; end it, whatever it does, if it was started by `open`, which may then be called again."""

    @abc.abstractmethod
    async def send(self, kind: str, content: Mapping[str, object]) -> str:
        """Send a request; return its id."""

    @abc.abstractmethod
    async def receive(self) -> Message:
        """Wait for what it says next. Raises `KernelDiedError` when that will be nothing."""

    @abc.abstractmethod
    async def interrupt(self) -> None:
        """Interrupt what it executes, as Ctrl-C does."""

    def exit_code(self) -> int | None:
        """Return what its process ended with, negative for a signal, where that is known."""
        return None

    def last_words(self) -> str:
        """Return what its process wrote to its standard error, where that is known."""
        return ""


def unreachable(kernel: Kernel, why: str, **details: object) -> ContainerConnectivityError:
    """Return the error of a kernel that cannot be started or reached."""
    words = kernel.last_words()
    if words:
        details["stderr"] = words
    return ContainerConnectivityError(f"{kernel.name}: {why}", kernel.host, kernel.port, details)
