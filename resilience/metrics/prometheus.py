"""What Prometheus is shown: read when it scrapes; written to files as it goes where several processes answer as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Protocol

from prometheus_client import REGISTRY, CollectorRegistry, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from resilience.metrics import names
from resilience.metrics.names import BOUNDS, METRICS, bound_name, prometheus_name
from resilience.metrics.reading import Reader
from resilience.metrics.records import Durations
from resilience.policies.retry_budget import RetryBudget
from resilience.subscription import subscribe

__all__ = ["Installed", "install"]


def install(
    registry: CollectorRegistry = REGISTRY, component: str | None = None, *, budgets: Iterable[RetryBudget] = ()
) -> Installed:
    """Have Prometheus shown what the policies and `track_errors` count, in *registry*, until undone.

    *component* is that of the errors of functions that name none themselves. *budgets* are retry budgets to show beside
    those of tracked functions; each needs a name. Call it once in each process, at start-up. Installed twice in one
    registry it is there once, until both are undone; ValueError where the two differ.

    Where PROMETHEUS_MULTIPROC_DIR is set, nothing is put in *registry*: numbers go to that directory within a second,
    and `prometheus_client.multiprocess.MultiProcessCollector` reads them.

    >>> from prometheus_client import generate_latest
    >>> registry = CollectorRegistry()
    >>> with install(registry):
    ...     "resilience_calls_total" in generate_latest(registry).decode()
    True
    """
    if not isinstance(registry, CollectorRegistry):
        raise TypeError(f"registry={registry!r}: give a prometheus_client.CollectorRegistry")
    reader = Reader(component, budgets)
    several = bool(getattr(values.ValueClass, "_multiprocess", False))
    # All of a process's numbers go to the same files, whatever the registry.
    place = None if several else registry
    with _lock:
        for held in _held:
            if held.place is place:
                if held.reader.component != component:
                    raise ValueError(f"component={component!r}: installed already, with {held.reader.component!r}")
                held.reader.add_budgets(reader)
                held.times += 1
                return Installed(held)
        sink: _Sink
        if several:
            from resilience.metrics.multiprocess import Files

            sink = Files(reader)
        else:
            sink = _Collected(reader, registry)
        _held.append(held := _Held(place, reader, sink, subscribe(sink.listener)))
    return Installed(held)


class _Sink(Protocol):
    listener: Callable[..., object]

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _Held:
    """What is in one registry, and how many times it was asked for."""

    def __init__(
        self, place: CollectorRegistry | None, reader: Reader, sink: _Sink, unsubscribe: Callable[[], object]
    ) -> None:
        self.place = place
        self.reader = reader
        self.sink = sink
        self.unsubscribe = unsubscribe
        self.times: int = 1


_held: list[_Held] = []
_lock = threading.Lock()


class Installed:
    """Metrics in a registry: call it, or leave its ``with`` block, to take them out again."""

    def __init__(self, held: _Held) -> None:
        self._held: _Held | None = held

    def flush(self) -> None:
        """Write down at once what several processes share, before a process ends that runs no exit handlers."""
        if self._held is not None:
            self._held.sink.flush()

    def __call__(self) -> None:
        """Take them out. Doing it twice is fine."""
        with _lock:
            held, self._held = self._held, None
            if held is None:
                return
            held.times -= 1
            if held.times:
                return
            _held.remove(held)
        held.unsubscribe()
        held.sink.close()

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()


class _Collected:
    """A collector: it keeps nothing but the counts of events, and reads everything when it is scraped."""

    def __init__(self, reader: Reader, registry: CollectorRegistry) -> None:
        self.listener: Callable[..., object] = reader.counts
        self._reader = reader
        self._registry = registry
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Return the names, for the registry to see that nobody else has them."""
        return (_family(metric) for metric in METRICS)

    def collect(self) -> Iterator[Metric]:
        """Return the numbers of this moment."""
        numbers = self._reader.read_all()
        for metric in METRICS:
            family = _family(metric)
            if isinstance(family, HistogramMetricFamily):
                for labels, durations in self._reader.durations().items():
                    family.add_metric(labels, _buckets(durations), durations.seconds)
            elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
                for labels, number in numbers[metric].items():
                    family.add_metric(labels, number)
            yield family

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._registry.unregister(self)


def _family(metric: names.Metric) -> Metric:
    name = prometheus_name(metric)
    if metric.kind == "counter":
        return CounterMetricFamily(name, metric.help, labels=metric.labels)
    if metric.kind == "gauge":
        return GaugeMetricFamily(name, metric.help, labels=metric.labels)
    return HistogramMetricFamily(name, metric.help, labels=metric.labels)


def _buckets(durations: Durations) -> Sequence[tuple[str, float]]:
    """Return the buckets as Prometheus has them: each holds those before it."""
    found: list[tuple[str, float]] = []
    so_far = 0
    for bound, count in zip((*BOUNDS, float("inf")), durations.counts, strict=True):
        so_far += count
        found.append((bound_name(bound), float(so_far)))
    return found
