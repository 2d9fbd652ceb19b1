from __future__ import annotations

import contextlib
import dataclasses
import logging

import pytest
import structlog

import resilience.events
from resilience import CircuitOpenError, Severity, circuit_breaker, fallback, retry_on_category, subscribe, timeout
from resilience._listeners import emit, has_listeners
from resilience.events import (
    AttemptFailed,
    CacheFailed,
    CallRevised,
    CircuitClosed,
    CircuitModeChanged,
    CircuitSetByHand,
    CircuitShedding,
    CircuitSheddingEnded,
    ConfigurationChanged,
    ConfigurationRejected,
    Counter,
    DeadlineIgnored,
    Event,
    FallbackFailed,
    FallbackUsed,
    FaultInjected,
    FleetCommanded,
    FleetLost,
    FleetRestored,
    HedgePaused,
    HedgeStarted,
    HedgeWon,
    LimitChanged,
    RateLimitHeld,
    RetryScheduled,
    TargetThreadsExhausted,
    ThreadNotStarted,
    ThreadsExhausted,
    event_type,
    event_types,
)
from resilience.integrations.logging import REDACTED, code_of, log_events, redact, redact_processor, severity_of
from tests.runners import Runner, Takes

LOGGED_ONCE = "(logged once; further occurrences suppressed)"

SECRET = "hunter2"
EVENTS = list(event_types())


def everything(runner: Runner):
    """A story in which every event happens."""
    breaker = circuit_breaker("catalogue", failure_threshold=2, reset_timeout=30)

    def decorate(function):
        return fallback(default=SECRET)(retry_on_category(attempts=2, base_delay=1)(breaker(timeout(5)(function))))

    return runner.play(decorate, ConnectionResetError(SECRET), Takes(9), "never", SECRET, pauses=(0, 30, 0))


def test_every_event_is_emitted_in_order(runner: Runner):
    story = everything(runner)
    assert story.names == [
        "attempt.failed",
        "retry.scheduled",
        "call.timed_out",
        "circuit.opened",
        "attempt.failed",
        "retry.exhausted",
        "fallback.used",
        # the second call
        "call.rejected",
        "attempt.failed",
        "fallback.used",
        # the third, 30 seconds later
        "circuit.half_opened",
        "circuit.closed",
    ]
    others = {CircuitModeChanged, CircuitShedding, CircuitSheddingEnded, CallRevised, FallbackFailed, CacheFailed}
    others |= {RateLimitHeld, ThreadsExhausted, TargetThreadsExhausted, ThreadNotStarted}
    others |= {HedgeStarted, HedgeWon, HedgePaused, ConfigurationChanged, ConfigurationRejected}
    others |= {CircuitSetByHand}
    others |= {LimitChanged}
    others |= {DeadlineIgnored, FaultInjected}
    others |= {FleetCommanded, FleetLost, FleetRestored}
    assert {type(event) for event in story.events} == set(EVENTS) - others
    assert all(event.target.endswith("dependency") for event in story.events)


def test_no_event_shows_a_message_an_argument_or_a_result(runner: Runner):
    for event in everything(runner).events:
        assert SECRET not in repr(event)
        assert SECRET not in str(event.fields())


def test_events_are_frozen_and_their_names_are_unique():
    assert len({kind.name for kind in EVENTS}) == len(EVENTS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        CircuitClosed(target="f", policy="b").policy = "c"


# -- declarations ---------------------------------------------------------------------------------------------------


def declare(name: str = "order.lost", labels: tuple[str, ...] = ("target", "shelf"), base: type = Event) -> type[Event]:
    counter = Counter("shop.orders.lost", "Orders that were lost.", labels)

    @event_type(name, Severity.ERROR, counter=counter, escalates=False)
    class OrderLost(base):
        shelf: str
        error: Exception | None = dataclasses.field(default=None, repr=False)

    return OrderLost


def test_a_class_declares_everything_about_an_event():
    lost = declare()
    assert (lost.name, lost.severity, lost.on_span, lost.escalates) == ("order.lost", Severity.ERROR, True, False)
    assert lost.counter is not None
    assert lost.counter.prometheus_name == "shop_orders_lost_total"
    happened = lost(target="f", policy="stock", shelf="A", error=KeyError(SECRET))
    assert SECRET not in repr(happened)
    assert happened.fields() == {"target": "f", "policy": "stock", "shelf": "A", "error": "KeyError"}
    assert not hasattr(happened, "__dict__")
    assert event_types()[-1] is lost


def test_an_event_of_an_application_is_logged_like_ours(caplog: pytest.LogCaptureFixture):
    lost = declare()
    with caplog.at_level(logging.DEBUG), log_events(bind={"service": "shop"}):
        emit(lost(target="f", policy="stock", shelf="A"))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "order.lost target=f policy=stock shelf=A service=shop")
    ]
    with pytest.raises(ValueError, match="shelf"):
        log_events(bind={"shelf": "B"})


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"name": "lost"}, ValueError, "give lowercase words joined by dots"),
        ({"name": "Order.Lost"}, ValueError, "give lowercase words joined by dots"),
        ({"name": "retry.scheduled"}, ValueError, "RetryScheduled has that name already"),
        ({"labels": ("target", "shelves")}, TypeError, "has no 'shelves', a label of shop.orders.lost"),
        ({"labels": ("Target",)}, ValueError, "give lowercase words"),
        ({"base": object}, TypeError, "give a subclass of Event"),
    ],
    ids=str,
)
def test_a_wrong_declaration_fails_where_the_class_is_made(wrong, kind, message):
    before = event_types()
    with pytest.raises(kind, match=message):
        declare(**wrong)
    assert event_types() == before


def test_two_events_share_a_counter_or_have_one_each():
    ours = resilience.events.TimedOut.counter
    assert ours is not None

    @event_type("stock.timed_out", Severity.INFO, counter=ours)
    class StockTimedOut(Event): ...

    assert StockTimedOut.counter is ours
    with pytest.raises(ValueError, match=r"another Counter is named 'resilience\.timeouts'"):

        @event_type("shelf.timed_out", Severity.INFO, counter=Counter(ours.name, "Others.", ("target",)))
        class ShelfTimedOut(Event): ...


@pytest.mark.parametrize(
    ("name", "text", "labels", "parameter"),
    [
        ("orders", "Orders.", (), "name="),
        ("shop.orders", "", (), "help="),
        ("shop.orders", "Orders.", ("a-b",), "labels="),
    ],
)
def test_a_metric_is_checked_where_it_is_made(name, text, labels, parameter):
    with pytest.raises(ValueError, match=parameter):
        Counter(name, text, labels)


def test_a_class_that_is_defined_again_takes_the_place_of_the_first():
    first, second = declare(), declare()
    assert first not in event_types()
    assert event_types()[-1] is second


def test_fields_are_plain_values_ready_for_json(runner: Runner):
    import json

    for event in everything(runner).events:
        assert json.loads(json.dumps(event.fields())) == event.fields()


def test_a_listener_that_has_unsubscribed_is_not_called():
    heard = []
    subscription = subscribe(heard.append)
    emit(CircuitClosed(target="f", policy="b"))
    subscription()
    subscription()
    emit(CircuitClosed(target="f", policy="b"))
    assert len(heard) == 1


def test_the_same_listener_may_be_on_the_list_twice():
    heard = []
    with subscribe(heard.append), subscribe(heard.append):
        emit(CircuitClosed(target="f", policy="b"))
    assert len(heard) == 2
    assert not has_listeners()


def test_a_listener_that_raises_is_reported_once_and_changes_nothing(runner: Runner, caplog: pytest.LogCaptureFixture):
    def broken(event: Event) -> None:
        raise RuntimeError("listener")

    broken.__qualname__ = f"listener_on_{runner}"
    with subscribe(broken):
        story = runner.play(retry_on_category(base_delay=0), ConnectionResetError(), ConnectionResetError(), "ok")
    assert story.answer == "ok"
    assert len(story.names) == 4  # the other listeners were called
    assert [record.message for record in caplog.records] == [
        f"event listener listener_on_{runner} raised RuntimeError; the call goes on without it {LOGGED_ONCE}"
    ]


def test_no_event_is_built_without_listeners(monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an event was built")

    for kind in EVENTS:
        monkeypatch.setattr(kind, "__init__", refuse)

    @fallback(default="other")
    @retry_on_category(base_delay=0)
    @circuit_breaker("b", failure_threshold=1)
    def fail() -> None:
        raise ConnectionResetError

    assert fail() == "other"


# -- the log sink ---------------------------------------------------------------------------------------------------

FAILED = AttemptFailed(
    target="shop.search",
    policy="retry",
    attempt=1,
    category=resilience.ErrorCategory.TIMEOUT,
    error=TimeoutError(SECRET),
)


@pytest.fixture
def unconfigured():
    yield
    structlog.reset_defaults()


def test_a_stdlib_record_has_the_fields_in_its_text_and_as_attributes(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG), log_events():
        emit(FAILED)
    (record,) = caplog.records
    assert record.name == "resilience"
    assert record.levelno == logging.WARNING
    assert record.message == (
        "attempt.failed target=shop.search policy=retry attempt=1 category=timeout error=TimeoutError"
    )
    assert record.category == "timeout"
    assert record.attempt == 1


def test_a_level_that_is_off_costs_no_record(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR), log_events("mine"):
        emit(FAILED)
    assert caplog.records == []


def test_structlog_gets_the_fields_as_keys_once_it_is_configured(unconfigured: None, capsys: pytest.CaptureFixture):
    lines = []

    def keep(logger: object, method: str, line: dict) -> dict:
        lines.append((method, dict(line)))
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    with log_events():
        emit(FAILED)
    assert lines == [
        (
            "warning",
            {
                "event": "attempt.failed",
                "target": "shop.search",
                "policy": "retry",
                "attempt": 1,
                "category": "timeout",
                "error": "TimeoutError",
            },
        )
    ]


def test_an_unconfigured_structlog_is_left_alone(capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG), log_events():
        emit(FAILED)
    assert capsys.readouterr().out == ""
    assert len(caplog.records) == 1


def failed(category: str, error: Exception | None = None) -> AttemptFailed:
    leaf = resilience.ErrorCategory(category)
    return AttemptFailed(target="shop.search", policy="retry", attempt=1, category=leaf, error=error or KeyError())


@pytest.mark.parametrize(
    ("category", "level"),
    [("validation", "INFO"), ("timeout", "WARNING"), ("server_error", "ERROR"), ("configuration", "CRITICAL")],
)
def test_a_failure_is_as_loud_as_its_category(category, level, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG), log_events():
        emit(failed(category))
    assert [record.levelname for record in caplog.records] == [level]


def test_an_override_of_the_table_changes_how_loud_it_is():
    with resilience.override_profiles({"timeout": {"severity": Severity.CRITICAL}}):
        assert severity_of(failed("timeout")) is Severity.CRITICAL
    assert severity_of(failed("timeout")) is Severity.WARNING


def test_what_is_done_about_a_failure_is_no_louder_for_it_and_what_ends_with_it_is():
    configuration = resilience.ErrorCategory.CONFIGURATION
    story = {"target": "f", "policy": "p", "category": configuration}
    scheduled = RetryScheduled(attempt=1, wait=1, **story)
    used = FallbackUsed(error=KeyError(), **story)
    assert severity_of(scheduled) is Severity.WARNING
    assert severity_of(used) is Severity.CRITICAL
    assert severity_of(dataclasses.replace(used, category=resilience.ErrorCategory.NOT_FOUND)) is Severity.WARNING


def test_a_coded_error_has_its_code_on_the_line(caplog: pytest.LogCaptureFixture):
    class OutOfStock(Exception):
        code = "SHOP-E017"

    class Anything(Exception):
        def __init__(self) -> None:
            self.code = SECRET

    with caplog.at_level(logging.DEBUG), log_events():
        emit(failed("conflict", OutOfStock()))
        emit(failed("conflict", Anything()))
        emit(failed("timeout", resilience.CallTimeoutError("f", 2)))
    coded, uncoded, own = caplog.records
    assert coded.code == "SHOP-E017"
    assert coded.message.endswith("error=OutOfStock code=SHOP-E017")
    assert not hasattr(uncoded, "code")
    assert own.code == resilience.CallTimeoutError.code


def test_a_hostile_class_has_no_code():
    class Hostile(type):
        def __getattribute__(cls, name: str) -> object:
            raise RuntimeError

    error = Hostile("Error", (Exception,), {})
    assert code_of(BaseException.__new__(error)) is None


def test_what_is_bound_is_on_every_line_and_its_secrets_are_not(caplog: pytest.LogCaptureFixture):
    bind = {
        "service": "shop",
        "api_key": SECRET,
        "database": {"DB_PASSWORD": SECRET, "port": 1},
        "tags": [{"Cookie": SECRET}],
    }
    with caplog.at_level(logging.DEBUG), log_events(bind=bind):
        emit(failed("timeout"))
    (record,) = caplog.records
    assert record.service == "shop"
    assert record.api_key == REDACTED
    assert record.database == {"DB_PASSWORD": REDACTED, "port": 1}
    assert record.tags == [{"Cookie": REDACTED}]
    assert SECRET not in record.message


@pytest.mark.parametrize("key", ["event", "message", "name", "target", "category", "code", "wait"])
def test_nothing_is_bound_over_what_a_line_has_anyway(key):
    with pytest.raises(ValueError, match=key):
        log_events(bind={key: SECRET})
    assert not has_listeners()


@pytest.mark.parametrize("bind", ["service=shop", [("a", 1)], {1: 2}])
def test_what_is_bound_is_a_mapping_from_names(bind):
    with pytest.raises(TypeError, match="bind=a "):
        log_events(bind=bind)


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "dbPassword",
        "API_KEY",
        "x-api-key",
        "Authorization",
        "access_token",
        "accessToken",
        "AWSSecretAccessKey",
    ]
    + ["client_secret", "Set-Cookie", "session-id", "PIN", "HTTPToken", "proxy_auth", "credentials", "sentry.dsn"],
)
def test_a_key_that_looks_like_a_secrets_hides_its_value(key):
    assert redact({key: SECRET}) == {key: REDACTED}


@pytest.mark.parametrize("key", ["author", "pinned", "secretary", "monkey", "shipping", "authority"])
def test_a_key_that_only_has_its_letters_does_not(key):
    assert redact({key: "seen"}) == {key: "seen"}


def test_numbers_of_tokens_are_counted_and_whether_there_is_a_secret_is_none():
    line = {"token": 7, "has_password": True, "password": None, "pin": 1234}
    assert redact(line) == {**line, "pin": REDACTED}


def test_a_mapping_that_holds_itself_is_cut_off():
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert REDACTED in str(redact(loop))


def test_structlog_takes_it_as_a_processor(unconfigured: None):
    lines = []

    def keep(logger: object, method: str, line: dict) -> dict:
        lines.append(dict(line))
        raise structlog.DropEvent

    structlog.configure(processors=[redact_processor, keep], cache_logger_on_first_use=False)
    structlog.get_logger().bind(password=SECRET).info("signed in")
    assert lines == [{"event": "signed in", "password": REDACTED}]


def test_what_has_no_end_is_left_out_of_the_fields():
    from resilience.events import CallRejected

    breaker = circuit_breaker("b")
    heard: list[Event] = []
    breaker.isolate()
    with subscribe(heard.append), contextlib.suppress(CircuitOpenError), breaker:
        pass
    [rejected] = heard
    assert isinstance(rejected, CallRejected)
    assert "retry_after" not in rejected.fields()
