"""Kernels behind `jupyter_client`: a `ManagedKernel` is started here, a `ConnectedKernel` has a connection file.

Both kinds talk to the kernel by the same two sockets, and differ in who starts and ends its process. All methods run on
the event loop of the background thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import anyio

from resilience.clock import SYSTEM
from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution._jupyter.kernel import Kernel, KernelDiedError, Message, connectivity_error

if TYPE_CHECKING:
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import AsyncKernelManager

__all__ = ["ConnectedKernel", "ManagedKernel"]

_POLL_INTERVAL = 200  # milliseconds without a message, then the kernel's life is checked
_HEARTBEAT_TIMEOUT = 5.0  # seconds without a heartbeat; a busy machine misses one or two
_MAX_STDERR = 2000
# Variables that a kernel started here inherits. Any other may hold a secret.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV")


class _ZmqKernel(Kernel):
    """A kernel with two ZeroMQ sockets: shell for requests and replies, iopub for output and status.

    Neither socket says that the kernel has ended. So after some silence it is asked whether it lives.
    """

    # jupyter_client types its channels, and much of the rest, as Any or not at all.
    _client: Any = None

    def _connect(self, client: AsyncKernelClient, *, heartbeat: bool) -> None:
        import zmq.asyncio

        self._client = client
        client.start_channels(stdin=False, hb=heartbeat)
        self._poller = zmq.asyncio.Poller()
        self._channels: tuple[Any, ...] = (client.iopub_channel, client.shell_channel)
        for channel in self._channels:
            self._poller.register(channel.socket, zmq.POLLIN)

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.stop_channels()

    async def send(self, kind: str, content: Mapping[str, object]) -> str:
        return self._send(self._client.shell_channel, kind, content)

    def _send(self, channel: Any, kind: str, content: Mapping[str, object]) -> str:
        message = self._client.session.msg(kind, dict(content))
        channel.send(message)
        return str(message["header"]["msg_id"])

    async def receive(self) -> Message:
        while True:
            ready: dict[object, int] = dict(await self._poller.poll(_POLL_INTERVAL))
            for channel in self._channels:  # iopub first, so that output comes before the reply
                if channel.socket in ready:
                    return Message.of(await channel.get_msg(timeout=0))
            await self._check()

    async def _check(self) -> None:
        """Raise `KernelDiedError` if the kernel's process has ended."""
        if not await self._client.is_alive():
            raise KernelDiedError


class ManagedKernel(_ZmqKernel):
    """A kernel that is started here, by the manager that *factory* makes, and ends with `close`."""

    def __init__(self, factory: Callable[[], AsyncKernelManager], *, inherits: bool) -> None:
        self._factory = factory
        self._inherits = inherits
        self._manager: Any = None
        self._errors: IO[bytes] | None = None
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self.host: str = "127.0.0.1"
        self.port: int = 0
        self.name: str = "kernel"

    async def open(self) -> None:
        from jupyter_client.kernelspec import NoSuchKernel

        manager: Any = self._factory()
        self._manager = manager
        self.host, self.name = manager.ip or self.host, f"kernel {manager.kernel_name}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the kernel lives
        try:
            await manager.start_kernel(**self._how())
        except NoSuchKernel as error:
            known = sorted(manager.kernel_spec_manager.find_kernel_specs())
            raise ContainerConfigurationError(
                f"there is no kernel named {error.name!r}; available kernels: {', '.join(known) or 'none'}",
                {"kernels": known},
            ) from error
        except (FileNotFoundError, PermissionError) as error:
            raise ContainerConfigurationError(f"{self.name} cannot be started: {error}") from error
        except (OSError, RuntimeError) as error:
            raise connectivity_error(self, f"it cannot be started: {error}") from error
        self.port = manager.shell_port
        self._connect(manager.client(), heartbeat=False)

    def _how(self) -> dict[str, object]:
        """Return the arguments that the process is started with: a home of its own, and no variable with a secret."""
        how: dict[str, object] = {"stdout": subprocess.DEVNULL, "stderr": self._errors}
        if not self._inherits:
            self._home = tempfile.TemporaryDirectory(prefix="resilience-kernel-", ignore_cleanup_errors=True)
            kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
            how |= {"env": {**kept, "IPYTHONDIR": self._home.name}, "cwd": self._home.name}
        return how

    async def close(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            self._disconnect()
            with contextlib.suppress(Exception):  # it has ended already
                await manager.shutdown_kernel(now=True)
            manager.context.destroy(linger=0)
        if self._errors is not None:
            self._errors.close()
            self._errors = None
        if self._home is not None:
            self._home.cleanup()
            self._home = None

    async def interrupt(self) -> None:
        with contextlib.suppress(RuntimeError):  # no kernel is running: nothing to interrupt
            await self._manager.interrupt_kernel()

    def exit_code(self) -> int | None:
        process: object = getattr(self._manager.provisioner, "process", None)
        return cast("subprocess.Popen[bytes]", process).poll() if isinstance(process, subprocess.Popen) else None

    def stderr_tail(self) -> str:
        if self._errors is None:
            return ""
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - _MAX_STDERR))
        return self._errors.read().decode("utf-8", "replace").strip()


class ConnectedKernel(_ZmqKernel):
    """A running kernel, found by its *connection_file*. It is never started or ended here."""

    def __init__(self, connection_file: str | os.PathLike[str]) -> None:
        self._path = Path(connection_file)
        self._last_beat: float | None = None
        self.host: str = ""
        self.port: int = 0
        self.name: str = f"kernel of {self._path.name}"

    async def open(self) -> None:
        from jupyter_client.asynchronous.client import AsyncKernelClient

        client = AsyncKernelClient()
        try:
            info = json.loads(await anyio.Path(self._path).read_text("utf-8"))
            client.load_connection_info(info)
            self.host, self.port = str(info["ip"]), int(info["shell_port"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ContainerConfigurationError(
                f"connection file {os.fspath(self._path)!r} cannot be read: {type(error).__name__}: {error}"
            ) from error
        self._connect(client, heartbeat=True)
        self._last_beat = None

    async def _check(self) -> None:
        now = SYSTEM.now()
        if await self._client.is_alive():
            self._last_beat = now
        elif self._last_beat is not None and now - self._last_beat > _HEARTBEAT_TIMEOUT:
            # A dead kernel and a lost connection look the same from here.
            raise connectivity_error(self, "no heartbeat: the kernel has ended, or the connection is lost")

    async def close(self) -> None:
        self._disconnect()

    async def interrupt(self) -> None:
        self._send(self._client.control_channel, "interrupt_request", {})
