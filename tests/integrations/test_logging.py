"""Logs of an outage: few lines, each with what it takes to understand it, where the application logs."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from resilience import (
    BulkheadFullError,
    CircuitOpenError,
    ErrorCategory,
    ResilienceError,
    circuit_breaker,
    fallback,
    retry_on_category,
)
from resilience._listeners import emit
from resilience.circuits import CircuitBreaker
from resilience.events import (
    AttemptFailed,
    CallRejected,
    CircuitClosed,
    CircuitHalfOpened,
    CircuitModeChanged,
    CircuitOpened,
    Event,
    RetriesExhausted,
    RetryScheduled,
)
from resilience.integrations._log_lines import LineRate
from resilience.integrations.http import ProblemMiddleware, _error_responder, install
from resilience.integrations.logging import log_events
from resilience.policies.bulkhead import Bulkhead
from resilience.testing import virtual_time
from tests.integrations.http.serving import serving
from tests.runners import Runner

C = ErrorCategory


class Log:
    """The lines of the application, whichever way it logs."""

    def __init__(self) -> None:
        self.lines: list[dict] = []

    def keep(self, logger: object, method: str, line: dict) -> dict:
        self.lines.append({"level": method, **line})
        raise structlog.DropEvent

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


class _Records(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        event = record.getMessage().split()[0]
        if record.name == "uvicorn.error" and record.levelno < logging.ERROR:
            return
        if record.name == "resilience" and not hasattr(record, "target"):  # two tests have a circuit of one name
            return
        if record.name == "resilience.integrations.http":
            event = "request.failed"
        line = {"level": record.levelname.lower(), "event": event, **vars(record)}
        if record.exc_info:
            line["exc_info"] = record.exc_info[1]
        else:
            del line["exc_info"]
        self.log.lines.append(line)


@pytest.fixture(params=["stdlib", "structlog"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    log = Log()
    monkeypatch.setattr(_error_responder, "_REJECTIONS", LineRate(1))  # the others of this process are forgotten
    handler = _Records(log)
    logging.getLogger("resilience").setLevel(logging.DEBUG)  # `log_events` chooses the lines
    if request.param == "structlog":
        structlog.configure(processors=[log.keep], cache_logger_on_first_use=False)
    for name in ("resilience", "uvicorn.error"):
        logging.getLogger(name).addHandler(handler)
    yield log
    for name in ("resilience", "uvicorn.error"):
        logging.getLogger(name).removeHandler(handler)
    logging.getLogger("resilience").setLevel(logging.NOTSET)
    structlog.reset_defaults()


# -- an outage ------------------------------------------------------------------------------------------------------


@pytest.fixture
def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def prices(url: str, circuit: CircuitBreaker, *, answered: bool) -> FastAPI:
    """A service whose upstream, at *url*, is down."""
    app = FastAPI()
    install(app)

    @retry_on_category("transient", attempts=3, base_delay=0)
    @circuit
    async def price(item: str) -> int | None:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            response = await client.get(f"/prices/{item}")
            response.raise_for_status()
            return response.json()

    if answered:
        price = fallback(default=None)(price)

    @app.get("/prices/{item}")
    async def answer(item: str) -> int | None:
        return await price(item)

    return app


@pytest.mark.parametrize("answered", [True, False], ids=["with a fallback", "without"])
def test_a_hundred_requests_on_an_open_circuit_have_two_lines(log: Log, unused_url: str, answered: bool):
    circuit = circuit_breaker("prices", failure_threshold=4)
    with serving(prices(unused_url, circuit, answered=answered)) as client, log_events():
        while circuit.current_state == "closed":
            client.get("/prices/lamp")
        before = len(log.lines)
        statuses = {client.get("/prices/lamp").status_code for _ in range(100)}
        assert statuses == {200 if answered else 503}
        assert len(log.lines) - before <= 1
        circuit.close()
    assert log.events.count("circuit.opened") == log.events.count("circuit.closed") == 1
    [closed] = [line for line in log.lines if line["event"] == "circuit.closed"]
    assert closed["rejected"] == 101  # and the attempt after the one that has opened it
    rejected = [line for line in log.lines if line.get("category") == "rejected"]
    assert all("exc_info" not in line for line in rejected)
    assert len(log.lines) <= 10


def test_a_rejection_that_is_answered_has_a_line_a_minute_with_the_number_of_others(log: Log):
    def reject(request: Request) -> None:
        raise CircuitOpenError("prices of the whole range", 3.0)

    app = Starlette(routes=[Route("/", reject)])
    install(app)
    client = TestClient(app)
    with virtual_time() as clock:
        for _ in range(41):
            assert client.get("/").status_code == 503
        clock.advance(60)
        client.get("/")
    assert [line.get("suppressed") for line in log.lines] == [None, 40]
    assert {line["event"] for line in log.lines} == {"request.failed"}
    assert all("exc_info" not in line and line["level"] == "warning" for line in log.lines)


def test_a_rejection_by_another_librarys_circuit_has_no_traceback_either(log: Log):
    import pybreaker

    def reject(request: Request) -> None:
        raise pybreaker.CircuitBreakerError("another library's")

    app = Starlette(routes=[Route("/", reject)])
    install(app)
    assert TestClient(app).get("/").status_code == 503
    [line] = log.lines
    assert (line["category"], "exc_info" in line) == ("rejected", False)


def test_rejections_by_different_policies_have_a_line_each(log: Log):
    errors: list[Exception] = [CircuitOpenError("left", 1.0), CircuitOpenError("right", 1.0)]
    errors += [BulkheadFullError("left", 1, 0, "its queue is full", None)]

    def reject(request: Request) -> None:
        raise errors[int(request.query_params["which"])]

    app = Starlette(routes=[Route("/", reject)])
    install(app)
    client = TestClient(app)
    with virtual_time() as clock:
        clock.advance(1e6)
        for _ in range(5):
            for which in range(3):
                client.get("/", params={"which": which})
    assert len(log.lines) == 3


# -- where the application logs, once -------------------------------------------------------------------------------


def test_the_error_of_a_request_is_logged_where_the_application_logs(log: Log):
    def fail(request: Request) -> None:
        raise KeyError("hunter2")

    app = Starlette(routes=[Route("/lamp", fail)])
    install(app)
    assert TestClient(app).get("/lamp").status_code == 500
    [line] = log.lines
    assert (line["event"], line["level"]) == ("request.failed", "error")
    shown = {key: line[key] for key in ("method", "path", "status", "category", "error", "code")}
    assert shown == {
        "method": "GET",
        "path": "/lamp",
        "status": 500,
        "category": "unknown",
        "error": "KeyError",
        "code": None,
    }
    assert isinstance(line["exc_info"], KeyError)


@pytest.mark.parametrize("late", [False, True])
def test_the_error_of_a_middleware_is_answered_and_logged_once_under_a_real_server(log: Log, late: bool):
    async def inside(request: Request, call_next: object) -> None:
        raise KeyError("hunter2")

    app = Starlette()
    if not late:
        app.add_middleware(BaseHTTPMiddleware, dispatch=inside)
    install(app)
    if late:
        app.add_middleware(BaseHTTPMiddleware, dispatch=inside)
    with serving(app) as client:
        assert client.get("/").status_code == 500
    assert [line["event"] for line in log.lines if line["level"] == "error"] == ["request.failed"]


def test_an_error_after_the_answer_has_begun_is_logged_once_however_many_middlewares_it_passes(log: Log):
    async def items() -> object:
        yield b"first"
        raise KeyError("hunter2")

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(items())

    app = Starlette(routes=[Route("/", stream)])
    install(app)
    with pytest.raises(KeyError):
        TestClient(ProblemMiddleware(app)).get("/")
    assert [line["status"] for line in log.lines] == [None]


def test_an_answer_that_a_middleware_added_later_makes_is_left_alone(log: Log):
    async def outside(request: Request, call_next: object) -> object:
        return PlainTextResponse("closed", 503)

    app = Starlette()
    install(app)
    app.add_middleware(BaseHTTPMiddleware, dispatch=outside)
    assert TestClient(app).get("/").text == "closed"
    assert log.lines == []


# -- one line for a retried call ------------------------------------------------------------------------------------


def test_a_call_that_succeeds_after_retries_has_one_line(log: Log, runner: Runner):
    retry = retry_on_category("transient", attempts=4, base_delay=1, jitter="none")
    with log_events():
        story = runner.play(retry, TimeoutError(), ConnectionResetError(), TimeoutError(), "ok")
    assert story.answer == "ok"
    [line] = log.lines
    assert (line["event"], line["level"], line["attempt"], line["wait"]) == ("retry.scheduled", "warning", 1, 1.0)


def test_a_call_that_exhausts_its_retries_has_a_line_for_the_first_retry_and_one_for_the_end(log: Log, runner: Runner):
    with log_events():
        runner.play(retry_on_category(attempts=4), *[TimeoutError()] * 4)
    assert log.events == ["retry.scheduled", "retry.exhausted"]


def test_a_failure_that_is_not_retryable_has_a_line_as_loud_as_its_category(log: Log, runner: Runner):
    with log_events():
        runner.play(retry_on_category("timeout"), PermissionError(13, "denied"))
    [line] = log.lines
    assert (line["event"], line["level"], line["attempt"]) == ("attempt.failed", "error", 1)


def test_each_attempt_has_its_line_at_level_debug(log: Log, runner: Runner):
    with log_events(level="debug"):
        runner.play(retry_on_category(attempts=3), TimeoutError(), TimeoutError(), "ok")
    assert log.events == ["attempt.failed", "retry.scheduled"] * 2
    assert [line["level"] for line in log.lines] == ["debug", "warning", "debug", "debug"]


# -- one line for an incident ---------------------------------------------------------------------------------------


def opened(name: str = "prices") -> CircuitOpened:
    return CircuitOpened(target="f", policy=name, failures=5, retry_after=30.0, category=C.TIMEOUT)


def rejected(name: str = "prices", **options: object) -> CallRejected:
    return CallRejected(target="f", policy=name, retry_after=1.0, **options)


def closed(name: str = "prices") -> CircuitClosed:
    return CircuitClosed(target="f", policy=name)


def mode(word: str) -> CircuitModeChanged:
    return CircuitModeChanged(target="f", policy="prices", mode=word)


def test_probes_that_fail_are_no_incidents_of_their_own(log: Log):
    half_opened = CircuitHalfOpened(target="f", policy="prices")
    with virtual_time() as clock, log_events():
        for _ in range(100):
            emit(opened())
            for _ in range(20):
                emit(rejected())
            clock.advance(30)
            emit(half_opened)
        emit(closed())
        emit(opened())
    assert log.events == ["circuit.opened", "circuit.closed", "circuit.opened"]
    end = log.lines[1]
    assert (end["policy"], end["circuit"]) == ("circuit_breaker", "prices")
    assert (end["rejected"], end["lasted"]) == (2000, 3000.0)


def test_a_real_circuit_has_a_line_when_it_opens_and_one_when_it_closes(log: Log, runner: Runner):
    circuit = circuit_breaker("prices", failure_threshold=1, reset_timeout=30)
    failing = [ConnectionResetError(), ConnectionResetError(), "ok"]
    with log_events():
        runner.play(circuit, *failing, pauses=(1, 1, 30, 1, 1, 30))
    assert log.events == ["circuit.opened", "circuit.closed"]
    assert (log.lines[1]["rejected"], log.lines[1]["lasted"]) == (4, 64.0)


def test_the_retries_and_fallbacks_of_probes_are_a_part_of_the_incident(log: Log, runner: Runner):
    circuit = circuit_breaker("prices", failure_threshold=2, reset_timeout=30)

    def decorate(function):
        return fallback(default="stale")(retry_on_category(attempts=3, base_delay=1)(circuit(function)))

    script = [ConnectionResetError()] * 4 + ["ok"]
    with log_events():
        story = runner.play(decorate, *script, pauses=(1, 30, 30, 30))
    assert story.answers == ["stale"] * 4 + ["ok"]
    assert log.events == ["retry.scheduled", "circuit.opened", "circuit.closed"]


def test_a_probe_whose_failure_opens_the_circuit_again_is_no_error_of_its_own(log: Log):
    import dataclasses

    gave_up = dataclasses.replace(EXHAUSTED, reason="circuit_open")
    with log_events():
        for event in (opened(), gave_up, EXHAUSTED, closed(), gave_up):
            emit(event)
    assert [(line["event"], line.get("reason")) for line in log.lines] == [
        ("circuit.opened", None),
        ("retry.exhausted", "attempts"),
        ("circuit.closed", None),
        ("retry.exhausted", "circuit_open"),
    ]


def test_another_function_than_those_of_the_circuit_is_no_part_of_its_incident(log: Log):
    with log_events():
        emit(opened())
        emit(RetryScheduled(target="g", policy="retry", attempt=1, category=C.NETWORK, wait=1.0))
        emit(RetryScheduled(target="f", policy="retry", attempt=1, category=C.NETWORK, wait=1.0))
        emit(closed())
        emit(RetryScheduled(target="f", policy="retry", attempt=1, category=C.NETWORK, wait=1.0))
    assert [(line["event"], line["target"]) for line in log.lines] == [
        ("circuit.opened", "f"),
        ("retry.scheduled", "g"),
        ("circuit.closed", "f"),
        ("retry.scheduled", "f"),
    ]


def test_each_circuit_has_its_own_incident(log: Log):
    with log_events():
        for event in (opened("a"), opened("b"), rejected("a"), closed("b"), closed("a")):
            emit(event)
    assert [(line["event"], line["circuit"], line.get("rejected")) for line in log.lines] == [
        ("circuit.opened", "a", None),
        ("circuit.opened", "b", None),
        ("circuit.closed", "b", 0),
        ("circuit.closed", "a", 1),
    ]


def test_a_circuit_that_was_open_before_anything_was_logged_has_one_line_of_rejections(log: Log):
    with virtual_time(), log_events():
        for _ in range(100):
            emit(rejected())
        emit(opened())  # a failed probe
        emit(closed())
    assert log.events == ["call.rejected", "circuit.opened", "circuit.closed"]


def test_an_operator_that_isolates_a_circuit_learns_what_it_has_rejected(log: Log):
    with log_events():
        for event in (mode("isolated"), rejected(), rejected(), mode("normal")):
            emit(event)
    assert [(line["event"], line["mode"], line.get("rejected")) for line in log.lines] == [
        ("circuit.mode_changed", "isolated", None),
        ("circuit.mode_changed", "normal", 2),
    ]


def test_calls_that_a_shadowing_circuit_would_have_rejected_are_counted_apart(log: Log):
    with log_events():
        for event in (opened(), rejected(shadow=True), rejected(shadow=True), closed()):
            emit(event)
    assert (log.lines[1]["rejected"], log.lines[1]["shadowed"]) == (0, 2)


def test_a_bulkhead_that_is_full_has_a_line_a_minute(log: Log):
    full = Bulkhead("stock", 1, max_queue=0)
    with virtual_time() as clock, log_events(), full:
        for pause in (0,) * 50 + (60,):
            clock.advance(pause)
            with pytest.raises(BulkheadFullError):
                full.call(int)
    assert [(line["event"], line["level"]) for line in log.lines] == [("call.rejected", "info")] * 2
    assert [(line["policy"], line["bulkhead"], line.get("suppressed")) for line in log.lines] == [
        ("bulkhead", "stock", None),
        ("bulkhead", "stock", 49),
    ]


def test_what_follows_from_the_rejections_of_an_unknown_circuit_has_a_line_a_minute(log: Log, runner: Runner):
    circuit = circuit_breaker("prices")
    circuit.isolate()

    def decorate(function):
        return fallback(default="stale")(retry_on_category()(circuit(function)))

    with log_events():
        story = runner.play(decorate, pauses=(1,) * 40)
    assert story.answers == ["stale"] * 41
    assert log.events == ["call.rejected", "attempt.failed", "fallback.used"]


def test_the_rejections_of_another_service_are_failures_like_others(log: Log, runner: Runner):
    busy = [ResilienceError("busy", category="rejected") for _ in range(3)]
    with log_events():
        runner.play(fallback(default="stale"), *busy, pauses=(1, 1))
    assert log.events == ["fallback.used"] * 3


# -- level=, only=, rate=, text= ------------------------------------------------------------------------------------

EXHAUSTED = RetriesExhausted(
    target="f", policy="retry", attempts=3, category=C.NETWORK, reason="attempts", error=ConnectionResetError()
)
SCHEDULED = RetryScheduled(target="f", policy="retry", attempt=1, category=C.NETWORK, wait=0.48268299760397587)
EVENTS: list[Event] = [
    AttemptFailed(
        target="f", policy="retry", attempt=1, category=C.NETWORK, error=ConnectionResetError(), retryable=True
    ),
    SCHEDULED,
    EXHAUSTED,
    opened(),
    CircuitHalfOpened(target="f", policy="prices"),
    closed(),
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["retry.scheduled", "retry.exhausted", "circuit.opened", "circuit.closed"]),
        ({"level": "debug"}, [event.name for event in EVENTS]),
        ({"level": "warning"}, ["retry.scheduled", "retry.exhausted", "circuit.opened"]),
        ({"level": "critical"}, []),
        ({"only": ["circuit"]}, ["circuit.opened", "circuit.half_opened", "circuit.closed"]),
        ({"only": ("attempt.failed", "circuit.closed")}, ["attempt.failed", "circuit.closed"]),
        ({"only": ("circuit", "retry"), "level": "error"}, ["retry.exhausted"]),
        ({"only": ()}, []),
    ],
    ids=str,
)
def test_level_and_only_choose_the_lines(log: Log, options: dict, expected: list[str]):
    with log_events(**options):
        for event in EVENTS:
            emit(event)
    assert log.events == expected


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"level": "warn"}, ValueError, "level='warn': give one of 'debug', .*; did you mean 'warning'?"),
        ({"level": 20}, TypeError, "level=20: give one of 'debug'"),
        ({"only": "circuit"}, TypeError, "only='circuit': give a tuple of names"),
        ({"only": ["circuit.open"]}, ValueError, "only='circuit.open': no event has that name; did you mean"),
        ({"only": [CircuitOpened]}, TypeError, "only="),
        ({"rate": 0}, ValueError, "rate=0"),
        ({"rate": 2.5}, TypeError, "rate=2.5"),
        ({"text": "no"}, TypeError, "text='no': give True or False"),
        ({"bind": {"suppressed": 1}}, ValueError, "suppressed"),
        ({"bind": {"circuit": "a"}}, ValueError, "circuit"),
    ],
    ids=str,
)
def test_a_wrong_option_fails_where_it_is_written(options: dict, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        log_events(**options)


def test_of_equal_lines_ten_a_minute_are_written_and_the_next_says_how_many_were_not(log: Log):
    with virtual_time() as clock, log_events():
        for _ in range(25):
            emit(EXHAUSTED)
        clock.advance(61)
        emit(EXHAUSTED)
        clock.advance(61)
        emit(EXHAUSTED)
    assert [line.get("suppressed") for line in log.lines] == [None] * 10 + [15, None]


def test_lines_of_other_targets_and_categories_are_counted_apart(log: Log):
    import dataclasses

    with virtual_time(), log_events(rate=1):
        for change in ({}, {"target": "g"}, {"category": C.TIMEOUT}, {}):
            emit(dataclasses.replace(EXHAUSTED, **change))
    assert len(log.lines) == 3


def test_without_a_rate_each_line_is_written(log: Log):
    with log_events(rate=None):
        for _ in range(50):
            emit(EXHAUSTED)
    assert len(log.lines) == 50


def test_the_kinds_of_lines_that_are_counted_are_bounded():
    rate = LineRate(1)
    for number in range(3000):
        rate.suppressed(number)
    assert len(rate._windows) == 1000


def test_a_json_formatter_of_the_stdlib_shows_each_field_once():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    render = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[structlog.stdlib.ExtraAdder()], processors=render)
    )
    logger = logging.getLogger("shop.json")
    logger.addHandler(handler)
    try:
        with log_events("shop.json", text=False):
            emit(SCHEDULED)
    finally:
        logger.removeHandler(handler)
    assert json.loads(stream.getvalue()) == {
        "event": "retry.scheduled",
        "target": "f",
        "policy": "retry",
        "attempt": 1,
        "category": "network",
        "wait": 0.4827,
    }


# -- fields ---------------------------------------------------------------------------------------------------------


def test_a_line_says_why_an_error_has_its_category(log: Log):
    request = httpx.Request("GET", "http://prices/lamp?token=hunter2")
    error = httpx.HTTPStatusError("hunter2", request=request, response=httpx.Response(503, request=request))
    plain = RetryScheduled(target="f", policy="retry", attempt=1, category=C.UNAVAILABLE, wait=1.0, error=error)
    exhausted = RetriesExhausted(
        target="f", policy="retry", attempts=3, category=C.UNAVAILABLE, reason="attempts", error=error
    )
    with log_events():
        for event in (plain, exhausted, EXHAUSTED):
            emit(event)
    first, second, third = log.lines
    assert first["reason"] == "status 503"
    assert (second["reason"], second["error_reason"]) == ("attempts", "status 503")
    assert "error_reason" not in third  # the class says as much
    assert "hunter2" not in str(log.lines)


def test_the_line_of_a_request_says_it_too(log: Log):
    def fail(request: Request) -> None:
        raise OSError(28, "No space left on device")

    app = Starlette(routes=[Route("/", fail)])
    install(app)
    TestClient(app).get("/")
    assert log.lines[0]["reason"] == "No space left on device (ENOSPC)"


def test_numbers_are_rounded_and_a_policy_with_a_name_says_its_kind_too():
    assert SCHEDULED.fields()["wait"] == 0.4827
    assert list(rejected("stock", kind="bulkhead").fields().items())[:3] == [
        ("target", "f"),
        ("policy", "bulkhead"),
        ("bulkhead", "stock"),
    ]
    assert mode("shadow").fields() == {
        "target": "f",
        "policy": "circuit_breaker",
        "circuit": "prices",
        "mode": "shadow",
    }
