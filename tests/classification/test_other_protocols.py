"""Codes that are no HTTP status: of mail servers, brokers and databases."""

from __future__ import annotations

import asyncio
import http
import importlib
import io
import threading
import urllib.error
import xmlrpc.client
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any

import aiosmtplib
import amqp.exceptions
import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from resilience import retry_on_category
from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from resilience.classification._attributes import status_of
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure

C = ErrorCategory


# -- a code by itself ------------------------------------------------------------------------------------------------


class _Reply(Exception):
    """An error of any protocol, with attributes of any name."""

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


@pytest.mark.parametrize("name", ["code", "status"])
@pytest.mark.parametrize("number", [429, 450, 503, 530, 550])
def test_a_bare_number_is_no_http_status(name: str, number: int) -> None:
    for beside in ({}, {"message": "x", "recipient": "a@b"}, {"reply_text": "x", "method": "Queue.Declare"}):
        error = _Reply(**{name: number}, **beside)
        assert classify(error) is C.UNKNOWN
        assert status_of(error) is None


@pytest.mark.parametrize("name", ["code", "status"])
@pytest.mark.parametrize("beside", ["headers", "hdrs", "url", "uri", "response", "request"])
def test_a_number_beside_something_of_http_is_a_status(name: str, beside: str) -> None:
    error = _Reply(**{name: 503, beside: None})
    assert classify(error) is C.UNAVAILABLE
    assert status_of(error) == 503


def test_a_member_of_httpstatus_is_a_status() -> None:
    assert classify(_Reply(code=http.HTTPStatus.SERVICE_UNAVAILABLE)) is C.UNAVAILABLE
    assert classify(_Reply(status=http.HTTPStatus.TOO_MANY_REQUESTS)) is C.RATE_LIMIT
    assert classify(_Reply(status_code=503)) is C.UNAVAILABLE  # what only HTTP calls it


def test_urllib_keeps_its_status() -> None:
    error = urllib.error.HTTPError("http://x", 503, "m", Message(), io.BytesIO())
    assert status_of(error) == 503
    assert classify(error) is C.UNAVAILABLE
    error.close()


# -- mail ------------------------------------------------------------------------------------------------------------


class _Mailbox:
    """Answers each recipient with the reply that its address begins with."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        reply = address.partition("@")[0]
        if reply.isdigit():
            return f"{reply} said so"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture(scope="module")
def mail() -> Iterator[int]:
    """A real SMTP server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve() -> asyncio.Server:
        def one() -> SMTP:
            refuse = AuthResult(success=False, handled=False)
            return SMTP(_Mailbox(), authenticator=lambda *_: refuse, auth_require_tls=False)

        return await loop.create_server(one, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(5)
    yield int(server.sockets[0].getsockname()[1])
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


async def _send(port: int, *to: str, **login: str) -> object:
    sender = "shop@example.com"
    return await aiosmtplib.send(
        f"From: {sender}\r\n\r\nx", sender=sender, recipients=list(to), hostname="127.0.0.1", port=port, **login
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("to", "category", "calls"),
    [
        (["450@example.com"], C.UNAVAILABLE, 3),
        (["550@example.com"], C.NOT_FOUND, 1),
        (["552@example.com"], C.CAPACITY, 1),
        (["554@example.com"], C.VALIDATION, 1),
        (["450@example.com", "550@example.com"], C.NOT_FOUND, 1),
    ],
)
def test_a_reply_of_a_real_mail_server_is_later_or_never(
    to: list[str], category: ErrorCategory, calls: int, mail: int
) -> None:
    tried: list[int] = []

    @retry_on_category(attempts=3, base_delay=0)
    async def send() -> object:
        tried.append(1)
        return await _send(mail, *to)

    error = _failure(lambda: asyncio.run(send()))
    assert classify(error) is category, explain(error)
    assert len(tried) == calls


def test_a_wrong_password_is_tried_once(mail: int) -> None:
    tried: list[int] = []

    @retry_on_category(attempts=3, base_delay=0)
    async def send() -> object:
        tried.append(1)
        return await _send(mail, "a@example.com", username="shop", password="wrong")

    error = _failure(lambda: asyncio.run(send()))
    assert isinstance(error, aiosmtplib.SMTPAuthenticationError)
    assert classify(error) is C.AUTHENTICATION
    assert len(tried) == 1


def test_a_mail_server_that_is_not_there_is_a_network_error(closed_port: int, talker: Callable[..., int]) -> None:
    refused = _failure(lambda: asyncio.run(_send(closed_port, "a@example.com")))
    assert classify(refused) is C.NETWORK
    hung_up = _failure(lambda: asyncio.run(_send(talker(b""), "a@example.com")))
    assert classify(hung_up) is C.NETWORK
    busy = _failure(lambda: asyncio.run(_send(talker(b"421 busy\r\n"), "a@example.com")))
    assert classify(busy) is C.UNAVAILABLE
    assert classify(aiosmtplib.SMTPReadTimeoutError("x")) is C.TIMEOUT
    assert classify(aiosmtplib.SMTPConnectTimeoutError("x")) is C.TIMEOUT


# -- brokers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "category"),
    [
        (amqp.exceptions.NotAllowed("x"), C.AUTHORIZATION),
        (amqp.exceptions.AccessRefused("x"), C.AUTHORIZATION),
        (amqp.exceptions.InvalidCommand("x"), C.INTERNAL),
        (amqp.exceptions.NotFound("x"), C.NOT_FOUND),
        (amqp.exceptions.PreconditionFailed("x"), C.CONFLICT),
        (amqp.exceptions.ResourceError("x"), C.CAPACITY),
        (amqp.exceptions.InternalError("x"), C.SERVER_ERROR),
        (amqp.exceptions.ConnectionForced("x"), C.UNAVAILABLE),
        (amqp.exceptions.RecoverableConnectionError("x"), C.NETWORK),
        (amqp.exceptions.ConnectionError("x", reply_code=403), C.AUTHORIZATION),
        (amqp.exceptions.ChannelError("x", reply_code=404), C.NOT_FOUND),
        (amqp.exceptions.AMQPError("x"), C.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.label,
)
def test_a_reply_of_a_broker_is_no_http_status(error: Exception, category: ErrorCategory) -> None:
    assert classify(error) is category, explain(error)


# -- databases -------------------------------------------------------------------------------------------------------


def _clickhouse_driver() -> Any:
    pytest.importorskip("clickhouse_driver.dbapi", reason="clickhouse-driver has no wheel for this Python")
    return importlib.import_module("clickhouse_driver")


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (516, C.AUTHENTICATION), (193, C.AUTHENTICATION), (497, C.AUTHORIZATION), (159, C.TIMEOUT), (210, C.NETWORK),
        (202, C.UNAVAILABLE), (241, C.CAPACITY), (57, C.CONFLICT), (62, C.INTERNAL), (81, C.CONFIGURATION),
        (53, C.VALIDATION), (503, C.DEPENDENCY), (429, C.DEPENDENCY), (None, C.DEPENDENCY),
    ],
)  # fmt: skip
def test_a_code_of_clickhouse_is_no_http_status(code: int | None, category: ErrorCategory) -> None:
    clickhouse_driver = _clickhouse_driver()
    error = clickhouse_driver.errors.ServerException("secret", code)
    assert classify(error) is category, explain(error)
    wrapped = clickhouse_driver.dbapi.OperationalError(error)
    assert classify(wrapped) is category


def test_a_clickhouse_that_is_not_there_is_a_network_error(closed_port: int) -> None:
    clickhouse_driver = _clickhouse_driver()
    client = clickhouse_driver.Client("127.0.0.1", port=closed_port, connect_timeout=1)
    assert classify(_failure(lambda: client.execute("select 1"))) is C.NETWORK
    connection = clickhouse_driver.dbapi.connect(f"clickhouse://127.0.0.1:{closed_port}")
    assert classify(_failure(lambda: connection.cursor().execute("select 1"))) is C.NETWORK


def test_the_status_of_an_xmlrpc_response_is_one_of_http(peer: Peer) -> None:
    with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{peer.port}/503") as proxy:
        error = _failure(lambda: proxy.pay())
    assert str(explain(error)) == "unavailable (client: xmlrpc.ProtocolError: status 503); recovery: retry"
    assert classify(xmlrpc.client.Fault(1, "no such account")) is C.UNKNOWN
