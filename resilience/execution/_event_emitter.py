"""Emitter of `StreamEvent`s to one listener.

Events are for those who watch. Nothing depends on them: the report is the same without a listener, and with one that
raises.
"""

from __future__ import annotations

import datetime

from resilience._callback_errors import log_callback_error
from resilience.clock import current_clock
from resilience.execution.events import EventKind, StreamEvent
from resilience.execution.executor import ExecutionReport, Listener

__all__ = ["EventEmitter", "final_event"]


class EventEmitter:
    """Calls a listener with timestamped events. An exception of the listener is logged once and changes nothing."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, kind: EventKind, text: str = "", line: int | None = None) -> None:
        now = datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)
        try:
            self._listener(StreamEvent(kind, now, text, line))
        except Exception as error:
            log_callback_error("on_event", self._listener, error)


def final_event(report: ExecutionReport) -> tuple[EventKind, str, int | None]:
    """Return kind, text and line of the last event of an execution: its error, or its result."""
    if report.error is not None:
        return "error", report.error.error_summary, report.error.line_number
    value = report.execution_result.return_value
    return "result", "" if value is None else str(value), None
