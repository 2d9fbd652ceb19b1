"""OpenTelemetry: metrics read when they are exported, durations recorded as calls end, events on the current span.

`attempt_spans` is a policy that gives each attempt a span of its own; the span is current while the attempt runs.

`install` uses the API alone: the application sets up the SDK, and without one nothing goes anywhere. An instrument can
not be taken back from its provider, so each provider has one set of instruments for good, which observe the collector
that is installed, or nothing.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from resilience._forks import fork_safe
from resilience._listeners import subscribe
from resilience._metric import Metric
from resilience._outcome import Outcome
from resilience._runtime.protocol import PROCEED
from resilience._undo import Undo
from resilience._validation import require, require_bool
from resilience.classification.classifier import classify
from resilience.clients.exchange import current_attempt
from resilience.events import Event
from resilience.integrations._extras import missing_library
from resilience.metrics._call_stats import CALL_STATS, CallStats
from resilience.metrics._collector import Collector
from resilience.metrics.definitions import BOUNDS, CANCELLED, DURATION, SCOPE, all_metrics, attribute
from resilience.policies.base import Policy, Steps
from resilience.policies.retry_budget import RetryBudget

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
except ModuleNotFoundError as _error:
    raise missing_library(_error, "opentelemetry") from None

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span, SpanProcessor

    from resilience._runtime.protocol import Call
    from resilience._runtime.worst_case import WorstCase

__all__ = ["AttemptSpans", "Installed", "attempt_spans", "current_trace", "install", "resend_counts"]

_RESEND_COUNT = "http.request.resend_count"
_CATEGORY = attribute("category")


def install(
    meter_provider: MeterProvider | None = None,
    component: str | None = None,
    *,
    budgets: Iterable[RetryBudget] = (),
    durations: bool = True,
    spans: bool = True,
) -> Installed:
    """Show OpenTelemetry what the policies and `track_errors` count, until undone.

    *meter_provider* is the global one unless given. *component* is that of the errors of functions that name none
    themselves. *budgets* are retry budgets to show beside those of tracked functions; each needs a name. With
    *durations* each call of a tracked function is recorded as it ends, which costs some 14 microseconds; all else is
    read when it is collected. With *spans* retries, rejections, time limits, substitutes and circuits that change are
    events of the span that is current where they happen.

    Raises ValueError where it is installed already in that provider.

    >>> with install():
    ...     pass  # call what is guarded
    """
    provider = meter_provider
    if provider is None:
        provider = metrics.get_meter_provider()
    if not isinstance(provider, MeterProvider):
        raise TypeError(f"meter_provider={meter_provider!r}: give an opentelemetry MeterProvider, or None")
    require_bool("durations", durations)
    require_bool("spans", spans)
    collector = Collector(component, budgets)
    with _lock:
        instruments = _instruments.setdefault(provider, _Instruments())
        if instruments.collector is not None:
            raise ValueError(
                "resilience.integrations.opentelemetry is installed in this provider already; undo that first"
            )
        instruments.create_in(provider)
        instruments.collector = collector
    return Installed(instruments, collector, durations=durations, spans=spans)


class Installed(Undo):
    """Metrics in a provider: call it, or leave its ``with`` block, to take them out again.

    It subscribes the counts of events, the span events and the observer of durations, and undoes all three.
    """

    def __init__(self, instruments: _Instruments, collector: Collector, *, durations: bool, spans: bool) -> None:
        self._instruments: _Instruments | None = instruments
        self._undo: list[Callable[[], object]] = [subscribe(collector.events)]
        if spans:
            self._undo.append(subscribe(add_to_span))
        if durations:
            CALL_STATS.add_observer(instruments.record)
            self._undo.append(lambda: CALL_STATS.remove_observer(instruments.record))

    def __call__(self) -> None:
        """Take the metrics out. Doing it twice is fine."""
        with _lock:
            if self._instruments is None:
                return
            self._instruments.collector = None
            self._instruments = None
        for undo in self._undo:
            undo()


def add_to_span(event: Event) -> None:
    """Add *event* to the current span, if its kind belongs there.

    It is a listener, called in the task or thread of the call, so the current span is the one the call is made in. The
    event's fields become attributes. Errors are their types' names: a span holds no message and no argument.
    """
    if not event.on_span:
        return
    span = trace.get_current_span()
    if span.is_recording():
        plain = {
            attribute(key): value
            for key, value in event.fields().items()
            if isinstance(value, str | bool | int | float)
        }
        span.add_event(attribute(event.name), plain)


class _Instruments:
    """The instruments of one provider, created once and kept for good.

    Their callbacks read `collector`, the one that is installed at the moment; between two installs there is none, and
    they report nothing. Creating them again would make the SDK warn of duplicates.
    """

    def __init__(self) -> None:
        self.collector: Collector | None = None
        self._created: set[Metric] = set()
        self._durations: Histogram | None = None

    def create_in(self, provider: MeterProvider) -> None:
        """Create the instruments that *provider* lacks: all of them, later those of events declared since."""
        from resilience import __version__

        meter = provider.get_meter(SCOPE, __version__)
        for metric in set(all_metrics()) - self._created:
            self._created.add(metric)
            self._create(meter, metric)

    def _create(self, meter: Meter, metric: Metric) -> None:
        """Create one instrument. Counters and gauges are observed at export; durations are recorded as calls end."""
        if metric is DURATION:
            self._durations = meter.create_histogram(
                DURATION.name, DURATION.unit, DURATION.help, explicit_bucket_boundaries_advisory=list(BOUNDS)
            )
            return
        create = {"counter": meter.create_observable_counter, "gauge": meter.create_observable_gauge}[metric.kind]
        create(metric.name, [self._callback(metric)], description=metric.help)

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return the function that the SDK calls for the values of *metric*, at each export."""

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            if self.collector is None:
                return []
            values = self.collector.read(metric)
            return [Observation(number, _attributes(metric, labels)) for labels, number in values.items()]

        return observe

    def record(self, stats: CallStats, outcome: str, took: float) -> bool:
        """Record the duration of a call of a tracked function, unless it was cancelled.

        It observes every call, so it always asks for the next one.
        """
        if self._durations is not None and outcome != CANCELLED:
            self._durations.record(took, _attributes(DURATION, (stats.target, outcome)))
        return True


def _attributes(metric: Metric, labels: Iterable[str]) -> Mapping[str, str]:
    return {attribute(label): value for label, value in zip(metric.labels, labels, strict=True)}


_instruments: weakref.WeakKeyDictionary[MeterProvider, _Instruments] = weakref.WeakKeyDictionary()
_lock = fork_safe(threading.Lock())


def resend_counts() -> SpanProcessor:
    """Return a span processor that numbers the attempts of protected clients: ``http.request.resend_count``.

    The instrumentors of HTTP clients make a span for each request. Within a call of a client that `protect` has
    guarded, the spans of further attempts get the attribute that OpenTelemetry's conventions have for it: 1 for the
    second attempt. Needs the SDK, ``opentelemetry-sdk``.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> TracerProvider().add_span_processor(resend_counts())
    """
    from opentelemetry.sdk.trace import SpanProcessor

    class ResendCounts(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            attempt = current_attempt()
            if attempt > 1 and span.kind is trace.SpanKind.CLIENT:
                span.set_attribute(_RESEND_COUNT, attempt - 1)

    return ResendCounts()


class AttemptSpans(Policy):
    """A span for each call of the next layer: below a retry, for each attempt; outermost, for the call with them all.

    The span is of the kind INTERNAL, a child of the current one, and current itself while the layer runs: the spans of
    instrumented clients are its children. A failure gives it the status ERROR, the error's type as ``error.type``, and
    its category as ``resilience.category``; no message and no argument. A call that is cancelled ends it without.

    It does not guard generator functions: their items are made in the contexts of their consumers.

    Args:
        name: the name of the spans; the function's qualified name unless given.
        tracer_provider: the provider of the tracer; the global one unless given.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=3)
    ... @attempt_spans("charge")
    ... def charge(order: str) -> str:
    ...     return "paid"
    >>> charge("a-17")
    'paid'
    """

    supports_generators = False

    def __init__(self, name: str | None = None, *, tracer_provider: trace.TracerProvider | None = None) -> None:
        from resilience import __version__

        require(name is None or isinstance(name, str), "name", name, "the spans' name as text, or None", TypeError)
        self.name: str | None = name
        self._tracer = trace.get_tracer(SCOPE, __version__, tracer_provider)

    def run(self, call: Call) -> Steps:
        """Make the call within a span."""
        span = self._tracer.start_span(self.name or call.target)
        token = contexts.attach(trace.set_span_in_context(span))
        try:
            outcome: Outcome = yield PROCEED
            if outcome.error is not None and span.is_recording():
                span.set_status(trace.StatusCode.ERROR)
                span.set_attribute("error.type", type(outcome.error).__qualname__)
                span.set_attribute(_CATEGORY, classify(outcome.error).label)
            return outcome
        finally:
            contexts.detach(token)
            span.end()

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside

    def __str__(self) -> str:
        return "attempt_spans()" if self.name is None else f"attempt_spans({self.name!r})"

    def __repr__(self) -> str:
        return f"<{self}>"


attempt_spans = AttemptSpans
"""The policy under the name by which it decorates."""


def current_trace() -> Mapping[str, str] | None:
    """Return the ids of the current span for an exemplar; None where there is none, or it is not sampled.

    For the durations of Prometheus: ``install(exemplars=current_trace)`` of `resilience.integrations.prometheus`.

    >>> current_trace() is None
    True
    """
    found = trace.get_current_span().get_span_context()
    if not found.is_valid or not found.trace_flags.sampled:
        return None
    return {"trace_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)}
