"""Events from the thread where they happen to the one that waits, where the listener is called."""

from __future__ import annotations

import concurrent.futures
import datetime
import queue
from typing import TypeVar

from resilience._callback_errors import log_callback_error
from resilience.clock import current_clock
from resilience.execution.events import EventKind, StreamEvent
from resilience.execution.executor import Listener

__all__ = ["Relay"]

T = TypeVar("T")

_MOST = 10_000  # events on the way, to a listener that is slow


class Relay:
    """Takes events in any thread, and hands them to *listener* in the one that calls `wait`."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self._missed = 0

    def tell(self, kind: EventKind, text: str = "", line: int | None = None) -> None:
        """Take an event. Where too many are on the way, output is left out, and that is said."""
        if self._listener is None:
            return
        now = datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)
        if kind in ("stdout", "stderr") and self._events.qsize() >= _MOST:
            self._missed += 1
            return
        if self._missed:
            self._events.put(StreamEvent("warning", now, f"{self._missed} pieces of output were left out here"))
            self._missed = 0
        self._events.put(StreamEvent(kind, now, text, line))

    def wait(self, future: concurrent.futures.Future[T]) -> T:
        """Hand out events until *future* is done; return what it comes to. Interrupted, it is cancelled."""
        future.add_done_callback(lambda _: self._events.put(None))
        try:
            while (event := self._events.get()) is not None:
                self._hand_out(event)
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _hand_out(self, event: StreamEvent) -> None:
        listener = self._listener
        assert listener is not None, "without one nothing is taken"
        try:
            listener(event)
        except Exception as error:
            log_callback_error("on_event", listener, error)
