"""Counted and timed: `track_errors`, and what Prometheus and OpenTelemetry are shown of it.

`resilience.metrics.prometheus` and `resilience.metrics.opentelemetry` each have an `install`. Neither library is
imported before.
"""

from __future__ import annotations

from resilience.metrics.tracking import TrackGuard, track_errors

__all__ = ["TrackGuard", "track_errors"]
