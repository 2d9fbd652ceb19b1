"""Metrics: `track_errors` counts and times calls, and two exporters show all numbers to monitoring systems.

Numbers come from two places. Calls of tracked functions add to `_call_stats` as they end. Policies emit events, each of
which adds to the counter that its class declares (`_event_counters`). Circuits and retry budgets keep their own state.

    track_errors  ->  call_stats  --+
    events  ->  event_counters    --+->  collector  ->  prometheus, multiprocess, opentelemetry
    circuits, retry budgets       --+

A collector reads all of them at the moment an exporter asks. `definitions` has the names, so no exporter spells one.

The exporters are `resilience.integrations.prometheus` and `resilience.integrations.opentelemetry`, each with an
`install`. Neither client library is imported before: a program that tracks its calls needs none of them.
"""

from __future__ import annotations

from resilience.metrics.tracking import TrackGuard, track_errors

__all__ = ["TrackGuard", "track_errors"]
