"""Log lines of the toolkit: written where the application logs, and limited in number.

A line is an event's name with keys. `LogLine.write` hands it to structlog where the application has configured it, and
else to the stdlib's `logging`, where the keys are attributes of the record. `LineRate` limits the lines of each kind,
so that an outage does not fill the log with copies of one line.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
import threading
from collections.abc import Hashable, Mapping

from resilience._forks import fork_safe
from resilience.categories import Severity
from resilience.classification.classifier import explain
from resilience.clock import current_clock

__all__ = ["LEVELS", "RECORD_ATTRIBUTES", "LineRate", "LogLine", "reason_of"]

LEVELS: Mapping[Severity, int] = {
    Severity.DEBUG: logging.DEBUG,
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}
RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "event"}
"""Keys that a line cannot have: a record has these attributes already, or its formatter sets them."""

_MAX_KINDS = 1000
_OWN_REASON = ("registered", "declared", "group", "unknown")


@dataclasses.dataclass(frozen=True, slots=True)
class LogLine:
    """A line: *event* with *fields*, and *text* in place of both for a stdlib record; with *error* its traceback."""

    level: int
    event: str
    fields: Mapping[str, object]
    text: str
    error: BaseException | None = None

    def write(self, logger: str) -> None:
        """Write the line to the logger of this name.

        Each line asks for structlog anew, since applications configure it late. An unconfigured structlog prints to
        stdout, and one that has not been imported is not configured.
        """
        structlog = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            fields = dict(self.fields)
            if self.error is not None:
                fields["exc_info"] = self.error
            structlog.get_logger(logger).log(self.level, self.event, **fields)
            return
        logging.getLogger(logger).log(self.level, "%s", self.text, extra=self.fields, exc_info=self.error)


class LineRate:
    """Limit of *lines* of each kind in *seconds*; the first line after a pause says how many were suppressed.

    The time is the toolkit's, virtual in tests. Of more than a thousand kinds at a time the oldest are forgotten.

    >>> rate = LineRate(1)
    >>> rate.suppressed("a"), rate.suppressed("a"), rate.suppressed("b")
    (0, None, 0)
    """

    def __init__(self, lines: float, seconds: float = 60.0) -> None:
        self._lines = lines
        self._seconds = seconds
        self._windows: dict[Hashable, _Window] = {}
        # Re-entrant: a signal handler may make a call that fails while the lock is held.
        self._lock = fork_safe(threading.RLock())

    def suppressed(self, kind: Hashable) -> int | None:
        """Count a line of *kind*; return how many were suppressed since the last one, or None to suppress this one."""
        now = current_clock().now()
        with self._lock:
            window = self._windows.get(kind) or _Window(-math.inf)
            if not 0 <= now - window.began < self._seconds:
                self._begin(kind, now)
                return window.suppressed
            if window.written < self._lines:
                window.written += 1
                return 0
            window.suppressed += 1
            return None

    def _begin(self, kind: Hashable, now: float) -> None:
        """Begin a window with its first line; forget the oldest where there are too many."""
        self._windows.pop(kind, None)
        if len(self._windows) >= _MAX_KINDS:
            del self._windows[next(iter(self._windows))]
        self._windows[kind] = _Window(now)


@dataclasses.dataclass(slots=True)
class _Window:
    """The lines of one kind since *began*."""

    began: float
    written: int = 1
    suppressed: int = 0


def reason_of(error: object) -> str | None:
    """Return why *error* has its category, such as a status or an errno; None where its class says as much.

    >>> reason_of(OSError(28, "No space left on device")), reason_of(ConnectionResetError())
    ('No space left on device (ENOSPC)', None)
    """
    if not isinstance(error, BaseException):
        return None
    found = explain(error)
    if found.rule in _OWN_REASON or found.reason.endswith(f" is {found.category.label}"):
        return None
    _, _, reason = found.reason.rpartition(": ")
    return reason.removeprefix("response ")
