"""Bridge for events from the event loop's thread to the caller's thread, where the listener runs."""

from __future__ import annotations

import concurrent.futures
import datetime
import queue
from typing import TypeVar

from resilience._callback_errors import log_callback_error
from resilience.clock import current_clock
from resilience.execution.events import EventKind, StreamEvent
from resilience.execution.executor import Listener

__all__ = ["EventBridge"]

T = TypeVar("T")

_MAX_QUEUED = 10_000  # events that wait for a slow listener


class EventBridge:
    """Takes events in any thread and calls *listener* with them in the thread that calls `wait`.

    The event loop of the kernels must not run code of the caller, which may block. And a listener may expect to be
    called where its caller waits, as by the other executors.
    """

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self._dropped = 0

    def emit(self, kind: EventKind, text: str = "", line: int | None = None) -> None:
        """Queue an event. If the queue is full, output is dropped, and a ``warning`` event says how much."""
        if self._listener is None:
            return
        now = datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)
        if kind in ("stdout", "stderr") and self._events.qsize() >= _MAX_QUEUED:
            self._dropped += 1
            return
        if self._dropped:
            self._events.put(StreamEvent("warning", now, f"{self._dropped} pieces of output were dropped here"))
            self._dropped = 0
        self._events.put(StreamEvent(kind, now, text, line))

    def wait(self, future: concurrent.futures.Future[T]) -> T:
        """Call the listener until *future* is done, and return its result. Interrupted, it cancels *future*."""
        future.add_done_callback(lambda _: self._events.put(None))
        try:
            while (event := self._events.get()) is not None:
                self._call_listener(event)
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _call_listener(self, event: StreamEvent) -> None:
        listener = self._listener
        assert listener is not None, "without a listener no event is queued"
        try:
            listener(event)
        except Exception as error:
            log_callback_error("on_event", listener, error)
