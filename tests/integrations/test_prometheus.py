from __future__ import annotations

import gc

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from resilience import CircuitOpenError, RetryBudget, Severity, circuit_breaker, retry_on_category
from resilience._listeners import has_listeners
from resilience.events import Counter, Event, emit, event_type
from resilience.integrations.prometheus import install
from resilience.metrics import _event_counters, definitions, track_errors
from resilience.metrics.definitions import LABELS, all_metrics
from tests.metrics.stories import everything


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric by the values of its labels, sorted by label."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def run_target(function) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def test_every_metric_has_a_number_once_everything_has_happened(registry: CollectorRegistry):
    with install(registry, component="shop"):
        kept = everything()
        text = generate_latest(registry).decode()
        shown = {sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples}
    for metric in all_metrics():
        name = metric.prometheus_name
        sample = shown[f"{name}_count" if metric.kind == "histogram" else name]
        assert set(sample.labels) == set(metric.labels) <= set(LABELS)
    assert "secret" not in text
    assert "host-" not in text
    assert kept


def test_the_numbers_are_those_of_what_happened(registry: CollectorRegistry):
    with install(registry, component="shop"):
        kept = everything()
        target = next(iter(samples(registry, "resilience_attempts_total")))[0]
        assert samples(registry, "resilience_calls_total") == {("success", target): 4, ("failure", target): 1}
        assert samples(registry, "resilience_attempts_total") == {(target,): 6}
        assert samples(registry, "resilience_errors_total") == {("unknown", "KeyError", "shop"): 1}
        assert samples(registry, "resilience_retries_total") == {("network", target): 1}
        assert samples(registry, "resilience_retries_exhausted_total") == {("timeout", "attempts", target): 1}
        assert samples(registry, "resilience_rejections_total") == {("metered books", "false", target): 1}
        assert samples(registry, "resilience_timeouts_total") == {(target,): 1}
        assert samples(registry, "resilience_fallbacks_total") == {
            ("timeout", target): 1,
            ("rejected", target): 1,
            ("network", target): 1,
        }
        assert samples(registry, "resilience_fallback_failures_total") == {("unknown", target): 1}
        assert samples(registry, "resilience_circuit_transitions_total") == {
            ("metered books", "open"): 1,
            ("metered books", "half_open"): 1,
            ("metered books", "closed"): 1,
            ("metered hosts", "open"): 3,
        }
        state = samples(registry, "resilience_circuit_state")
        assert state["metered books", "closed"] == 1
        assert state["metered hosts", "open"] == 3
        assert state["metered hosts", "closed"] == 0
        assert samples(registry, "resilience_circuit_failure_rate")["metered books",] == 0.5
        assert samples(registry, "resilience_retry_budget_size")["billing",] == 100
        assert samples(registry, "resilience_retry_budget_tokens")["billing",] < 100
        buckets = samples(registry, "resilience_call_duration_seconds_bucket")
        assert buckets["0.25", "success", target] == 2  # one of them refused
        assert buckets["0.5", "success", target] == 3
        assert buckets["+Inf", "success", target] == 4
    assert kept


def test_openmetrics_is_right_too(registry: CollectorRegistry):
    with install(registry):
        kept = everything()
        assert list(read_openmetrics(openmetrics.generate_latest(registry).decode()))
    assert kept


def test_uninstalled_metrics_are_gone_and_leave_no_listener(registry: CollectorRegistry):
    undo = install(registry)
    undo.flush()
    undo()
    undo()
    assert generate_latest(registry) == b""
    assert not has_listeners()
    with install(registry):
        assert b"resilience_calls" in generate_latest(registry)


def test_installed_twice_in_a_registry_it_is_there_once_until_both_are_undone(registry: CollectorRegistry):
    first, second = install(registry, "shop"), install(registry, "shop", budgets=[RetryBudget("late")])
    breaker = circuit_breaker("twice", failure_threshold=1)
    breaker.open()
    assert samples(registry, "resilience_circuit_transitions_total")["twice", "open"] == 1
    assert ("late",) in samples(registry, "resilience_retry_budget_size")
    with pytest.raises(ValueError, match="component='other'"):
        install(registry, "other")
    first()
    assert b"resilience_calls" in generate_latest(registry)
    second()
    assert generate_latest(registry) == b""


def test_each_registry_is_shown_everything():
    one, other = CollectorRegistry(), CollectorRegistry()

    @track_errors
    def call() -> None: ...

    with install(one), install(other):
        call()
        assert samples(one, "resilience_calls_total") == samples(other, "resilience_calls_total") != {}


def test_a_function_that_was_never_called_has_a_zero_so_that_a_rate_sees_its_first_call(registry: CollectorRegistry):
    @track_errors
    def call() -> None: ...

    with install(registry):
        assert set(samples(registry, "resilience_calls_total").values()) == {0}


def test_the_component_of_an_error_is_its_functions_or_the_programs_or_the_modules(registry: CollectorRegistry):
    def fail() -> None:
        raise KeyError

    for function in (track_errors(component="billing")(fail), track_errors(fail)):
        with pytest.raises(KeyError):
            function()
    with install(registry):
        assert set(samples(registry, "resilience_errors_total")) == {
            ("unknown", "KeyError", "billing"),
            ("unknown", "KeyError", "tests"),
        }


def test_two_components_of_one_function_are_one_target(registry: CollectorRegistry):
    def call() -> None: ...

    for component in ("a", "b"):
        track_errors(component=component)(call)()
    with install(registry):
        assert sorted(samples(registry, "resilience_calls_total").values()) == [0, 2]
        assert list(samples(registry, "resilience_call_duration_seconds_count").values()) == [2]


def test_a_circuit_that_is_gone_is_no_longer_shown(registry: CollectorRegistry):
    with install(registry):
        breaker = circuit_breaker("short-lived")
        assert ("short-lived", "closed") in samples(registry, "resilience_circuit_state")
        del breaker
        gc.collect()
        assert ("short-lived", "closed") not in samples(registry, "resilience_circuit_state")


def test_a_circuit_that_is_isolated_says_so(registry: CollectorRegistry):
    breaker = circuit_breaker("by hand")
    breaker.isolate()

    @breaker
    def call() -> None: ...

    with install(registry):
        with pytest.raises(CircuitOpenError):
            call()
        assert samples(registry, "resilience_circuit_mode")["by hand", "isolated"] == 1
        assert samples(registry, "resilience_circuit_state")["by hand", "open"] == 1


def test_there_is_an_end_to_how_many_series_there_are(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_event_counters, "MAX_SERIES", 2)
    with install(registry):
        for number in range(5):
            circuit_breaker(f"circuit-{number}").open()
        circuit_breaker("circuit-0").open()
        found = samples(registry, "resilience_circuit_transitions_total")
    assert found == {("circuit-0", "open"): 2, ("circuit-1", "open"): 1, ("other", "other"): 3}


def test_there_is_an_end_to_how_many_circuits_are_told_apart(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_event_counters, "MAX_SERIES", 8)
    with install(registry):
        kept = [circuit_breaker(f"told-apart-{number}") for number in range(5)]
        states = samples(registry, "resilience_circuit_state")
        modes = samples(registry, "resilience_circuit_mode")
    names = {name for name, _ in states}
    assert names == {name for name, _ in modes}
    assert (len(names), "other" in names) == (3, True)
    assert states["other", "closed"] >= len(kept) - 2


def test_a_revision_is_an_attempt_like_a_retry(registry: CollectorRegistry):
    @track_errors
    @retry_on_category(revise=lambda arguments, report: {"code": "1"})
    def run(code: str) -> int:
        return int(code) if code != "x =" else compile(code, "code", "exec")

    with install(registry):
        assert run("x =") == 1
        assert list(samples(registry, "resilience_attempts_total").values()) == [2]
        assert list(samples(registry, "resilience_revisions_total")) == [("syntax_error", run_target(run))]


def test_an_event_of_an_application_has_its_counter_shown_even_when_declared_late(registry: CollectorRegistry):
    with install(registry):

        @event_type(
            "order.lost", Severity.ERROR, counter=Counter("shop.orders.lost", "Orders lost.", ("target", "kept"))
        )
        class OrderLost(Event):
            kept: bool

        emit(OrderLost(target="f", policy="stock", kept=True))
        assert samples(registry, "shop_orders_lost_total") == {("true", "f"): 1}


def test_a_retry_that_is_not_tracked_has_its_failures_counted(registry: CollectorRegistry):
    @retry_on_category(attempts=2, base_delay=0)
    def fail() -> None:
        raise ConnectionResetError

    with install(registry):
        with pytest.raises(ConnectionResetError):
            fail()
        assert list(samples(registry, "resilience_attempt_failures_total").values()) == [2]
        assert samples(registry, "resilience_attempts_total") == {}


@pytest.mark.parametrize(
    "wrong",
    [{"registry": None}, {"component": 1}, {"component": ""}, {"budgets": [RetryBudget()]}, {"budgets": ["b"]}],
    ids=str,
)
def test_invalid_options_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        install(**{"registry": CollectorRegistry(), **wrong})
    assert not has_listeners()


def test_names_are_those_that_prometheus_asks_for():
    found = {metric.prometheus_name for metric in all_metrics()}
    assert len(found) == len(all_metrics())
    assert {
        "resilience_calls_total",
        "resilience_attempts_total",
        "resilience_call_duration_seconds",
        "resilience_errors_total",
    } <= found
    assert definitions.ERRORS.labels == ("code", "category", "component")
