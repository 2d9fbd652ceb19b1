"""The demo's end of its server process: start, command, kill."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING, cast

from resilience.cli.demo.phases import Mode, Settings
from resilience.cli.output import ExitCode, UserError

if TYPE_CHECKING:
    from anyio.abc import Process
    from anyio.streams.buffered import BufferedByteReceiveStream

__all__ = ["ServerProcess"]

_REPLY_TIMEOUT = 15.0  # starting Python on a busy machine takes its time
_ENDED = "the demo's server ended unexpectedly"


class ServerProcess:
    """Runs one server process at a time.

    At the end of its ``async with`` block no process is left, however the block ends.
    """

    def __init__(self, settings: Settings, counter: int) -> None:
        self._settings = settings
        self._counter = counter
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream | None = None
        self.port: int = 0
        self.pids: list[int] = []

    async def start(self) -> None:
        """Start the process and wait for its first line. It does not listen yet."""
        import anyio
        from anyio.streams.buffered import BufferedByteReceiveStream

        settings = self._settings
        options = {
            "--counter": self._counter,
            "--late": settings.late,
            "--seed": settings.seed,
        }
        # A session of its own: Ctrl-C in the terminal is for the parent, who then ends the server.
        self._process = await anyio.open_process(
            [
                sys.executable,
                "-m",
                "resilience.cli.demo.server",
                *(str(word) for pair in options.items() for word in pair),
            ],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[self._counter],
        )
        self.pids.append(self._process.pid)
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)
        await self._reply()

    async def listen(self) -> None:
        """Have the process listen, on the port of the process before it, and wait until it does."""
        self.port = cast("int", (await self._send({"port": self.port}))["port"])

    async def set_mode(self, mode: Mode) -> None:
        """Change the behaviour of the server, and wait until it has changed."""
        await self._send({"mode": mode})

    async def _send(self, command: dict[str, object]) -> dict[str, object]:
        import anyio

        assert self._process is not None
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(json.dumps(command).encode() + b"\n")
        except (anyio.BrokenResourceError, OSError):
            raise UserError(_ENDED, ExitCode.FAILED) from None
        return await self._reply()

    async def _reply(self) -> dict[str, object]:
        import anyio

        assert self._lines is not None
        try:
            with anyio.fail_after(_REPLY_TIMEOUT):
                line = await self._lines.receive_until(b"\n", 1000)
        except (anyio.EndOfStream, anyio.IncompleteRead):
            raise UserError(_ENDED, ExitCode.FAILED) from None
        except TimeoutError:
            raise UserError(f"the demo's server did not answer for {_REPLY_TIMEOUT:g} s", ExitCode.FAILED) from None
        answer: dict[str, object] = json.loads(line)
        if "error" in answer:
            raise UserError(f"the demo's server cannot listen: {answer['error']}", ExitCode.FAILED)
        return answer

    async def kill(self) -> None:
        """Send SIGKILL to the process, if there is one, and wait for its end, also while cancelled."""
        import anyio

        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):  # it was faster
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.wait()
                await process.aclose()

    async def __aenter__(self) -> ServerProcess:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
