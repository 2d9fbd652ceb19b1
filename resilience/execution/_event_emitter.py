"""SuccessReporting a listener what happens while it happens."""

from __future__ import annotations

import datetime

from resilience._callback_errors import log_callback_error
from resilience.clock import current_clock
from resilience.execution.events import EventKind, StreamEvent
from resilience.execution.executor import Listener

__all__ = ["SuccessReporting"]


class SuccessReporting:
    """Makes events for a listener, and sees to it that none of its errors gets in the way."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, kind: EventKind, text: str = "", line: int | None = None) -> None:
        now = datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)
        try:
            self._listener(StreamEvent(kind, now, text, line))
        except Exception as error:
            log_callback_error("on_event", self._listener, error)
