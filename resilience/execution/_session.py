"""Session with a worker process: the parent's side of one execution.

A session sends the request, reads messages and output, keeps the time limit and kills the worker when it passes. One
blocking loop over `select.poll` serves sync and async callers, and every wait in it is bounded. An event loop may wait
for the first message by itself and call `Session.poll` when it arrives.

The worker is a process of untrusted code. So the session believes no message that breaks the protocol, waits for none
longer than a limit of its own, and reads the output while it waits: a program blocks once a pipe is full. A message
is not the end of a session by itself. The program may close the socket and run on, or be killed by the system while a
descendant keeps the pipes open; so the exit of the process is watched beside them.
"""

from __future__ import annotations

import contextlib
import math
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from resilience.clock import SYSTEM
from resilience.execution._artifact_collector import ArtifactCollector
from resilience.execution._framing import MALFORMED, Message, require_int, require_str
from resilience.execution._output_capture import OutputCapture
from resilience.execution._worker.framing import encode_frame
from resilience.execution._worker.messages import Request
from resilience.execution._worker_process import WorkerProcess

__all__ = ["EventCallback", "Exit", "Session"]

EventCallback = Callable[[Literal["stdout", "stderr", "line", "warning"], str, int | None], object]
"""Called with the kind of an event, its text and its line."""
ExitKind = Literal["result", "exited", "timed_out", "cancelled", "protocol_error", "not_ready", "no_variables"]
"""Kinds of a session's end.

``result``: the worker sent a result. ``exited``: the process ended without one. ``timed_out``: the parent killed it
after the time limit. ``cancelled``: the caller cancelled. ``protocol_error``: the parent killed it for a message that
breaks the protocol. ``not_ready``: the parent killed it because no ready message came. ``no_variables``: the worker
could not restore the variables of the request.
"""

_READY_TIMEOUT = 30.0
"""Seconds that an interpreter may take to send its ready message."""
_GRACE = 0.75
"""Seconds between the program's time limit and the kill. Meanwhile the worker stops the program and reports."""
_REPORT_TIMEOUT = 5.0
"""Seconds for the report once the program has ended."""
_COLLECTING_TIMEOUT = 15.0
"""Seconds for the figures and tables of a program that has ended, of which the worker itself allows 10."""
_EXIT_POLL_INTERVAL = 0.05
_MAX_WAIT = 3600.0  # `poll` rejects waits of more than some weeks
_SLOW_AFTER = 0.01


@dataclass(slots=True)
class Exit:
    """The end of a session: its *kind*, with the result message if there is one."""

    kind: ExitKind
    result: Message | None = None
    protocol_error: str = ""
    """What is wrong with a message, or with the variables."""
    seconds: float = 0.0
    """Since the request was sent; never less than the worker's own measurement."""


class Session:
    """One request to one worker. The constructor sends it; the worker compiles the program and waits for the start.

    *pickled* are the variables of the request that JSON does not have; the worker expects them after its frame.

    `wait` runs the session to its end. `poll` does what can be done without waiting.

    The constructor neither blocks nor fails: what a full socket does not take is sent by the loop, and a worker that
    has died meanwhile is found there, too. A session does not reap its worker, which belongs to the pool.
    """

    def __init__(
        self, worker: WorkerProcess, request: Request, emit: EventCallback | None, pickled: bytes = b""
    ) -> None:
        self.worker = worker
        self._started_at = SYSTEM.now()
        self._unsent = [memoryview(each) for each in (encode_frame(worker.token, request), pickled) if each]
        self._send_unsent()  # first of all: the worker has more to do than this process
        self._emit = emit
        self._time_limit = request["timeout"] + _GRACE
        self._code = request["code"]
        self._needs_start = not request["checked"]
        self._is_watching = False
        self._deadline = 0.0
        self._exit: Exit | None = None
        self._lines: list[str] = []
        self.collector: ArtifactCollector = ArtifactCollector()
        self._poller = worker.poller
        self._cancelled: int | None = None
        self.stdout: OutputCapture = OutputCapture(
            worker.stdout, emit=None if emit is None else lambda text: emit("stdout", text, None)
        )
        self.stderr: OutputCapture = OutputCapture(
            worker.stderr, emit=None if emit is None else lambda text: emit("stderr", text, None)
        )

    def wait(self, on_slow: Callable[[], object], cancelled: int | None = None) -> Exit:
        """Start the program and wait for its end. *on_slow* is called once if that takes more than 10 ms.

        *cancelled* is a descriptor that becomes readable when the caller cancels. Afterwards the worker is dead, or has
        sent its result and is about to exit.
        """
        try:
            if not self._is_watching:
                self._start()
            if cancelled is not None:
                self._cancelled = cancelled
                self._poller.register(cancelled, select.POLLIN)
            slow_at = SYSTEM.now() + _SLOW_AFTER
            while self._exit is None and (left := slow_at - SYSTEM.now()) > 0:
                self._step(left)
            if self._exit is None:
                on_slow()
            while (ended := self._exit) is None:
                self._step(_MAX_WAIT)
        except BaseException:
            self.worker.kill()
            raise
        finally:
            if self._cancelled is not None:  # the next program of the worker has another one
                self._poller.unregister(self._cancelled)
        if ended.kind != "result":
            self.worker.kill()
        ready = {descriptor for descriptor, _ in self._poller.poll(0)}
        for output in (self.stdout, self.stderr):
            if output.descriptor in ready:
                output.read_rest()
        ended.seconds = SYSTEM.now() - self._started_at
        return ended

    def poll(self) -> Exit | None:
        """Start the program, handle what has arrived without waiting, and return the exit if there is one.

        `wait` must still be called afterwards: it reads the rest of the output.
        """
        if not self._is_watching:
            self._start()
        if self._exit is None:
            self._step(0.0)
        return self._exit

    def _start(self) -> None:
        """Let the program run, and watch the worker's descriptors from now on."""
        worker = self.worker
        self._is_watching = True
        self._deadline = SYSTEM.now() + (self._time_limit if worker.is_ready else _READY_TIMEOUT)
        if self._needs_start:
            self._unsent.append(memoryview(worker.start_frame))
            self._send_unsent()
        if self._unsent:
            self._watch_control()

    def _handle_event(self, descriptor: int) -> None:
        """Act on what *descriptor* has: messages, output, the exit of the process, or the cancellation."""
        worker = self.worker
        if descriptor == worker.control.fileno():
            if self._unsent:
                self._send_unsent()
                self._watch_control()
            self._read_messages()
        elif descriptor == worker.stdout:
            self._read_output(self.stdout)
        elif descriptor == worker.stderr:
            self._read_output(self.stderr)
        elif descriptor == worker.pidfd:
            self._on_exit()
        else:
            self._finish("cancelled")

    def _unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor that has ended: the poll would report it for ever."""
        with contextlib.suppress(KeyError):  # it is watched no longer
            self._poller.unregister(descriptor)

    def _step(self, max_wait: float) -> bool:
        """Wait for the next events and handle them; return whether the session has ended."""
        remaining = self._deadline - SYSTEM.now()
        if remaining <= 0:
            self._finish("timed_out" if self.worker.is_ready else "not_ready")
            return True
        has_pidfd = self.worker.pidfd is not None
        wait = min(remaining, max_wait, _MAX_WAIT if has_pidfd else _EXIT_POLL_INTERVAL)
        for descriptor, _ in self._poller.poll(math.ceil(1000 * wait)):
            if self._exit is None:
                self._handle_event(descriptor)
        if not has_pidfd and self._exit is None and not self.worker.is_alive():
            self._on_exit()
        return self._exit is not None

    def _finish(self, kind: ExitKind, result: Message | None = None, protocol_error: str = "") -> None:
        self._exit = Exit(kind, result, protocol_error)

    # -- what goes to the worker -----------------------------------------------------------------------------------

    def _send_unsent(self) -> None:
        """Send as much as the socket takes."""
        unsent = self._unsent
        try:
            while unsent:
                unsent[0] = unsent[0][self.worker.control.send(unsent[0]) :]
                if not unsent[0]:
                    del unsent[0]
        except BlockingIOError:
            pass
        except OSError:  # the worker has gone, which `_on_exit` handles
            unsent.clear()

    def _watch_control(self) -> None:
        """Watch the socket, for writing only as long as there is something to send."""
        events = select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN
        self._poller.register(self.worker.control.fileno(), events)

    # -- what comes from the worker --------------------------------------------------------------------------------

    def _read_output(self, output: OutputCapture) -> None:
        if not output.read():
            self._unwatch(output.descriptor)

    def _on_exit(self) -> None:
        """End the session, unless the process has left a result."""
        self._read_messages()  # the worker may have sent its result before it exited
        if self._exit is None:
            self._finish("exited")

    def _read_messages(self) -> None:
        """Handle what has arrived, up to the end of the session."""
        reader = self.worker.reader
        has_more = True
        try:
            while has_more and self._exit is None:
                has_more = reader.receive()
                while self._exit is None and (message := reader.next_message()) is not None:
                    self._handle(message)
        except MALFORMED as error:
            self._finish("protocol_error", protocol_error=f"{type(error).__name__}: {error}"[:500])
        if reader.is_closed:  # the program may have closed the worker's end, and still be running
            self._unwatch(self.worker.control.fileno())

    def _handle(self, message: Message) -> None:
        """Act on one message. Raises one of `MALFORMED` for one that breaks the protocol.

        A kind that announces work after the end of the program moves the deadline: that work has a limit of its own.
        """
        if not self.worker.is_ready:
            self.worker.accept_ready(message)
            self._deadline = SYSTEM.now() + self._time_limit
            return
        match message["kind"]:
            case "line":
                line = require_int(message["line"])
                if self._emit is not None:
                    self._emit("line", self._source_line(line), line)
            case "warning":
                where = None if message["line"] is None else require_int(message["line"])
                if self._emit is not None:
                    self._emit("warning", require_str(message["text"]), where)
            case "collecting":
                self._deadline = SYSTEM.now() + _COLLECTING_TIMEOUT
            case "artifact" | "note":
                self.collector.take(message)
            case "program_ended":
                self._deadline = SYSTEM.now() + _REPORT_TIMEOUT
            case "no_variables":
                self._finish("no_variables", protocol_error=require_str(message["text"]))
            case "no_report":
                self._finish("protocol_error", protocol_error=require_str(message["text"]))
            case "result":
                self._finish("result", message)
            case kind:
                raise ValueError(f"a frame of kind {kind!r}")

    def _source_line(self, number: int) -> str:
        if not self._lines:
            self._lines = self._code.splitlines()
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""
