"""Prometheus: metrics in a registry, read when it is scraped; or in files, where several processes answer as one.

`install` puts a collector into a `prometheus_client` registry. The collector holds no numbers of its own: a scrape
reads the statistics of calls, the counts of events, the circuits and the budgets as they are at that moment. Where
PROMETHEUS_MULTIPROC_DIR is set a scrape can ask only one of the processes, so each writes its numbers to files instead
(`resilience.integrations._prometheus_multiprocess`).
"""

from __future__ import annotations

import itertools
import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from resilience._forks import fork_safe
from resilience._listeners import subscribe
from resilience._undo import Undo
from resilience.clock import current_clock
from resilience.integrations._extras import missing_library
from resilience.metrics._call_stats import CALL_STATS, CallStats, Durations
from resilience.metrics._collector import Collector
from resilience.metrics.definitions import BOUNDS, CANCELLED, DURATION, all_metrics, bound_name
from resilience.policies.retry_budget import RetryBudget

try:
    from prometheus_client import REGISTRY, CollectorRegistry, values
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.samples import Exemplar
except ModuleNotFoundError as _error:
    raise missing_library(_error, "prometheus") from None

if TYPE_CHECKING:
    from resilience._metric import Metric as Declared
    from resilience.events import Event

__all__ = ["Installed", "install"]

_ExemplarSource: TypeAlias = "Callable[[], Mapping[str, str] | None]"


def install(
    registry: CollectorRegistry = REGISTRY,
    component: str | None = None,
    *,
    budgets: Iterable[RetryBudget] = (),
    exemplars: Callable[[], Mapping[str, str] | None] | None = None,
) -> Installed:
    """Show Prometheus what the policies and `track_errors` count, in *registry*, until undone.

    *component* is that of the errors of functions that name none themselves. *budgets* are retry budgets to show beside
    those of tracked functions; each needs a name. *exemplars* returns the labels of an exemplar for the call that ends,
    or None, such as `resilience.integrations.opentelemetry.current_trace`: each bucket of a duration shows its last one
    in the OpenMetrics format. Every call of a tracked function asks it, which costs some microseconds.

    Call it once in each process, at start-up. Installed twice in one registry it is there once, until both are undone;
    ValueError where the two differ.

    Where PROMETHEUS_MULTIPROC_DIR is set, nothing is put in *registry*, and there are no exemplars: numbers go to that
    directory within a second, and `prometheus_client.multiprocess.MultiProcessCollector` reads them.

    >>> from prometheus_client import generate_latest
    >>> registry = CollectorRegistry()
    >>> with install(registry):
    ...     "resilience_calls_total" in generate_latest(registry).decode()
    True
    """
    if not isinstance(registry, CollectorRegistry):
        raise TypeError(f"registry={registry!r}: give a prometheus_client.CollectorRegistry")
    collector = Collector(component, budgets)
    place: CollectorRegistry | None = registry
    if getattr(values.ValueClass, "_multiprocess", False):
        place = None  # the processes write to one directory, whatever the registry
    with _lock:
        export = _exports.get(place)
        if export is None:
            export = _exports[place] = _Export(place, collector, exemplars)
        else:
            export.join(collector)
    return Installed(export)


class Installed(Undo):
    """Metrics in a registry: call it, or leave its ``with`` block, to take them out again."""

    def __init__(self, export: _Export) -> None:
        self._export: _Export | None = export

    def flush(self) -> None:
        """Write to the files of several processes at once, before a process ends that runs no exit handlers."""
        if self._export is not None:
            self._export.sink.flush()

    def __call__(self) -> None:
        """Take the metrics out, unless they are installed a second time. Doing it twice is fine."""
        with _lock:
            export, self._export = self._export, None
            if export is None or not export.leave():
                return
        export.close()


class _Sink(Protocol):
    """The destination of the values: a registry, or the files of several processes.

    `listener` counts events and is subscribed by the owner, `flush` writes what is not written yet, and `close` takes
    the metrics out of the registry, or ends the writing.
    """

    def listener(self, event: Event, /) -> object: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _Export:
    """The metrics in one registry, or in the files of this process, and how many times they are installed there.

    A framework and the application may both install them. The second install shares the first one's sink, since two
    would count everything twice. The caller of `join` and `leave` holds `_lock`.
    """

    def __init__(
        self, place: CollectorRegistry | None, collector: Collector, exemplars: _ExemplarSource | None
    ) -> None:
        self._place = place
        self._collector = collector
        self._installs = 1
        self.sink: _Sink = _sink(place, collector, exemplars)
        self._unsubscribe = subscribe(self.sink.listener)

    def join(self, collector: Collector) -> None:
        """Install once more. Raises ValueError where the component is another one."""
        if collector.component != self._collector.component:
            raise ValueError(
                f"component={collector.component!r}: installed already, with {self._collector.component!r}"
            )
        self._collector.add_budgets(collector)
        self._installs += 1

    def leave(self) -> bool:
        """Undo one of the installs; return whether it was the last, after which `close` is to be called."""
        self._installs -= 1
        if self._installs:
            return False
        del _exports[self._place]
        return True

    def close(self) -> None:
        """Stop counting events, and take the metrics out of their place."""
        self._unsubscribe()
        self.sink.close()


_exports: dict[CollectorRegistry | None, _Export] = {}
_lock = fork_safe(threading.Lock())


def _sink(place: CollectorRegistry | None, collector: Collector, exemplars: _ExemplarSource | None) -> _Sink:
    """Return the sink for a registry; for None that of the files, whose module is imported only then."""
    if place is not None:
        return _InRegistry(collector, place, exemplars)
    from resilience.integrations._prometheus_multiprocess import FileSink

    return FileSink(collector)


class _InRegistry:
    """A prometheus_client collector: asked for metric families by the registry at each scrape."""

    def __init__(self, collector: Collector, registry: CollectorRegistry, exemplars: _ExemplarSource | None) -> None:
        self.listener = collector.events
        self._collector = collector
        self._registry = registry
        self._exemplars = None if exemplars is None else _Exemplars(exemplars)
        registry.register(self)
        if self._exemplars is not None:
            CALL_STATS.add_observer(self._exemplars.record)

    def describe(self) -> Iterator[Metric]:
        """Return families without numbers: the registry refuses names that another collector has."""
        return map(_family, all_metrics())

    def collect(self) -> Iterator[Metric]:
        """Return the families with their numbers of this moment."""
        for metric, found in self._collector.read_all().items():
            family = _family(metric)
            for labels, number in found.items():
                family.add_metric(labels, number)
            yield family
        family = _family(DURATION)
        for labels, durations in self._collector.durations().items():
            buckets: Sequence[Any] = _cumulative(durations)
            if self._exemplars is not None:
                buckets = self._exemplars.added_to(labels, buckets)
            family.add_metric(labels, buckets, durations.seconds)
        yield family

    def flush(self) -> None:
        pass

    def close(self) -> None:
        if self._exemplars is not None:
            CALL_STATS.remove_observer(self._exemplars.record)
        self._registry.unregister(self)


class _Exemplars:
    """The last exemplar of each bucket of a duration: the labels that *source* gave, the seconds, and the time."""

    def __init__(self, source: _ExemplarSource) -> None:
        self._source = source
        self._last: dict[tuple[str, str], dict[int, Exemplar]] = {}

    def record(self, stats: CallStats, outcome: str, took: float) -> bool:
        """Note the exemplar of a call that has ended. It observes every call, so it always asks for the next one."""
        labels = self._source() if outcome != CANCELLED else None
        if labels:
            bucket = bisect_left(BOUNDS, took)
            self._last.setdefault((stats.target, outcome), {})[bucket] = Exemplar(
                dict(labels), took, current_clock().wall()
            )
        return True

    def added_to(self, labels: Sequence[str], buckets: Sequence[tuple[str, float]]) -> Sequence[Any]:
        """Return the *buckets* of the series of these *labels* with the exemplars they have."""
        target, outcome = labels
        last = self._last.get((target, outcome), {}).copy()
        return [(*bucket, last[number]) if number in last else bucket for number, bucket in enumerate(buckets)]


_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}


def _family(metric: Declared) -> Any:
    """Return an empty family. Its type is Any, since `add_metric` takes something else for each kind of metric."""
    return _FAMILIES[metric.kind](metric.family, metric.help, labels=metric.labels)


def _cumulative(durations: Durations) -> Sequence[tuple[str, float]]:
    """Return Prometheus' buckets: the count of each includes those of the lower ones."""
    bounds = map(bound_name, (*BOUNDS, math.inf))
    counts = map(float, itertools.accumulate(durations.counts))
    return list(zip(bounds, counts, strict=True))
