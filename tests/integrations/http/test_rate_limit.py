"""A rate limit around a handler answers 429 with what a client has to know, and the client keeps to it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from resilience import ErrorCategory, RateLimitedError, classify, rate_limit
from resilience.errors._user_messages import USER_MESSAGES
from resilience.integrations.http import (
    ProblemMiddleware,
    WsgiProblemMiddleware,
    error_from_response,
    install,
    raise_for_problem,
)
from resilience.integrations.http.problem_details import headers
from tests.integrations.http.serving import serving, serving_wsgi

HEADERS = {"Retry-After": "3600", "RateLimit": '"search";r=0;t=3600', "RateLimit-Policy": '"search";q=1;w=3600'}


def search() -> object:
    return rate_limit("search", "1/hour", max_wait=0)(lambda: "lamps")


def asgi() -> object:
    guarded = search()

    async def app(scope: dict, receive: object, send: object) -> None:
        if scope["type"] == "lifespan":
            return
        text = guarded()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return ProblemMiddleware(app)


def fastapi() -> object:
    app, limit = FastAPI(), rate_limit("search", "1/hour", max_wait=0)
    install(app)

    @app.get("/search")
    @limit
    async def search() -> str:
        return "lamps"

    return app


def wsgi() -> object:
    guarded = search()

    def app(environ: dict, start_response: object) -> list[bytes]:
        text = guarded()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]

    return WsgiProblemMiddleware(app)


@pytest.fixture(params=["asgi", "fastapi", "wsgi"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    serve = serving_wsgi if request.param == "wsgi" else serving
    with serve({"asgi": asgi, "fastapi": fastapi, "wsgi": wsgi}[request.param]()) as client:
        yield client


def test_a_request_that_the_limit_refuses_is_answered_with_429_and_the_headers(client: httpx.Client):
    assert client.get("/search").status_code == 200
    answer = client.get("/search")
    assert answer.status_code == answer.json()["status"] == 429
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert (answer.json()["code"], answer.json()["category"]) == ("RES-E009", "rate_limit")
    assert answer.json()["detail"] == USER_MESSAGES[ErrorCategory.RATE_LIMIT]


def test_a_client_holds_its_own_limit_by_the_answer(client: httpx.Client):
    quota = rate_limit("search", "100/s", burst=50, max_wait=0)
    assert quota.call(lambda: raise_for_problem(client.get("/search"))).status_code == 200
    with pytest.raises(RateLimitedError) as caught:
        quota.call(lambda: raise_for_problem(client.get("/search")))
    assert classify(caught.value) is ErrorCategory.RATE_LIMIT  # the server's limit, not that of this process
    assert (caught.value.name, caught.value.retry_after) == ("the server", pytest.approx(3600, abs=5))
    assert 59 < quota.snapshot()["wait"] <= 61
    quota = rate_limit("search", "100/s", burst=50)
    quota.observe(client.get("/search"))
    assert 59 < quota.snapshot()["wait"] <= 61


def test_details_bring_name_and_rate_back_where_they_are_sent():
    status, sent, body = 429, {}, {"code": "RES-E009", "status": 429, "category": "rate_limit"}
    details = {"rate_limit": "search", "rate": "5/10s", "cost": 2}
    error = error_from_response((status, sent, {**body, "details": details, "retry_after": 7}))
    assert isinstance(error, RateLimitedError)
    assert (error.name, error.rate, error.cost, error.retry_after) == ("search", "5/10s", 2, 7)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("search", "search"), ('a "b" \\', 'a \\"b\\" \\\\'), ("sürch\r\nX: y", "s?rch??X: y"), ("x" * 300, "x" * 100)],
)
def test_the_name_is_a_string_of_structured_fields_whatever_it_holds(name: str, shown: str):
    found = headers(RateLimitedError(name, "5/10s", retry_after=2))
    assert found["RateLimit"] == f'"{shown}";r=0;t=2'
    assert found["RateLimit-Policy"] == f'"{shown}";q=5;w=10'


def test_an_error_whose_rate_is_no_rate_has_no_such_headers():
    assert headers(RateLimitedError("search", "a rate", retry_after=2)) == {"Retry-After": "2"}
    assert headers(RateLimitedError("search", "5/s"))["RateLimit"] == '"search";r=0'
