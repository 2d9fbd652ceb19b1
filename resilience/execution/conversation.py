"""The parent's part while code runs: it sends the request, reads what comes, keeps the time, and kills.

One loop that blocks, for the sync and the async way: there is one place where a child can be waited for, and it waits
for nothing without an end. What comes from the child is not trusted: frames are bounded, and must hold together.
"""

from __future__ import annotations

import json
import math
import select
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from resilience.clock import SYSTEM
from resilience.execution.child.messages import Request
from resilience.execution.child.wire import HEADER, TOKEN, frame_of, length_of
from resilience.execution.outputs import Output
from resilience.execution.process import Child

__all__ = ["Conversation", "Ending", "Message", "Tell"]

Message = Mapping[str, object]
Tell = Callable[[Literal["stdout", "stderr", "line", "warning"], str, int | None], object]
"""Is told what happens: the kind, the text, the line."""
How = Literal["answered", "ended", "killed", "cancelled", "corrupt", "mute"]
"""With an answer; by itself, without one; by us, since the time was up; since nobody wants it any more; by us, since
what it sent made no sense; by us, since it never said hello."""

_MOST_ANSWER = 16 << 20
_MOST_FRAMES = 200_000
_START = 30.0
"""Seconds that an interpreter may take to say hello."""
_GRACE = 0.75
"""Seconds that a program has to come to its end, once its time is up."""
_REPORT = 5.0
"""Seconds that its process has, once it is over, to tell how it went."""
_POLL = 0.05
_AT_MOST = 3600.0  # `poll` takes no more than some weeks at once
_SLOW = 0.01


@dataclass(slots=True)
class Ending:
    """How it ended."""

    how: How
    answer: Message | None = None
    trouble: str = ""
    seconds: float = 0.0


class Conversation:
    """One request to one child."""

    def __init__(self, child: Child, request: Request, tell: Tell | None, wake: int | None) -> None:
        self.child = child
        self._tell = tell
        self._wake = wake
        self._seconds = request["timeout"] + _GRACE
        self._code = request["code"]
        self._unsent = memoryview(frame_of(child.token, request))
        self._received = bytearray()
        self._frames_left = _MOST_FRAMES
        self._began = SYSTEM.now()
        self._deadline = self._began + (self._seconds if child.greeted else _START)
        self._ending: Ending | None = None
        self._lines: list[str] = []
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self.stdout: Output = Output(
            child.stdout, tell=None if tell is None else lambda text: tell("stdout", text, None)
        )
        self.stderr: Output = Output(
            child.stderr, tell=None if tell is None else lambda text: tell("stderr", text, None)
        )

    def hold(self, when_slow: Callable[[], object]) -> Ending:
        """Go through it from the request to the end; *when_slow* is called after 10 ms.

        A child that has not answered is dead afterwards. One that has is about to end by itself.
        """
        try:
            self._register()
            self._send()
            if not self._turn(_SLOW):
                when_slow()
            while (ending := self._ending) is None:
                self._turn(_AT_MOST)
        except BaseException:
            self.child.kill()
            raise
        if ending.how != "answered":
            self.child.kill()
        self.stdout.read_rest()
        self.stderr.read_rest()
        ending.seconds = SYSTEM.now() - self._began
        return ending

    def _register(self) -> None:
        child = self.child
        self._watch(child.control.fileno(), self._hear)
        self._watch(child.stdout, lambda: self._listen(self.stdout))
        self._watch(child.stderr, lambda: self._listen(self.stderr))
        if child.end is not None:
            self._watch(child.end, self._see_it_end)
        if self._wake is not None:
            self._watch(self._wake, lambda: self._finish("cancelled"))

    def _watch(self, descriptor: int, handler: Callable[[], None], *, to_write: bool = False) -> None:
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN | select.POLLOUT if to_write else select.POLLIN)

    def _unwatch(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _turn(self, most: float) -> bool:
        """Wait for what comes next, and deal with it; return whether that was the end."""
        left = self._deadline - SYSTEM.now()
        if left <= 0:
            self._finish("killed" if self.child.greeted else "mute")
        else:
            wait = min(left, most if self.child.end is not None else _POLL)
            for descriptor, _ in self._poll.poll(math.ceil(1000 * wait)):
                if self._ending is None and descriptor in self._handlers:
                    self._handlers[descriptor]()
            if self.child.end is None and self._ending is None and not self.child.is_alive():
                self._see_it_end()
        return self._ending is not None

    def _finish(self, how: How, answer: Message | None = None, trouble: str = "") -> None:
        self._ending = Ending(how, answer, trouble)

    def _send(self) -> None:
        control = self.child.control
        while self._unsent:
            try:
                self._unsent = self._unsent[control.send(self._unsent) :]
            except BlockingIOError:
                self._watch(control.fileno(), self._send_and_hear, to_write=True)
                return
            except OSError:  # it has gone; its end will be seen
                break
        self._watch(control.fileno(), self._hear)

    def _send_and_hear(self) -> None:
        self._send()
        self._hear()

    def _listen(self, output: Output) -> None:
        if not output.read():
            self._unwatch(output.descriptor)

    def _see_it_end(self) -> None:
        self._hear()  # it may have answered before
        if self._ending is None:
            self._finish("ended")

    def _hear(self) -> None:
        while self._ending is None:
            try:
                piece = self.child.control.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                # The other side is closed. The program may still run: it may have closed all there was.
                self._unwatch(self.child.control.fileno())
                return
            self._received += piece
            try:
                self._take_frames()
            except (ValueError, RecursionError, TypeError, KeyError) as error:
                self._finish("corrupt", trouble=f"{type(error).__name__}: {error}"[:500])

    def _take_frames(self) -> None:
        while self._ending is None and len(self._received) >= HEADER:
            length = length_of(bytes(self._received[:HEADER]))
            if length > _MOST_ANSWER:
                raise ValueError(f"a frame of {length} bytes")
            if len(self._received) < HEADER + length:
                return
            frame = bytes(self._received[HEADER : HEADER + length])
            del self._received[: HEADER + length]
            self._frames_left -= 1
            if self._frames_left < 0:
                raise ValueError(f"more than {_MOST_FRAMES} frames")
            if frame[:TOKEN] != self.child.token:
                raise ValueError("a frame without the token")
            message = _decode(frame[TOKEN:].decode("ascii"))
            if not isinstance(message, dict):
                raise TypeError("a frame that holds no object")
            self._take(cast("Message", message))

    def _take(self, message: Message) -> None:
        kind = message["kind"]
        if not self.child.greeted:
            self._take_hello(message)
        elif kind == "line":
            line = _number(message["line"])
            if self._tell is not None:
                self._tell("line", self._line(line), line)
        elif kind == "warning":
            where = None if message["line"] is None else _number(message["line"])
            if self._tell is not None:
                self._tell("warning", _text(message["text"]), where)
        elif kind == "over":
            self._deadline = SYSTEM.now() + _REPORT
        elif kind == "trouble":
            self._finish("corrupt", trouble=_text(message["text"]))
        elif kind == "result":
            self._finish("answered", message)
        else:
            raise ValueError(f"a frame of kind {kind!r}")

    def _line(self, number: int) -> str:
        if not self._lines:
            self._lines = self._code.splitlines()
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def _take_hello(self, message: Message) -> None:
        if message["kind"] != "hello" or message["pid"] != self.child.pid:
            raise ValueError("something else than hello")
        self.child.greeted = True
        self.child.python_version = _text(message["python"])
        self._deadline = SYSTEM.now() + self._seconds


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no number")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value.encode("utf-8", "replace").decode("utf-8")


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode
