"""The demo's server, seen from the process that starts, orders about, and kills it."""

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

__all__ = ["Child"]

_TIME_TO_ANSWER = 15.0  # starting Python on a busy machine takes its time
_ENDED = "the demo's server ended unexpectedly"


class Child:
    """A server process at a time; whatever happens, none is left when the block is over."""

    def __init__(self, settings: Settings, tally: int) -> None:
        self._settings = settings
        self._tally = tally
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream | None = None
        self.port: int = 0
        self.pids: list[int] = []

    async def start(self) -> None:
        """Start the process; return when it is there. It does not listen yet."""
        import anyio
        from anyio.streams.buffered import BufferedByteReceiveStream

        settings = self._settings
        options = {
            "--tally": self._tally,
            "--late": settings.late,
            "--seed": settings.seed,
        }
        # A session of its own: Ctrl-C in the terminal is for the parent, who then ends the child.
        self._process = await anyio.open_process(
            [
                sys.executable,
                "-m",
                "resilience.cli.demo.server",
                *(str(word) for pair in options.items() for word in pair),
            ],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[self._tally],
        )
        self.pids.append(self._process.pid)
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)
        await self._answer()

    async def listen(self) -> None:
        """Have the process listen, on the port the one before it had; return when it does."""
        self.port = cast("int", (await self._order({"port": self.port}))["port"])

    async def become(self, mode: Mode) -> None:
        """Have the server misbehave differently; return when it does."""
        await self._order({"mode": mode})

    async def _order(self, order: dict[str, object]) -> dict[str, object]:
        import anyio

        assert self._process is not None
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(json.dumps(order).encode() + b"\n")
        except (anyio.BrokenResourceError, OSError):
            raise UserError(_ENDED, ExitCode.FAILED) from None
        return await self._answer()

    async def _answer(self) -> dict[str, object]:
        import anyio

        assert self._lines is not None
        try:
            with anyio.fail_after(_TIME_TO_ANSWER):
                line = await self._lines.receive_until(b"\n", 1000)
        except (anyio.EndOfStream, anyio.IncompleteRead):
            raise UserError(_ENDED, ExitCode.FAILED) from None
        except TimeoutError:
            raise UserError(f"the demo's server said nothing for {_TIME_TO_ANSWER:g} s", ExitCode.FAILED) from None
        answer: dict[str, object] = json.loads(line)
        if "error" in answer:
            raise UserError(f"the demo's server cannot listen: {answer['error']}", ExitCode.FAILED)
        return answer

    async def gone(self) -> None:
        """Send SIGKILL to the process, if there is one, and wait for its end, even while being cancelled."""
        import anyio

        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):  # it was faster
                process.kill()
            with anyio.CancelScope(shield=True):
                await process.wait()
                await process.aclose()

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.gone()
