"""The parent's part while code runs: it sends the request, reads what comes, keeps the time, and kills.

One loop that blocks, for the sync and the async way, and waits for nothing without an end. An event loop may wait for
the first news itself, and have them dealt with here.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from resilience.clock import SYSTEM
from resilience.execution._framing import MALFORMED, Message, number_of, text_of
from resilience.execution._output_capture import Output
from resilience.execution._worker.framing import frame_of
from resilience.execution._worker.messages import Request
from resilience.execution._worker_process import Child

__all__ = ["Conversation", "Ending", "Tell"]

Tell = Callable[[Literal["stdout", "stderr", "line", "warning"], str, int | None], object]
"""Is told what happens: the kind, the text, the line."""
How = Literal["answered", "ended", "killed", "cancelled", "corrupt", "mute"]
"""With an answer; by itself, without one; by us, since the time was up; since nobody wants it any more; by us, since
what it sent made no sense; by us, since it never said hello."""

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
    """Since the request was sent: at least as long as the child has counted."""


class Conversation:
    """One request to one child, sent when this is made: it compiles the program, and waits to be told to run it."""

    def __init__(self, child: Child, request: Request, tell: Tell | None) -> None:
        self.child = child
        self._began = SYSTEM.now()
        self._unsent = frame_of(child.token, request)
        self._push()  # before all else: the child has more to do than this process
        self._tell = tell
        self._seconds = request["timeout"] + _GRACE
        self._code = request["code"]
        self._waits = not request["checked"]
        self._is_listening = False
        self._deadline = 0.0
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

    def hold(self, when_slow: Callable[[], object], wake: int | None = None) -> Ending:
        """Have the program run, and wait for the end of it; *when_slow* is called after 10 ms.

        *wake* becomes readable when nobody wants it any more.
        A child that has not answered is dead afterwards. One that has is about to end by itself.
        """
        try:
            if not self._is_listening:
                self._listen_from_now_on()
            if wake is not None:
                self._watch(wake, lambda: self._finish("cancelled"))
            if self._ending is None and not self._turn(_SLOW):
                when_slow()
            while (ending := self._ending) is None:
                self._turn(_AT_MOST)
        except BaseException:
            self.child.kill()
            raise
        if ending.how != "answered":
            self.child.kill()
        ready = {descriptor for descriptor, _ in self._poll.poll(0)}
        for output in (self.stdout, self.stderr):
            if output.descriptor in ready:
                output.read_rest()
        ending.seconds = SYSTEM.now() - self._began
        return ending

    def hear(self) -> Ending | None:
        """Have the program run, and deal with what has come in by now, without waiting; return the end if it is there.

        `hold` is to be called all the same.
        """
        if not self._is_listening:
            self._listen_from_now_on()
        if self._ending is None:
            self._turn(0.0)
        return self._ending

    def _listen_from_now_on(self) -> None:
        self._is_listening = True
        self._deadline = SYSTEM.now() + (self._seconds if self.child.greeted else _START)
        if self._waits:
            self._unsent += self.child.go
            self._push()
        child = self.child
        self._watch_control()
        self._watch(child.stdout, lambda: self._listen(self.stdout))
        self._watch(child.stderr, lambda: self._listen(self.stderr))
        if child.end is not None:
            self._watch(child.end, self._see_it_end)

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
            wait = min(left, most if self.child.end is not None else min(most, _POLL))
            for descriptor, _ in self._poll.poll(math.ceil(1000 * wait)):
                if self._ending is None and descriptor in self._handlers:
                    self._handlers[descriptor]()
            if self.child.end is None and self._ending is None and not self.child.is_alive():
                self._see_it_end()
        return self._ending is not None

    def _finish(self, how: How, answer: Message | None = None, trouble: str = "") -> None:
        self._ending = Ending(how, answer, trouble)

    def _push(self) -> None:
        """Send as much as it takes."""
        left = memoryview(self._unsent)
        try:
            while left:
                left = left[self.child.control.send(left) :]
        except BlockingIOError:
            pass
        except OSError:  # it has gone; its end will be seen
            left = left[:0]
        self._unsent = bytes(left)

    def _watch_control(self) -> None:
        more = bool(self._unsent)
        self._watch(self.child.control.fileno(), self._push_and_hear if more else self._hear, to_write=more)

    def _push_and_hear(self) -> None:
        self._push()
        self._watch_control()
        self._hear()

    def _listen(self, output: Output) -> None:
        if not output.read():
            self._unwatch(output.descriptor)

    def _see_it_end(self) -> None:
        self._hear()  # it may have answered before
        if self._ending is None:
            self._finish("ended")

    def _hear(self) -> None:
        frames = self.child.frames
        more = True
        try:
            while more and self._ending is None:
                more = frames.receive()
                while self._ending is None and (message := frames.take()) is not None:
                    self._take(message)
        except MALFORMED as error:
            self._finish("corrupt", trouble=f"{type(error).__name__}: {error}"[:500])
        if frames.is_closed:  # on the other side, too; the program may still run, if it has closed all there was
            self._unwatch(self.child.control.fileno())

    def _take(self, message: Message) -> None:
        kind = message["kind"]
        if not self.child.greeted:
            self.child.take_hello(message)
            self._deadline = SYSTEM.now() + self._seconds
        elif kind == "line":
            line = number_of(message["line"])
            if self._tell is not None:
                self._tell("line", self._line(line), line)
        elif kind == "warning":
            where = None if message["line"] is None else number_of(message["line"])
            if self._tell is not None:
                self._tell("warning", text_of(message["text"]), where)
        elif kind == "over":
            self._deadline = SYSTEM.now() + _REPORT
        elif kind == "trouble":
            self._finish("corrupt", trouble=text_of(message["text"]))
        elif kind == "result":
            self._finish("answered", message)
        else:
            raise ValueError(f"a frame of kind {kind!r}")

    def _line(self, number: int) -> str:
        if not self._lines:
            self._lines = self._code.splitlines()
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""
