"""FastAPI under uvicorn: what is answered, what is logged, what is raised on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, HTTPException, WebSocket
from pydantic import BaseModel, field_validator
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from resilience.contrib import service
from resilience.errors import ResilienceError
from resilience.integrations.http import install
from tests.integrations.http.serving import CANARY, hostile, serving


class Line(BaseModel):
    count: int
    password: str = ""

    @field_validator("password")
    @classmethod
    def long_enough(cls, value: str) -> str:
        if value == CANARY:
            raise ValueError("is too short")
        return value


class Order(BaseModel):
    lines: list[Line]


def shop(style: str = "problem", public: str | None = None, *, debug: bool = False) -> FastAPI:
    app = FastAPI(debug=debug)
    install(app, format=style, public=public)
    errors = hostile()

    @app.get("/locked/{row}")
    def locked(row: str) -> None:
        raise ResilienceError(f"row {row} is locked", category="conflict", retry_after=0.2, details={"row": row})

    @app.get("/task")
    async def task() -> None:
        raise service.TaskNotFoundError("t-7")

    @app.get("/bug/{name}")
    async def bug(name: str) -> None:
        secret = {"name": CANARY}  # in the traceback
        raise KeyError(CANARY, secret)

    @app.get("/hostile")
    async def fight(what: str) -> None:
        raise errors[what]

    @app.get("/refused")
    def refused() -> None:
        raise HTTPException(418, "I am a teapot", headers={"X-Pot": "tea"})

    @app.post("/orders")
    def order(order: Order) -> None: ...

    @app.get("/stream")
    def stream() -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            yield b"one lamp\n"
            raise KeyError(CANARY)

        return StreamingResponse(pieces())

    return app


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(shop()) as client:
        yield client


@pytest.fixture(scope="module")
def plain() -> Iterator[httpx.Client]:
    with serving(shop("service", debug=True)) as client:
        yield client


def test_an_error_is_a_problem(client: httpx.Client):
    answer = client.get("/locked/7%20a")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "This conflicts with something that has changed meanwhile.",
        "code": "RES-E000",
        "category": "conflict",
        "instance": "/locked/7%20a",
        "retry_after": 0.2,
    }


def test_an_error_is_the_body_of_a_service(plain: httpx.Client):
    answer = plain.get("/task")
    assert (answer.status_code, answer.json()) == (404, service.TaskNotFoundError("t-7").to_dict())
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("style", ["problem", "service"])
def test_an_unexpected_exception_leaks_nothing_and_is_logged_whole(
    style: str, client: httpx.Client, plain: httpx.Client, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG, "resilience.integrations.http"):
        answer = (client if style == "problem" else plain).get("/bug/7%0AERROR forged?token=x")
    assert answer.status_code == 500
    assert CANARY not in answer.text + str(answer.headers)
    assert "KeyError" not in answer.text
    if style == "service":  # although the application is in debug mode, in which Starlette shows the traceback
        assert answer.json() == {"error": "INTERNAL_ERROR", "message": "An internal error occurred", "details": {}}
    record = next(record for record in caplog.records if record.name == "resilience.integrations.http")
    assert record.levelname == "ERROR"
    assert record.path == "/bug/7\\nERROR forged"
    assert "\n" not in record.getMessage()
    assert record.exc_info[0] is KeyError
    assert CANARY not in record.getMessage()


@pytest.mark.parametrize("what", hostile())
def test_no_error_breaks_the_handler(what: str, client: httpx.Client, plain: httpx.Client):
    for asked in (client, plain):
        answer = asked.get("/hostile", params={"what": what})
        assert 400 <= answer.status_code <= 599
        assert "set-cookie" not in answer.headers
        assert isinstance(answer.json(), dict)
        assert CANARY not in answer.text


def test_a_refused_request_names_its_fields_and_keeps_its_values(client: httpx.Client, plain: httpx.Client):
    body = {"lines": [{"count": "many", "password": CANARY}]}
    errors = [
        {
            "field": "body.lines.0.count",
            "message": "Input should be a valid integer, unable to parse string as an integer",
            "type": "int_parsing",
        },
        {"field": "body.lines.0.password", "message": "Value error, is too short", "type": "value_error"},
    ]
    answer = client.post("/orders", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["details"] == {"errors": errors}
    assert answer.json()["status"] == 422
    answer = plain.post("/orders", json=body)
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "VALIDATION_ERROR", "message": "Request validation failed", "details": {"errors": errors}},
    )
    assert CANARY not in answer.text


def test_a_request_with_a_thousand_faults_has_an_answer_of_a_page(client: httpx.Client):
    answer = client.post("/orders", json={"lines": [{"x" * 1000: n} for n in range(1000)]})
    assert answer.status_code == 422
    assert len(answer.json()["details"]["errors"]) == 50
    assert len(answer.content) < 20_000


def test_the_frameworks_own_refusals_stay_the_frameworks(client: httpx.Client):
    answer = client.get("/refused")
    assert (answer.status_code, answer.json(), answer.headers["x-pot"]) == (418, {"detail": "I am a teapot"}, "tea")
    assert client.get("/nowhere").json() == {"detail": "Not Found"}


def test_what_fails_after_the_answer_has_begun_breaks_off_and_is_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/stream")
    record = next(record for record in caplog.records if record.name == "resilience.integrations.http")
    assert "after the answer had begun" in record.getMessage()
    assert (record.status, record.path) == (None, "/stream")


def test_errors_of_a_public_category_show_their_message():
    answer = TestClient(shop(public="client_error")).get("/locked/7")
    assert (answer.json()["detail"], answer.json()["details"]) == ("row 7 is locked", {"row": "7"})


def test_middlewares_inside_and_outside_are_answered_for():
    async def inside(request: Request, call_next: object) -> None:
        raise KeyError(CANARY)

    for late in (False, True):
        app = Starlette(debug=False)
        if not late:
            app.add_middleware(BaseHTTPMiddleware, dispatch=inside)
        install(app)
        if late:
            app.add_middleware(BaseHTTPMiddleware, dispatch=inside)
        answer = TestClient(app, raise_server_exceptions=False).get("/")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert CANARY not in answer.text


def test_a_middleware_inside_sees_the_answer_to_an_expected_error():
    seen: list[int] = []

    async def inside(request: Request, call_next: object) -> object:
        answer = await call_next(request)
        seen.append(answer.status_code)
        return answer

    def locked(request: Request) -> None:
        raise ResilienceError("m", category="conflict")

    app = Starlette(routes=[Route("/", locked)])
    app.add_middleware(BaseHTTPMiddleware, dispatch=inside)
    install(app)
    assert TestClient(app).get("/").status_code == 409
    assert seen == [409]


def test_a_more_precise_handler_of_the_applications_own_goes_first():
    app = FastAPI()
    install(app)

    @app.exception_handler(service.TaskNotFoundError)
    async def own(request: object, error: Exception) -> object:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("mine", 410)

    @app.get("/")
    def task() -> None:
        raise service.TaskNotFoundError("t-7")

    assert TestClient(app).get("/").text == "mine"


def test_a_websocket_ends_with_the_error_and_does_not_stay_open():
    app = FastAPI()
    install(app)

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        raise ResilienceError("m", category="conflict")

    with pytest.raises(ResilienceError), TestClient(app).websocket_connect("/ws") as socket:
        socket.receive_text()


def test_plain_starlette_needs_no_fastapi():
    def fail(request: Request) -> None:
        raise TimeoutError(CANARY)

    app = Starlette(routes=[Route("/", fail)])
    install(app, format="service")
    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.json()["error"]) == (504, "INTERNAL_ERROR")


def test_a_log_filter_that_raises_does_not_prevent_the_answer():
    def refuse(record: logging.LogRecord) -> bool:
        raise RuntimeError("full")

    logger = logging.getLogger("resilience.integrations.http")
    logger.addFilter(refuse)
    try:
        answer = TestClient(shop()).get("/bug/7")
    finally:
        logger.removeFilter(refuse)
    assert answer.status_code == 500


@pytest.mark.parametrize("style", ["problem", "service"])
def test_the_openapi_document_shows_the_body_that_an_invalid_request_gets(style: str):
    import jsonschema

    app = shop(style)
    answer = TestClient(app).post("/orders", json={"lines": [{"count": "many"}]})
    document = app.openapi()
    content = document["paths"]["/orders"]["post"]["responses"]["422"]["content"]
    [(media_type, described)] = content.items()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == media_type
    name = described["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    jsonschema.validate(answer.json(), {**schema, "additionalProperties": False})
    assert "HTTPValidationError" not in str(document)
    assert app.openapi() == document


def test_without_validation_the_body_of_an_invalid_request_and_its_description_stay_fastapis():
    app, plain = FastAPI(), FastAPI()
    install(app, validation=False)
    for each in (app, plain):

        @each.get("/{row}")
        def read(row: int) -> int:
            return row

    assert TestClient(app).get("/x").json() == TestClient(plain).get("/x").json()
    assert app.openapi() == plain.openapi()


def test_the_applications_own_answer_to_an_invalid_request_stays_in_the_document():
    app = FastAPI()
    install(app)

    @app.get("/{row}", responses={422: {"description": "mine"}})
    def read(row: int) -> int:
        return row

    assert app.openapi()["paths"]["/{row}"]["get"]["responses"]["422"] == {"description": "mine"}


def test_a_wrong_option_fails_when_it_is_installed():
    with pytest.raises(TypeError, match="validation='no'"):
        install(FastAPI(), validation="no")


def test_a_wrong_format_fails_when_it_is_installed():
    with pytest.raises(ValueError, match="give 'problem' or 'service'"):
        install(FastAPI(), format="xml")
