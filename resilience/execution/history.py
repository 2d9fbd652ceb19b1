"""History of failures: frequency, typical causes, and resolutions recorded by the caller.

A generator gets the resolutions of earlier failures like its last one. Failures are alike where type and message agree
without quoted text and numbers. A history that cannot be written never fails an execution.
"""

from __future__ import annotations

import datetime
import os
import re
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from resilience._callback_errors import log_callback_error
from resilience._validation import parse_count
from resilience.errors._json_safe import Json, safe_text
from resilience.execution._history_file import HistoryFile
from resilience.execution.executor import ExecutionReport
from resilience.report.model import ErrorReport

__all__ = ["Advice", "CommonError", "ErrorHistory", "HistoryEntry", "pattern_of"]

_MAX_TEXT = 500
_MAX_CAUSES = 3
# Parts of a message that differ between failures of one kind: quoted text, addresses, numbers.
_QUOTED = re.compile(r"(?<!\w)(?:'[^'\n]*'|\"[^\"\n]*\")(?!\w)")
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One failure and its resolution.

    >>> noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    >>> entry = HistoryEntry(execution_id="exec_1", timestamp=noon, error_type="KeyError", message="'lamp'")
    >>> entry.pattern, entry.to_dict()["timestamp"]
    ("KeyError: '...'", '2026-01-01T12:00:00Z')
    """

    execution_id: str
    timestamp: datetime.datetime
    error_type: str
    message: str
    cause: str = ""
    resolution: str = ""
    """The fix, empty until `ErrorHistory.resolve` records it."""
    learning: str = ""
    """The lesson for later code."""

    @property
    def pattern(self) -> str:
        """Type and normalised message, shared by failures of one kind."""
        return pattern_of(self.error_type, self.message)

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON takes it."""
        moment = self.timestamp.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "execution_id": self.execution_id,
            "timestamp": moment,
            "error_type": self.error_type,
            "error_message": self.message,
            "resolution": self.resolution,
            "learning": self.learning,
        }


@dataclass(frozen=True, slots=True)
class CommonError:
    """Failures of one kind: their number and most frequent causes, up to three.

    >>> CommonError("KeyError: '...'", 2, ("the key is missing",)).to_dict()["frequency"]
    2
    """

    error_pattern: str
    frequency: int
    typical_causes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON takes it."""
        return {
            "error_pattern": self.error_pattern,
            "frequency": self.frequency,
            "typical_causes": list(self.typical_causes),
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """A resolution that helped before, and how many *times*.

    >>> str(Advice("added import pandas as pd", "import before use", times=2))
    'added import pandas as pd (import before use)'
    """

    resolution: str
    learning: str
    times: int

    def __str__(self) -> str:
        return f"{self.resolution} ({self.learning})" if self.learning else self.resolution


class ErrorHistory:
    """Keeps the last *limit* failures: in memory, or with *path* in a file that outlives the process.

    The file is an SQLite database; several threads and processes may share it. One that is broken, or stays locked,
    breaks no execution: it is logged once on the ``resilience`` logger, and the history continues in memory.

    Kept are the type, the message and the cause of a failure as its report has them, redacted; neither code nor values.

    >>> from resilience.categories import ErrorCategory
    >>> def missing(name: str) -> ErrorReport:
    ...     noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    ...     return ErrorReport(category=ErrorCategory.RUNTIME, error_type="NameError", timestamp=noon,
    ...                        error_message=f"name '{name}' is not defined", error_summary="undefined variable")
    >>> history = ErrorHistory()
    >>> history.record(missing("pd"), "exec_1")
    >>> history.resolve("exec_1", "added import pandas as pd", "import before use")
    True
    >>> history.record(missing("np"), "exec_2")
    >>> [str(advice) for advice in history.advice(missing("pd"))]
    ['added import pandas as pd (import before use)']
    >>> [(each.error_pattern, each.frequency) for each in history.common_errors()]
    [("NameError: name '...' is not defined", 2)]
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, limit: int = 1000) -> None:
        self._limit = parse_count("limit", limit)
        self._memory: deque[HistoryEntry] = deque(maxlen=self._limit)
        self._lock = threading.Lock()
        self._file = None if path is None else HistoryFile(os.fspath(path), self._limit)

    def record(self, report: ExecutionReport | ErrorReport, execution_id: str | None = None) -> None:
        """Record a failure under *execution_id*, by default that of the execution. A success is not recorded.

        Once there are more than *limit* failures, the oldest one is dropped.
        """
        if isinstance(report, ExecutionReport):
            execution_id = report.execution_id if execution_id is None else execution_id
            if report.error is None:
                return
            report = report.error
        entry = HistoryEntry(
            execution_id=safe_text(execution_id or "", _MAX_TEXT),
            timestamp=report.timestamp,
            error_type=report.error_type,
            message=safe_text(report.error_message, _MAX_TEXT),
            cause=safe_text(report.immediate_cause, _MAX_TEXT),
        )
        if not self._written(entry):
            with self._lock:
                self._memory.append(entry)

    def _written(self, entry: HistoryEntry) -> bool:
        """Write to the file; return whether that succeeded."""
        if self._file is None:
            return False
        try:
            self._file.add(_row_of(entry), entry.pattern)
        except (sqlite3.Error, OSError) as error:
            self._report(error)
            return False
        return True

    def resolve(self, execution_id: str, resolution: str, learning: str = "") -> bool:
        """Record how the failures of *execution_id* were resolved, and the lesson.

        Return whether there are any: they may have been evicted.

        >>> ErrorHistory().resolve("exec_1", "added import pandas as pd")
        False
        """
        execution_id = safe_text(execution_id, _MAX_TEXT)
        resolution, learning = safe_text(resolution, _MAX_TEXT), safe_text(learning, _MAX_TEXT)
        found = False
        if self._file is not None:
            try:
                found = self._file.resolve(execution_id, resolution, learning)
            except (sqlite3.Error, OSError) as error:
                self._report(error)
        with self._lock:
            for at, entry in enumerate(self._memory):
                if entry.execution_id == execution_id:
                    self._memory[at] = replace(entry, resolution=resolution, learning=learning)
                    found = True
        return found

    def advice(self, report: ExecutionReport | ErrorReport) -> tuple[Advice, ...]:
        """Return resolutions of failures like this one: those of the same message first, then the most frequent.

        Failures are alike if their type and their message are the same but for quoted texts, addresses and numbers.
        """
        error = report.error if isinstance(report, ExecutionReport) else report
        if error is None:
            return ()
        message = safe_text(error.error_message, _MAX_TEXT)
        alike = [each for each in self.entries(pattern_of(error.error_type, message)) if each.resolution]
        times = Counter((each.resolution, each.learning) for each in alike)
        same = {(each.resolution, each.learning) for each in alike if each.message == message}
        ranked = sorted(times.items(), key=lambda item: (item[0] not in same, -item[1]))
        return tuple(Advice(*said, times=number) for said, number in ranked)

    def entries(self, pattern: str | None = None) -> list[HistoryEntry]:
        """Return the recorded failures, the oldest first; with *pattern*, only those of that kind."""
        found: list[HistoryEntry] = []
        if self._file is not None:
            try:
                found = [_entry_of(row) for row in self._file.rows(pattern)]
            except (sqlite3.Error, OSError, ValueError) as error:
                self._report(error)
        with self._lock:
            memory = list(self._memory)
        return found + [each for each in memory if pattern is None or each.pattern == pattern]

    def common_errors(self) -> tuple[CommonError, ...]:
        """Return the kinds of failures with their counts, the most frequent first."""
        return _common(self.entries())

    def to_dict(self) -> dict[str, Json]:
        """Return the history as JSON-compatible data: ``error_history`` and ``common_errors``."""
        entries = self.entries()
        return {
            "error_history": [each.to_dict() for each in entries],
            "common_errors": [each.to_dict() for each in _common(entries)],
        }

    def __len__(self) -> int:
        return len(self.entries())

    def __repr__(self) -> str:
        where = "in memory" if self._file is None else f"in {self._file.path!r}"
        return f"<ErrorHistory {where}, limit={self._limit}>"

    def _report(self, error: Exception) -> None:
        log_callback_error("error history", self, error)


def pattern_of(error_type: str, message: str) -> str:
    """Return the type and the message with quoted text and numbers replaced.

    >>> pattern_of("IndexError", "list index 7 out of range"), pattern_of("KeyError", "'lamp'")
    ('IndexError: list index # out of range', "KeyError: '...'")
    """
    normal = _NUMBER.sub("#", _QUOTED.sub("'...'", message))
    return f"{error_type}: {' '.join(normal.split())}"


def _common(entries: Iterable[HistoryEntry]) -> tuple[CommonError, ...]:
    causes: dict[str, Counter[str]] = {}
    frequency: Counter[str] = Counter()
    for entry in entries:
        pattern = entry.pattern
        frequency[pattern] += 1
        causes.setdefault(pattern, Counter()).update([entry.cause] if entry.cause else [])
    return tuple(
        CommonError(pattern, number, tuple(cause for cause, _ in causes[pattern].most_common(_MAX_CAUSES)))
        for pattern, number in frequency.most_common()
    )


def _row_of(entry: HistoryEntry) -> tuple[str, ...]:
    moment = entry.timestamp.astimezone(datetime.UTC).isoformat()
    return entry.execution_id, moment, entry.error_type, entry.message, entry.cause, entry.resolution, entry.learning


def _entry_of(row: Sequence[str]) -> HistoryEntry:
    execution_id, moment, error_type, message, cause, resolution, learning = row
    return HistoryEntry(
        execution_id=execution_id,
        timestamp=datetime.datetime.fromisoformat(moment),
        error_type=error_type,
        message=message,
        cause=cause,
        resolution=resolution,
        learning=learning,
    )
