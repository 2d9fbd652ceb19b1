"""What OpenTelemetry is told: numbers when it collects, durations as calls end, events on the span a call is made in.

By its API alone: without an SDK all of it goes nowhere.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation

from resilience._validation import yes_or_no
from resilience.events import Event
from resilience.metrics import names
from resilience.metrics.names import BOUNDS, METRICS, SCOPE, SPAN_EVENTS, Metric, attribute
from resilience.metrics.reading import Reader
from resilience.metrics.records import RECORDS, Record
from resilience.policies.retry_budget import RetryBudget
from resilience.subscription import subscribe

__all__ = ["Installed", "install"]


def install(
    meter_provider: MeterProvider | None = None,
    component: str | None = None,
    *,
    budgets: Iterable[RetryBudget] = (),
    durations: bool = True,
    spans: bool = True,
) -> Installed:
    """Have OpenTelemetry told what the policies and `track_errors` count, until undone.

    *meter_provider* is the global one unless given. *component* is that of the errors of functions that name none
    themselves. *budgets* are retry budgets to show beside those of tracked functions; each needs a name. With
    *durations* each call of a tracked function is recorded as it ends, which costs a few microseconds; all else is read
    when it is collected. With *spans* retries, rejections, time limits, substitutes and circuits that change are events
    of the span that is current where they happen.

    Raises ValueError where it is installed already in that provider.

    >>> with install():
    ...     pass  # call what is guarded
    """
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    if not isinstance(provider, MeterProvider):
        raise TypeError(f"meter_provider={meter_provider!r}: give an opentelemetry MeterProvider, or None")
    yes_or_no("durations", durations)
    yes_or_no("spans", spans)
    reader = Reader(component, budgets)
    with _lock:
        instruments = _instruments.get(provider)
        if instruments is None:
            instruments = _instruments[provider] = _Instruments(provider)
        if instruments.reader is not None:
            raise ValueError("resilience.metrics.opentelemetry is installed in this provider already; undo that first")
        instruments.reader = reader
    return Installed(instruments, reader, durations=durations, spans=spans)


class Installed:
    """Metrics in a provider: call it, or leave its ``with`` block, to take them out again."""

    def __init__(self, instruments: _Instruments, reader: Reader, *, durations: bool, spans: bool) -> None:
        self._instruments: _Instruments | None = instruments
        self._undo: list[Callable[[], object]] = [subscribe(reader.counts)]
        if spans:
            self._undo.append(subscribe(add_to_span))
        if durations:
            RECORDS.watch(instruments.record)
            self._undo.append(lambda: RECORDS.unwatch(instruments.record))

    def __call__(self) -> None:
        """Take them out. Doing it twice is fine."""
        with _lock:
            if self._instruments is None:
                return
            self._instruments.reader = None
            self._instruments = None
        for undo in self._undo:
            undo()

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()


def add_to_span(event: Event) -> None:
    """Put *event* on the current span, if it is one to see there."""
    if event.name not in SPAN_EVENTS:
        return
    span = trace.get_current_span()
    if span.is_recording():
        fields = {
            attribute(key): value
            for key, value in event.fields().items()
            if isinstance(value, str | bool | int | float)
        }
        span.add_event(attribute(event.name), fields)


class _Instruments:
    """The instruments of a provider. It keeps them for good: those that are observed cannot be taken back."""

    def __init__(self, provider: MeterProvider) -> None:
        from resilience import __version__

        #: What they show, while somebody has them installed.
        self.reader: Reader | None = None
        meter = provider.get_meter(SCOPE, __version__)
        for metric in METRICS:
            if metric.kind == "histogram":
                self._histogram = _histogram(meter, metric)
            elif metric.kind == "counter":
                meter.create_observable_counter(metric.name, [self._callback(metric)], description=metric.help)
            else:
                meter.create_observable_gauge(metric.name, [self._callback(metric)], description=metric.help)

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            reader = self.reader
            if reader is None:
                return []
            return [Observation(number, _attributes(metric, labels)) for labels, number in reader.read(metric).items()]

        return observe

    def record(self, record: Record, outcome: str, took: float) -> bool:
        """Record how long a call took."""
        if outcome != names.CANCELLED:
            self._histogram.record(took, _attributes(names.DURATION, (record.target, outcome)))
        return True


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=list(BOUNDS)
    )


def _attributes(metric: Metric, labels: Iterable[str]) -> Mapping[str, str]:
    return {attribute(word): value for word, value in zip(metric.labels, labels, strict=True)}


_instruments: weakref.WeakKeyDictionary[MeterProvider, _Instruments] = weakref.WeakKeyDictionary()
_lock = threading.Lock()
