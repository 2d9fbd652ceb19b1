from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import resilience.integrations
from resilience import Severity, circuit_breaker, retry_on_category, timeout
from resilience._listeners import has_listeners
from resilience.events import Counter, Event, emit, event_type, event_types
from resilience.integrations.opentelemetry import install
from resilience.metrics import definitions, track_errors
from resilience.metrics.definitions import BOUNDS, all_metrics, attribute
from tests.metrics.stories import everything
from tests.runners import Runner, Takes


class Telemetry:
    """An SDK that keeps everything in memory."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.spans = InMemorySpanExporter()
        traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(self.spans))
        self.tracer = traces.get_tracer("tests")

    def points(self) -> dict[str, list]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def numbers(self, name: str) -> dict[tuple[str, ...], float]:
        return {
            tuple(value for _, value in sorted(point.attributes.items())): point.value
            for point in self.points().get(name, [])
        }


@pytest.fixture
def telemetry():
    made = Telemetry()
    yield made
    made.meters.shutdown()


def test_every_metric_has_a_number_once_everything_has_happened(telemetry: Telemetry):
    with install(telemetry.meters, component="shop"):
        kept = everything()
        points = telemetry.points()
    assert set(points) == {metric.name for metric in all_metrics()}
    for metric in all_metrics():
        assert set(points[metric.name][0].attributes) == {attribute(label) for label in metric.labels}
    assert "secret" not in str(points)
    assert kept


def test_the_numbers_are_those_of_what_happened(telemetry: Telemetry):
    with install(telemetry.meters, component="shop"):
        kept = everything()
        ((target,),) = telemetry.numbers("resilience.attempts")
        assert telemetry.numbers("resilience.calls") == {("success", target): 4, ("failure", target): 1}
        assert telemetry.numbers("resilience.errors") == {("unknown", "KeyError", "shop"): 1}
        assert telemetry.numbers("resilience.circuit.state")["metered hosts", "open"] == 3
        points = telemetry.points()["resilience.call.duration"]
        of_success = next(point for point in points if point.attributes["resilience.outcome"] == "success")
        assert of_success.count == 4
        assert tuple(of_success.explicit_bounds) == tuple(BOUNDS)
        assert of_success.bucket_counts[BOUNDS.index(0.5)] == 1
    assert kept


def test_what_happens_is_an_event_of_the_current_span(telemetry: Telemetry, runner: Runner):
    breaker = circuit_breaker("metered books", failure_threshold=2, reset_timeout=30)

    def decorate(function):
        guarded = retry_on_category(attempts=2, base_delay=1, jitter="none")(breaker(timeout(5)(function)))

        def call():
            with telemetry.tracer.start_as_current_span("call"):
                return guarded()

        async def call_async():
            with telemetry.tracer.start_as_current_span("call"):
                return await guarded()

        return call_async if runner.is_async else call

    with install(telemetry.meters):
        runner.play(decorate, ConnectionResetError("secret"), Takes(9), "ok", pauses=(0, 30))
    spans = [
        [event.name.removeprefix("resilience.") for event in span.events]
        for span in telemetry.spans.get_finished_spans()
    ]
    # The errors themselves are recorded by the one who made the span.
    assert [[name for name in names if name != "exception"] for names in spans] == [
        ["retry.scheduled", "call.timed_out", "circuit.opened", "retry.exhausted"],
        ["call.rejected"],
        ["circuit.half_opened", "circuit.closed"],
    ]
    first = telemetry.spans.get_finished_spans()[0].events[0]
    assert first.attributes["resilience.category"] == "network"
    assert first.attributes["resilience.wait"] == 1
    ours = [
        event for span in telemetry.spans.get_finished_spans() for event in span.events if event.name != "exception"
    ]
    assert "secret" not in str([dict(event.attributes) for event in ours])


def test_outside_of_any_span_nothing_is_lost_or_raised(telemetry: Telemetry):
    with install(telemetry.meters):
        circuit_breaker("alone").open()
        assert telemetry.numbers("resilience.circuit.transitions") == {("alone", "open"): 1}


def test_durations_and_spans_can_be_left_out(telemetry: Telemetry):
    @track_errors
    def call() -> None: ...

    with install(telemetry.meters, durations=False, spans=False), telemetry.tracer.start_as_current_span("call"):
        call()
        circuit_breaker("b").open()
        points = telemetry.points()
    assert "resilience.call.duration" not in points
    assert points["resilience.calls"]
    assert telemetry.spans.get_finished_spans()[0].events == ()


def test_a_cancelled_call_has_no_duration(telemetry: Telemetry):
    @track_errors
    def call() -> None:
        raise KeyboardInterrupt

    with install(telemetry.meters):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert "resilience.call.duration" not in telemetry.points()
        assert 1 in telemetry.numbers("resilience.calls").values()


def test_what_is_taken_out_is_gone_and_can_be_installed_again(telemetry: Telemetry, caplog: pytest.LogCaptureFixture):
    @track_errors
    def call() -> None: ...

    undo = install(telemetry.meters)
    with pytest.raises(ValueError, match="already"):
        install(telemetry.meters)
    undo()
    undo()
    assert not has_listeners()
    call()
    assert "resilience.calls" not in telemetry.points()
    with install(telemetry.meters):
        call()
        assert telemetry.numbers("resilience.calls")
    assert caplog.text == ""  # the SDK warns of instruments that are made twice


def test_without_an_sdk_it_goes_nowhere():
    with install():
        circuit_breaker("b").open()


@pytest.mark.parametrize("wrong", [{"meter_provider": 1}, {"durations": 1}, {"spans": "no"}, {"component": 1}], ids=str)
def test_invalid_options_are_refused(wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        install(**wrong)
    assert not has_listeners()


def test_the_sdk_is_never_imported():
    program = (
        "import resilience.integrations.opentelemetry, sys; "
        "sys.exit(any('opentelemetry.sdk' in m for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_neither_library_is_imported_before_it_is_installed():
    program = (
        "import resilience.metrics, sys; resilience.metrics.track_errors(lambda: None)();"
        " sys.exit(any(m.partition('.')[0] in ('opentelemetry', 'prometheus_client') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_names_stand_in_one_module():
    """No metric, label or event is spelled out in the sinks."""
    words = {metric.name for metric in all_metrics()} | {attribute(label) for label in definitions.LABELS}
    folder = pathlib.Path(resilience.integrations.__file__).parent
    for file in ("opentelemetry.py", "prometheus.py", "_prometheus_multiprocess.py"):
        found = {
            node.value for node in ast.walk(ast.parse((folder / file).read_text())) if isinstance(node, ast.Constant)
        }
        assert not words & {text for text in found if isinstance(text, str)}


def test_an_event_declared_after_the_first_install_is_counted_by_the_next(telemetry: Telemetry):
    def lose() -> None:
        with telemetry.tracer.start_as_current_span("call"):
            emit(OrderLost(target="f", policy="stock"))

    with install(telemetry.meters):

        @event_type("order.lost", Severity.ERROR, counter=Counter("shop.orders.lost", "Orders lost.", ("target",)))
        class OrderLost(Event): ...

        lose()
        assert telemetry.numbers("shop.orders.lost") == {}
    with install(telemetry.meters):
        lose()
        assert telemetry.numbers("shop.orders.lost") == {("f",): 1}
    spans = telemetry.spans.get_finished_spans()
    assert [event.name for span in spans for event in span.events] == ["resilience.order.lost"] * 2


def test_span_events_are_events():
    assert {kind.name for kind in event_types() if not kind.on_span} == {"attempt.failed"}
