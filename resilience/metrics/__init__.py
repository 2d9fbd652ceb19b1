"""Metrics: `track_errors` counts and times calls, and two exporters show all numbers to monitoring systems.

`resilience.metrics.prometheus` and `resilience.metrics.opentelemetry` each have an `install`. Neither library is
imported before.
"""

from __future__ import annotations

from resilience.metrics.tracking import TrackGuard, track_errors

__all__ = ["TrackGuard", "track_errors"]
