"""Events of an execution, emitted while the program runs."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

__all__ = ["EventKind", "StreamEvent"]

EventKind = Literal["start", "stdout", "stderr", "line", "warning", "error", "result"]


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One moment of an execution: a piece of output, a line that is reached, the end.

    *text* is the output, the message of a warning or an error, or for ``result`` the value of the last expression.
    *line* is where, counted from 1, where that is known.
    """

    kind: EventKind
    timestamp: datetime.datetime
    text: str = ""
    line: int | None = None

    @property
    def level(self) -> Literal["info", "warning", "error"]:
        """Severity of the event."""
        return self.kind if self.kind in ("warning", "error") else "info"

    def to_dict(self) -> dict[str, str | int | None]:
        """Return it as JSON takes it.

        >>> noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
        >>> StreamEvent("warning", noon, "output was cut").to_dict()
        {'kind': 'warning', 'timestamp': '2026-01-01T12:00:00.000Z', 'level': 'warning', 'message': 'output was cut'}
        """
        moment = self.timestamp.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found: dict[str, str | int | None] = {
            "kind": self.kind,
            "timestamp": moment,
            "level": self.level,
            "message": self.text,
        }
        if self.line is not None:
            found["line"] = self.line
        return found
