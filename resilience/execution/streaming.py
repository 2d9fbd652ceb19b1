"""Async iterator over the events of an execution.

The execution runs in a thread, which puts its events into a bounded queue. The consumer takes them on its event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from resilience.execution._waiting import WakeupPipe, finish_in_thread
from resilience.execution.events import StreamEvent
from resilience.execution.executor import ExecutionReport, Listener

__all__ = ["EventStream"]

Work = Callable[[Listener, int], ExecutionReport | None]
_MAX_TEXT = 1 << 20
"""Characters of text that may be buffered."""


class EventStream:
    """The events of one execution, in order, ending with the process. Then `report` says how it went.

    The program starts when the first event is asked for. A consumer that leaves before the end has to close the stream,
    best by ``async with``, which kills the process. The program never waits for a slow consumer: once *most* events
    are buffered, its output is dropped, and a ``warning`` says how much.
    """

    def __init__(self, work: Work, most: int) -> None:
        self._work = work
        self._waiting = _EventQueue(most)
        self._wake: WakeupPipe | None = None
        self._thread: threading.Thread | None = None
        self._report: ExecutionReport | None = None
        self._error: BaseException | None = None
        self._is_closed = False

    @property
    def report(self) -> ExecutionReport:
        """The report. Raises RuntimeError before the end of the execution."""
        if self._report is None:
            raise RuntimeError("the execution has not ended: iterate over all events first")
        return self._report

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._is_closed:
            raise StopAsyncIteration
        if self._thread is None:
            self._begin()
        event = self._waiting.take()
        if event is None and not self._waiting.is_over:
            # Left behind when this is cancelled, until there is something to take, or the end.
            await anyio.to_thread.run_sync(self._waiting.wait, abandon_on_cancel=True)
            event = self._waiting.take()
        if event is not None:
            return event
        await self.aclose()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the stream: kill the process if it still runs, and wait until it has exited."""
        self._is_closed = True
        if self._thread is None or self._wake is None:
            return
        self._wake.set()
        try:
            await finish_in_thread(self._thread.join)
        finally:
            self._close_wake()

    def _close_wake(self) -> None:
        if self._wake is not None:  # else another task has closed the stream meanwhile
            self._wake.close()
            self._wake = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _begin(self) -> None:
        self._wake = WakeupPipe()
        self._thread = threading.Thread(target=self._carry_out, name="resilience stream", daemon=True)
        self._thread.start()

    def _carry_out(self) -> None:
        assert self._wake is not None, "made before the thread"
        try:
            self._report = self._work(self._waiting.put, self._wake.descriptor)
        except BaseException as error:  # raised where the events are taken
            self._error = error
        finally:
            self._waiting.end()


class _EventQueue:
    """Buffer of events, bounded in number and in length of text."""

    def __init__(self, limit: int) -> None:
        self._most = limit
        self._events: deque[StreamEvent] = deque()
        self._text = 0
        self._left_out = 0
        self._changed = threading.Condition()
        self.is_over: bool = False

    def put(self, event: StreamEvent) -> None:
        """Add an event. If the buffer is full, output, lines and warnings are dropped."""
        with self._changed:
            if event.kind in ("stdout", "stderr", "line", "warning") and self._is_full():
                self._left_out += 1
                return
            self._mark(event)
            self._add(event)
            self._changed.notify_all()

    def _mark(self, event: StreamEvent) -> None:
        """Add a warning about dropped events."""
        if self._left_out:
            self._add(StreamEvent("warning", event.timestamp, f"{self._left_out} events were dropped"))
            self._left_out = 0

    def _add(self, event: StreamEvent) -> None:
        self._events.append(event)
        self._text += len(event.text)

    def _is_full(self) -> bool:
        return len(self._events) >= self._most or self._text >= _MAX_TEXT

    def take(self) -> StreamEvent | None:
        """Return the next event, None if there is none yet."""
        with self._changed:
            if not self._events:
                return None
            event = self._events.popleft()
            self._text -= len(event.text)
            return event

    def wait(self) -> None:
        """Block this thread until there is an event, or the execution has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self.is_over)

    def end(self) -> None:
        """Mark the end of the events."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()
