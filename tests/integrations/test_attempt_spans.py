"""A span for each attempt, and exemplars that lead from a duration to its trace."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import anyio
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from resilience import Pipeline, describe, retry_on_category, timeout
from resilience.integrations import opentelemetry, prometheus
from resilience.integrations.logging import log_events
from resilience.integrations.opentelemetry import attempt_spans, current_trace
from resilience.metrics import track_errors
from resilience.testing import no_waits


class Traces:
    """An SDK that keeps the spans in memory."""

    def __init__(self, **options: object) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)  # type: ignore[arg-type]
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    @property
    def spans(self) -> list:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Call a function through policies: sync, or as a coroutine function."""

    def called(function: Callable[[], object], *policies) -> object:
        if request.param == "sync":
            return Pipeline(*policies).call(function)

        async def coroutine() -> object:
            await anyio.sleep(0)
            return function()

        async def main() -> object:
            return await Pipeline(*policies).acall(coroutine)

        return anyio.run(main, backend=request.param)

    return called


def test_each_attempt_has_a_span_that_is_current_while_it_runs(traces: Traces, run: Callable[..., object]):
    seen = []

    def charge() -> str:
        seen.append(trace.get_current_span().get_span_context().span_id)
        if len(seen) < 3:
            raise ConnectionResetError("secret")
        return "paid"

    with no_waits(), traces.tracer.start_as_current_span("request") as request:
        policies = retry_on_category(attempts=3), attempt_spans("charge", tracer_provider=traces.provider)
        assert run(charge, *policies) == "paid"
        assert trace.get_current_span() is request
    *attempts, outer = traces.spans
    assert [span.context.span_id for span in attempts] == seen
    assert [span.name for span in attempts] == ["charge"] * 3
    assert all(span.parent.span_id == outer.context.span_id for span in attempts)
    assert [span.status.status_code.name for span in attempts] == ["ERROR", "ERROR", "UNSET"]
    first, _, last = attempts
    assert dict(first.attributes) == {"error.type": "ConnectionResetError", "resilience.category": "network"}
    assert not last.attributes
    assert "secret" not in str([span.to_json() for span in attempts])


def test_a_span_outermost_is_that_of_the_call_with_all_its_attempts(traces: Traces, run: Callable[..., object]):
    def charge() -> str:
        raise ConnectionResetError

    spans = {"tracer_provider": traces.provider}
    policies = attempt_spans("call", **spans), retry_on_category(attempts=2), attempt_spans("attempt", **spans)
    with no_waits(), pytest.raises(ConnectionResetError):
        run(charge, *policies)
    first, second, call = traces.spans
    assert (first.name, second.name, call.name) == ("attempt", "attempt", "call")
    assert first.parent.span_id == second.parent.span_id == call.context.span_id
    assert call.status.status_code.name == "ERROR"


def test_a_call_that_a_limit_cuts_off_ends_its_span(traces: Traces, anyio_backend: str):
    @timeout(0.05)
    @attempt_spans("hang", tracer_provider=traces.provider)
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await hang()
        assert not trace.get_current_span().get_span_context().is_valid

    anyio.run(main, backend=anyio_backend)
    assert [span.name for span in traces.spans] == ["hang"]


def test_the_name_is_that_of_the_function_unless_given(traces: Traces):
    @attempt_spans(tracer_provider=traces.provider)
    def charge() -> None: ...

    charge()
    assert traces.spans[0].name.endswith(".charge")
    assert str(describe(charge)).startswith("attempt_spans()\n")
    with pytest.raises(TypeError, match="name=3: give the spans' name as text"):
        attempt_spans(3)  # type: ignore[arg-type]


def test_generator_functions_are_refused():
    with pytest.raises(TypeError, match="generator"):

        @attempt_spans("items")
        def items():
            yield 1


@pytest.mark.parametrize("sampled", [True, False])
def test_a_bucket_of_prometheus_leads_to_the_trace_of_its_last_call(sampled: bool):
    traces = Traces() if sampled else Traces(sampler=ALWAYS_OFF)
    registry = CollectorRegistry()

    @track_errors(component="shop")
    def charge() -> str:
        return "paid"

    with prometheus.install(registry, exemplars=current_trace):
        with traces.tracer.start_as_current_span("request") as span:
            charge()
        text = generate_latest(registry).decode()
    found = f'trace_id="{trace.format_trace_id(span.get_span_context().trace_id)}"' in text
    assert found is sampled
    charge()


def test_opentelemetry_takes_exemplars_of_durations_by_itself(traces: Traces):
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])

    @track_errors(component="shop")
    def charge() -> str:
        return "paid"

    with opentelemetry.install(meters), traces.tracer.start_as_current_span("request") as span:
        charge()
        data = reader.get_metrics_data()
    meters.shutdown()
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "resilience.call.duration"
        for point in metric.data.data_points
        if point.attributes["resilience.target"].endswith("charge") and point.exemplars
    ]
    assert [point.exemplars[0].trace_id for point in points] == [span.get_span_context().trace_id]


def test_spans_of_an_instrumented_client_are_children_of_the_attempt(traces: Traces):
    with traces.tracer.start_as_current_span("request"):

        @attempt_spans("fetch", tracer_provider=traces.provider)
        def fetch() -> int:
            transport = httpx.MockTransport(lambda _: httpx.Response(200))
            with traces.tracer.start_as_current_span("GET", kind=trace.SpanKind.CLIENT):
                return httpx.Client(transport=transport).get("http://shop.example/").status_code

        assert fetch() == 200
    get, fetch_span, _ = traces.spans
    assert get.parent.span_id == fetch_span.context.span_id


def test_events_are_records_of_the_logs_api_with_their_fields_and_the_trace(traces: Traces):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = logging.getLogger("tests.attempt_spans.logs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the handler moves to another distribution
        handler = LoggingHandler(logger_provider=provider)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)

    @retry_on_category(attempts=2)
    def charge() -> None:
        raise ConnectionResetError("secret")

    try:
        with no_waits(), log_events(logger.name, text=False), traces.tracer.start_as_current_span("request") as span:
            with pytest.raises(ConnectionResetError):
                charge()
    finally:
        logger.removeHandler(handler)
    records = [data.log_record for data in exporter.get_finished_logs()]
    assert [record.body for record in records] == ["retry.scheduled", "retry.exhausted"]
    assert [record.severity_text for record in records] == ["WARN", "ERROR"]
    assert all(record.trace_id == span.get_span_context().trace_id for record in records)
    assert records[1].attributes["category"] == "network"
    assert "secret" not in str(records)
