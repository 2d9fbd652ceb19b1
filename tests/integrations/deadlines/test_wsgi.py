"""A WSGI application within the deadline of its request."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Iterator

import pytest

from resilience import remaining, subscribe, timeout
from resilience.errors import DeadlineExceededError
from resilience.events import DeadlineIgnored
from resilience.integrations.deadlines import WsgiDeadlineMiddleware
from resilience.testing import virtual_time

HEADER = "x-time-left-ms"


class Shop:
    """An application that notes what is left at its call, and at each piece of its answer."""

    def __init__(self, error: Exception | None = None, step: float = 0.0) -> None:
        self.error = error
        self.step = step
        self.left: list[float | None] = []
        self.clock = None

    def __call__(self, environ: object, start_response: object) -> Iterator[bytes]:
        self.left.append(remaining())
        if self.error is not None:
            raise self.error
        start_response("200 OK", [])
        return self.pieces()

    def pieces(self) -> Iterator[bytes]:
        try:
            for piece in (b"a ", b"lamp"):
                if self.step:
                    self.clock.advance(self.step)
                self.left.append(remaining())
                yield piece
        finally:
            self.left.append(remaining())


def ask(shop: Shop, app: object, value: str | None, method: str = "GET") -> tuple[str, bytes]:
    statuses: list[str] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/lamps"}
    if value is not None:
        environ["HTTP_X_TIME_LEFT_MS"] = value
    with virtual_time() as clock:
        shop.clock = clock
        answer = app(environ, lambda status, headers, exc_info=None: statuses.append(status))
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        assert remaining() is None
    return statuses[-1], body


def test_the_application_and_each_piece_of_its_answer_have_what_is_left():
    shop = Shop(step=1)
    assert ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER), "5000") == ("200 OK", b"a lamp")
    assert shop.left == [5.0, 4.0, 3.0, 3.0]


def test_the_pieces_may_be_taken_in_another_context():
    shop = Shop()
    with virtual_time():
        answer = WsgiDeadlineMiddleware(shop, header=HEADER)({"HTTP_X_TIME_LEFT_MS": "5000"}, lambda *_: None)
        contextvars.copy_context().run(list, answer)
    assert shop.left == [5.0] * 4


def test_without_the_header_there_is_no_limit_but_the_default():
    shop = Shop()
    ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER), None)
    ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER, default=4), None)
    assert shop.left[::4] == [None, 4.0]


def test_a_client_gets_no_more_than_the_maximum():
    shop = Shop()
    ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER, maximum=30), "99999999")
    assert shop.left[0] == 30.0


@pytest.mark.parametrize(("method", "has_body"), [("GET", True), ("HEAD", False)])
def test_a_request_that_arrives_too_late_is_answered_at_once(method: str, has_body: bool):
    shop = Shop()
    status, body = ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER), "-3", method)
    assert (status, shop.left, bool(body)) == ("504 Gateway Timeout", [], has_body)


def test_a_header_that_says_no_time_is_ignored_with_an_event():
    shop = Shop()
    events: list[object] = []
    with subscribe(events.append):
        status, _ = ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER), "soon")
    assert (status, shop.left[0], [type(event) for event in events]) == ("200 OK", None, [DeadlineIgnored])


def test_the_end_of_the_deadline_below_the_handler_is_answered_with_504():
    shop = Shop(DeadlineExceededError("shop.search"))
    status, body = ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER), "5000")
    assert status == "504 Gateway Timeout"
    assert json.loads(body)["category"] == "timeout"


def test_the_time_out_of_a_client_below_that_comes_with_the_deadline_is_504():
    def late(environ: object, start_response: object) -> list[bytes]:
        shop.clock.advance(2)
        raise TimeoutError

    shop = Shop()
    status, _ = ask(shop, WsgiDeadlineMiddleware(late, header=HEADER), "2000")
    assert status == "504 Gateway Timeout"


def test_a_guarded_call_is_not_begun_once_the_deadline_has_passed():
    calls: list[str] = []
    call = timeout(5)(calls.append)

    def late(environ: object, start_response: object) -> list[bytes]:
        shop.clock.advance(3)
        call("the warehouse")
        return []

    shop = Shop()
    status, _ = ask(shop, WsgiDeadlineMiddleware(late, header=HEADER), "2000")
    assert (status, calls) == ("504 Gateway Timeout", [])


def test_other_exceptions_pass():
    shop = Shop(LookupError("no such lamp"))
    with pytest.raises(LookupError, match="no such lamp"):
        ask(shop, WsgiDeadlineMiddleware(shop, header=HEADER), "5000")
    assert remaining() is None


def test_without_a_limit_the_applications_own_answer_comes_back():
    made = [b"a lamp"]
    assert WsgiDeadlineMiddleware(lambda *_: made, header=HEADER)({}, print) is made
