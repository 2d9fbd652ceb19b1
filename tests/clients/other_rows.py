"""More rows of the conformance matrix: responses that clients decode, connections that end, streams that take long."""

from __future__ import annotations

import functools
import gzip

from resilience import deadline
from tests.clients.conformance import Row
from tests.clients.server import answer, chunked, drip

__all__ = ["OTHER_ROWS"]

LAMP = b"brass lamp"
PACKED = gzip.compress(LAMP * 100, mtime=0)

get = functools.partial(Row, method="GET")

OTHER_ROWS = [
    get(
        "503 with a compressed body",
        {"/": [answer(503, PACKED, content_encoding="gzip")]},
        503,
        ["GET"] * 3,
        (0.1, 0.2),
        "attempts",
        answered=LAMP * 100,
    ),
    get(
        "a stream of 503 with a compressed body",
        {"/": [answer(503, PACKED, content_encoding="gzip")]},
        503,
        ["GET"] * 3,
        (0.1, 0.2),
        streams=True,
        answered=LAMP * 100,
    ),
    get(
        "503 that ends its connection, then 200",
        {"/": [answer(503, LAMP, keep=False, connection="close"), answer(200, LAMP)]},
        200,
        ["GET"] * 2,
        (0.1,),
        answered=LAMP,
    ),
    get(
        "503 without a length, then 200",
        {"/": [chunked(503), answer(200, LAMP)]},
        200,
        ["GET"] * 2,
        (0.1,),
        answered=LAMP,
    ),
    get(
        "a stream that is slower than the deadline of its call",
        {"/": [drip(b"l", 0.6, 2)]},
        200,
        ["GET"],
        streams=True,
        answered=b"ll",
        policies=lambda _: (deadline(0.3),),
        slow=True,
    ),
]
