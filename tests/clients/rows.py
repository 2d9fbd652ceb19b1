"""The rows of the conformance matrix: what must come of each situation, whatever the client.

Unless a row says otherwise the client is guarded by a retry of three attempts, with waits of 0.1 and 0.2 seconds, and
calls ``GET /``.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from email.utils import formatdate

from h2.errors import ErrorCodes

from resilience import circuit_breaker, deadline, retry_on_category, timeout
from resilience._runtime.pipeline import Decorator
from resilience.clients import by_host
from tests.clients.conformance import Row, Setup
from tests.clients.http2_server import Http2Server, answer2, goaway, reset_stream
from tests.clients.server import (
    Connection,
    answer,
    chunked,
    close,
    cut,
    cut_chunks,
    drip,
    garbage,
    hang,
    hang_in_body,
    redirect,
    reset,
    reset_in_body,
    reset_in_headers,
)

__all__ = ["ROWS"]

LAMP = b"brass lamp"
LONG = b"lamp" * 50_000
TWICE, THRICE = (0.1,), (0.1, 0.2)
SHORT = 0.3  # seconds: a limit that is waited for in real time
KEY = {"Idempotency-Key": "8e03978e"}

Policies = Sequence[Decorator]


def retry(attempts: int = 3) -> Decorator:
    return retry_on_category(attempts=attempts, base_delay=0.1, max_delay=10, jitter="none")


def limited(_: str) -> Policies:
    return retry(2), timeout(SHORT)


def in_time(_: str) -> Policies:
    return deadline(SHORT), retry()


def with_circuit(name: str) -> Policies:
    return retry(), circuit_breaker(name, failure_threshold=2)


def with_circuit_per_host(name: str) -> Policies:
    return (circuit_breaker(name, failure_threshold=1, key=by_host),)


def busy_until(connection: Connection) -> bool:
    """Answer 429 with a date three seconds ahead."""
    return answer(429, retry_after=formatdate(time.time() + 3, usegmt=True))(connection)


def closes_when_idle(connection: Connection) -> bool:
    """Answer as if the connection stayed open, and close it."""
    answer(200, LAMP)(connection)
    return False


get = functools.partial(Row, method="GET")
post = functools.partial(Row, method="POST", body="bytes")
put = functools.partial(Row, method="PUT", body="bytes")

STATUSES = [
    get("200", {"/": [answer(200, LAMP)]}, 200, ["GET"], answered=LAMP),
    get("503, then 200", {"/": [answer(503), answer(200, LAMP)]}, 200, ["GET"] * 2, TWICE, answered=LAMP),
    get("503 throughout", {"/": [answer(503, LAMP)]}, 503, ["GET"] * 3, THRICE, "attempts", answered=LAMP),
    get("500, then 200", {"/": [answer(500), answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("502, then 504, then 200", {"/": [answer(502), answer(504), answer(200)]}, 200, ["GET"] * 3, THRICE),
    get("404", {"/": [answer(404, LAMP)]}, 404, ["GET"], (), "not_retryable", answered=LAMP),
    get("501", {"/": [answer(501)]}, 501, ["GET"], (), "not_retryable"),
    get("204", {"/": [answer(204)]}, 204, ["GET"]),
    get("304", {"/": [answer(304)]}, 304, ["GET"]),
    get("503 with a body in chunks", {"/": [chunked(503, LAMP, LAMP), answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("503 with a long body", {"/": [answer(503, LONG)]}, 503, ["GET"] * 3, THRICE, answered=LONG),
    get("503 with a long body in chunks", {"/": [chunked(503, LONG)]}, 503, ["GET"] * 3, THRICE, answered=LONG),
    get("503 with a cut body, then 200", {"/": [cut(503), answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("429, in 2 seconds", {"/": [answer(429, retry_after="2"), answer(200)]}, 200, ["GET"] * 2, [(2.0, 2.2)]),
    get("429, at a date", {"/": [busy_until, answer(200)]}, 200, ["GET"] * 2, [(1.0, 3.3)]),
    get(
        "429, in 1500 milliseconds",
        {"/": [answer(429, retry_after_ms="1500"), answer(200)]},
        200,
        ["GET"] * 2,
        [(1.5, 1.65)],
    ),
    get("429, in an hour", {"/": [answer(429, retry_after="3600")]}, 429, ["GET"], (), "pushback"),
    get("503, in 1 second", {"/": [answer(503, retry_after="1"), answer(200)]}, 200, ["GET"] * 2, [(1.0, 1.1)]),
    get("HEAD of 503", {"/": [answer(503, LAMP), answer(200, LAMP)]}, 200, ["HEAD"] * 2, TWICE, method="HEAD"),
]

CONNECTIONS = [
    get("refused", {}, "network", [], THRICE, "attempts", address="refusing"),
    get("reset before the request is read", {"/": [answer(200)]}, 200, ["GET"], TWICE, on_connect=[reset]),
    get("reset before the headers", {"/": [reset, answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("reset within the headers", {"/": [reset_in_headers, answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("reset after the headers", {"/": [reset_in_body, answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("reset throughout", {"/": [reset]}, "network", ["GET"] * 3, THRICE, "attempts"),
    get("closed without an answer", {"/": [close, answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("a cut body", {"/": [cut(), answer(200, LAMP)]}, 200, ["GET"] * 2, TWICE, answered=LAMP),
    get("a cut body in chunks", {"/": [cut_chunks(), answer(200, LAMP)]}, 200, ["GET"] * 2, TWICE, answered=LAMP),
    get("a cut body throughout", {"/": [cut()]}, "network", ["GET"] * 3, THRICE, "attempts"),
    get("another protocol, then HTTP", {"/": [garbage, answer(200)]}, 200, ["GET"] * 2, TWICE),
    get("closed while idle", {"/": [closes_when_idle, answer(200)]}, 200, ["GET"] * 2, None, times=2),
]

REDIRECTS = [
    get("a redirect", {"/": [redirect(302, "/new")], "/new": [answer(200, LAMP)]}, 200, ["GET", "GET /new"]),
    get(
        "a redirect to 503, then 200: from the beginning",
        {"/": [redirect(302, "/new")], "/new": [answer(503), answer(200)]},
        200,
        ["GET", "GET /new"] * 2,
        TWICE,
    ),
    get("a redirect loop", {"/": [redirect(302, "/")]}, "configuration", ["GET"] * 6, (), "not_retryable"),
    post(
        "a POST that is redirected to a GET of 503",
        {"/": [redirect(303, "/new")], "/new": [answer(503)]},
        503,
        ["POST", "GET /new"],
        (),
        "not_idempotent",
    ),
    put(
        "a PUT that is redirected with its body, to 503, then 200",
        {"/": [redirect(307, "/new")], "/new": [answer(503), answer(200)]},
        200,
        ["PUT", "PUT /new"] * 2,
        TWICE,
    ),
    get(
        "a redirect to silence, within one deadline",
        {"/": [redirect(302, "/new")], "/new": [hang]},
        "timeout",
        ["GET", "GET /new"],
        policies=in_time,
        slow=True,
    ),
]

BODIES = [
    post("a POST of 503", {"/": [answer(503)]}, 503, ["POST"], (), "not_idempotent"),
    post("a POST of 429", {"/": [answer(429), answer(200)]}, 200, ["POST"] * 2, [(0.0, 5.0)]),
    post("a POST that is reset", {"/": [reset]}, "network", ["POST"], (), "not_idempotent"),
    post("a POST that is refused", {}, "network", [], THRICE, "attempts", address="refusing"),
    post("a POST with an idempotency key", {"/": [answer(503), answer(200)]}, 200, ["POST"] * 2, TWICE, headers=KEY),
    post(
        "a POST that may happen twice",
        {"/": [answer(503), answer(200)]},
        200,
        ["POST"] * 2,
        TWICE,
        options={"idempotent": True},
    ),
    post("a PATCH of 503", {"/": [answer(503)]}, 503, ["PATCH"], (), "not_idempotent", method="PATCH"),
    put("a PUT of bytes", {"/": [answer(503), answer(200)]}, 200, ["PUT"] * 2, TWICE),
    put("a PUT of a form", {"/": [answer(503), answer(200)]}, 200, ["PUT"] * 2, TWICE, body="form"),
    put("a PUT of a form with a file", {"/": [answer(503), answer(200)]}, 200, ["PUT"] * 2, TWICE, body="multipart"),
    put(
        "a PUT of a file",
        {"/": [answer(503), answer(200)]},
        200,
        ["PUT"] * 2,
        TWICE,
        body="file",
        needs=frozenset({"files"}),
    ),
    put("a PUT of a generator", {"/": [answer(503)]}, 503, ["PUT"], (), "body", body="generator"),
    put("a PUT of a generator that is reset", {"/": [reset]}, "network", ["PUT"], (), "body", body="generator"),
    put(
        "a PUT of a generator that is refused",
        {},
        "network",
        [],
        THRICE,
        "attempts",
        body="generator",
        address="refusing",
    ),
    post(
        "a POST of a generator, with a key",
        {"/": [answer(503)]},
        503,
        ["POST"],
        (),
        "body",
        body="generator",
        headers=KEY,
    ),
    get("a DELETE of 503", {"/": [answer(503), answer(204)]}, 204, ["DELETE"] * 2, TWICE, method="DELETE"),
]

STREAMS = [
    get("a stream", {"/": [answer(200, LONG)]}, 200, ["GET"], streams=True, answered=LONG),
    get(
        "a stream of 503, then 200",
        {"/": [answer(503), answer(200, LONG)]},
        200,
        ["GET"] * 2,
        TWICE,
        streams=True,
        answered=LONG,
    ),
    get(
        "a stream of 503 throughout",
        {"/": [answer(503, LAMP)]},
        503,
        ["GET"] * 3,
        THRICE,
        "attempts",
        streams=True,
        answered=LAMP,
    ),
    get(
        "a stream of 503 with a long body",
        {"/": [chunked(503, LONG)]},
        503,
        ["GET"] * 3,
        THRICE,
        streams=True,
        answered=LONG,
    ),
    get("a stream that is cut", {"/": [cut()]}, "network", ["GET"], streams=True),
    get(
        "a stream that is reset before the headers",
        {"/": [reset, answer(200, LAMP)]},
        200,
        ["GET"] * 2,
        TWICE,
        streams=True,
        answered=LAMP,
    ),
]

POOLS = [
    get(
        "a pool of two, ten calls of 503",
        {"/": [answer(503, LAMP)]},
        503,
        ["GET"] * 30,
        THRICE * 10,
        times=10,
        setup=Setup(pool=2),
    ),
    get(
        "a pool of two, streams of 503 with long bodies",
        {"/": [chunked(503, LONG)]},
        503,
        ["GET"] * 12,
        THRICE * 4,
        times=4,
        streams=True,
        setup=Setup(pool=2),
    ),
    get("a pool of two, resets", {"/": [reset]}, "network", ["GET"] * 12, THRICE * 4, times=4, setup=Setup(pool=2)),
]

LIMITS = [
    get(
        "the client's limit for reading",
        {"/": [hang, answer(200)]},
        200,
        ["GET"] * 2,
        TWICE,
        setup=Setup(limit=SHORT),
        slow=True,
    ),
    get(
        "the client's limit for connecting",
        {},
        "timeout",
        [],
        THRICE,
        setup=Setup(limit=SHORT),
        address="silent",
        slow=True,
    ),
    get("the limit of an attempt", {"/": [hang, answer(200)]}, 200, ["GET"] * 2, TWICE, policies=limited, slow=True),
    get("the limit of each attempt", {"/": [hang]}, "timeout", ["GET"] * 2, TWICE, policies=limited, slow=True),
    get(
        "the limit of an attempt, within the body",
        {"/": [hang_in_body(), answer(200)]},
        200,
        ["GET"] * 2,
        TWICE,
        policies=limited,
        slow=True,
    ),
    get(
        "the limit of an attempt, while the body drips",
        {"/": [drip(b"l", 0.1, 20), answer(200)]},
        200,
        ["GET"] * 2,
        TWICE,
        policies=limited,
        slow=True,
    ),
    get("the limit of an attempt, connecting", {}, "timeout", [], TWICE, policies=limited, address="silent", slow=True),
    get("the deadline", {"/": [hang]}, "timeout", ["GET"], policies=in_time, slow=True),
    get("the deadline of the call", {"/": [hang]}, "timeout", ["GET"], options={"deadline": SHORT}, slow=True),
    post("the limit of a POST", {"/": [hang]}, "timeout", ["POST"], (), "not_idempotent", policies=limited, slow=True),
]

CIRCUITS = [
    get("an open circuit", {"/": [answer(503)]}, "rejected", ["GET"] * 2, TWICE, times=2, policies=with_circuit),
    get(
        "an open circuit of the host",
        {"/": [answer(503)]},
        "rejected",
        ["GET"],
        times=2,
        policies=with_circuit_per_host,
    ),
    get("404 opens no circuit", {"/": [answer(404)]}, 404, ["GET"] * 4, times=4, policies=with_circuit),
]

OPTIONS = [
    get("a call without policies", {"/": [answer(503)]}, 503, ["GET"], options=False),
    get(
        "a GET that must not happen twice",
        {"/": [answer(503)]},
        503,
        ["GET"],
        (),
        "not_idempotent",
        options={"idempotent": False},
    ),
]

CANCELLED = [
    get(
        "cancelled while it waits",
        {"/": [answer(503, LAMP)]},
        "cancelled",
        ["GET"],
        [(9.0, 11.0)],
        cancel="retry",
        policies=lambda _: (retry_on_category(base_delay=10, jitter="none"),),
    ),
    get("cancelled while it reads", {"/": [hang]}, "cancelled", ["GET"], cancel="request"),
    get("cancelled within the body", {"/": [hang_in_body()]}, "cancelled", ["GET"], cancel="request"),
    get("cancelled within the body of 503", {"/": [hang_in_body(503)]}, "cancelled", ["GET"], cancel="request"),
    get("cancelled while it connects", {}, "cancelled", [], cancel="connect", address="silent"),
]

PROXIES = [
    get("a proxy", {"/": [answer(503), answer(200)]}, 200, ["GET"] * 2, TWICE, address="proxied"),
    post("a POST by way of a proxy that is refused", {}, "network", [], THRICE, address="proxied by nothing"),
]

HTTP2 = [
    get("HTTP/2: 503, then 200", {"/": [answer2(503), answer2(200, LAMP)]}, 200, ["GET"] * 2, TWICE, answered=LAMP),
    post("HTTP/2: a POST that GOAWAY has not processed", {"/": [goaway, answer2(200)]}, 200, ["POST"] * 2, TWICE),
    post(
        "HTTP/2: a POST of a stream that is refused",
        {"/": [reset_stream(ErrorCodes.REFUSED_STREAM), answer2(200)]},
        200,
        ["POST"] * 2,
        TWICE,
    ),
    post(
        "HTTP/2: a POST of a stream that is reset",
        {"/": [reset_stream(ErrorCodes.INTERNAL_ERROR)]},
        "network",
        ["POST"],
        (),
        "not_idempotent",
    ),
    get(
        "HTTP/2: a stream that is reset",
        {"/": [reset_stream(ErrorCodes.INTERNAL_ERROR), answer2(200)]},
        200,
        ["GET"] * 2,
        TWICE,
    ),
]

ROWS: list[Row] = [
    *STATUSES,
    *CONNECTIONS,
    *REDIRECTS,
    *BODIES,
    *STREAMS,
    *POOLS,
    *LIMITS,
    *CIRCUITS,
    *OPTIONS,
    *(dataclasses.replace(row, needs=frozenset({"cancel"})) for row in CANCELLED),
    *(dataclasses.replace(row, needs=frozenset({"proxy"})) for row in PROXIES),
    *(
        dataclasses.replace(row, needs=frozenset({"http2"}), server=Http2Server, setup=Setup(http2=True))
        for row in HTTP2
    ),
]
