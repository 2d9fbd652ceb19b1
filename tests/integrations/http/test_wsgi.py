"""Any WSGI application, under the standard library's server and its validator."""

from __future__ import annotations

import wsgiref.util
from collections.abc import Iterator
from wsgiref.validate import validator

import httpx
import pytest

from resilience.errors import ResilienceError
from resilience.integrations.http import WsgiProblemMiddleware
from tests.integrations.http.serving import CANARY, hostile, serving_wsgi

ERRORS = hostile()


def app(environ: dict[str, object], start_response: object) -> object:
    match environ["PATH_INFO"]:
        case "/at-once":
            raise ResilienceError(CANARY, category="unavailable", retry_after=0.5)
        case "/begun":
            start_response("200 OK", [("Content-Type", "text/plain"), ("X-Old", "1")])
            raise KeyError(CANARY)
        case "/first":
            return first(start_response)
        case "/later":
            return later(start_response)
        case "/empty":
            return empty(start_response)
        case "/write":
            start_response("200 OK", [("Content-Type", "text/plain")])(b"one lamp")
            raise KeyError(CANARY)
        case "/hostile":
            raise ERRORS[str(environ["QUERY_STRING"]).replace("%20", " ")]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"lamps"]


def first(start_response: object) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise TimeoutError(CANARY)
    yield b""


def empty(start_response: object) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b""  # with which the standard library's server sends the status, as others do not
    raise KeyError(CANARY)


def later(start_response: object) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one lamp"
    raise KeyError(CANARY)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving_wsgi(validator(WsgiProblemMiddleware(validator(app)))) as client:
        yield client


@pytest.mark.parametrize(("path", "status"), [("/at-once", 503), ("/begun", 500), ("/first", 504)])
def test_what_is_raised_before_the_first_byte_is_answered(path: str, status: int, client: httpx.Client):
    answer = client.get(path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "x-old" not in answer.headers
    assert CANARY not in answer.text
    assert answer.json()["instance"] == path


@pytest.mark.parametrize("path", ["/later", "/write"])
def test_what_is_raised_after_the_first_byte_is_logged_and_raised_on(
    path: str, client: httpx.Client, caplog: pytest.LogCaptureFixture
):
    assert client.get(path).text == "one lamp"
    assert [record.status for record in caplog.records if record.name == "resilience.integrations.http"] == [None]


def test_where_the_server_was_faster_it_is_logged_that_nothing_was_answered(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
):
    assert client.get("/empty").text == ""
    assert caplog.records[-1].status is None


def test_what_goes_well_goes_through(client: httpx.Client):
    assert client.get("/lamps").text == "lamps"


@pytest.mark.parametrize("what", ERRORS)
def test_no_error_breaks_it(what: str, client: httpx.Client):
    answer = client.get("/hostile", params=what)
    assert 400 <= answer.status_code <= 599
    assert CANARY not in answer.text


class Held:
    closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"lamp"])

    def close(self) -> None:
        self.closed = True


def called(body: object, **environ: object) -> object:
    given: dict[str, object] = dict(environ)
    wsgiref.util.setup_testing_defaults(given)
    return WsgiProblemMiddleware(lambda _environ, _start: body)(given, lambda *_: None)


def test_an_unread_body_of_the_application_is_closed():
    held = Held()
    called(held).close()
    assert held.closed


def test_a_head_request_has_no_body():
    sent: list[object] = []
    body = WsgiProblemMiddleware(first)  # called with the wrong arguments: a TypeError
    found = b"".join(body({"REQUEST_METHOD": "HEAD", "PATH_INFO": "/"}, lambda *given: sent.append(given)))
    assert found == b""
    assert sent[0][0] == "500 Internal Server Error"


def test_what_is_no_exception_passes():
    def ends(environ: object, start_response: object) -> None:
        raise SystemExit(CANARY)

    with pytest.raises(SystemExit):
        WsgiProblemMiddleware(ends)({}, lambda *_: None)
