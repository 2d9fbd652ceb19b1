"""`DeadlineHeader`: the name of a header, and how it has the seconds that are left."""

from __future__ import annotations

from resilience._deadline_header import DeadlineHeader, TimeFormat

__all__ = ["DeadlineHeader", "TimeFormat"]
