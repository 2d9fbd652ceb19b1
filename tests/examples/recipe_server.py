"""The services that the recipes call, on the loopback: each URL is answered with 503 once, and well from then on."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

BUCKETS = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>photos</Name></Bucket></Buckets></ListAllMyBucketsResult>"
DECLINED = "declined"
"""An order with this in its body is answered with 402."""
_MODEL: dict[str, Any] = {"id": "1", "model": "small"}
ANSWERS: dict[str, object] = {
    "/search": [{"name": "brass lamp"}, {"name": "oil lamp"}],
    "/orders": {"id": "order-1"},
    "/prices/lamp": {"price": 7},
    "/chat/completions": _MODEL
    | {
        "object": "chat.completion",
        "created": 1,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    },
    "/v1/messages": _MODEL
    | {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}


class Services:
    """Counts the requests for each path. While it is `down`, it answers all of them with 503."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: Counter[str] = Counter()
        self.orders: list[str] = []
        """The bodies of orders that were accepted."""
        self.down = False


@contextlib.contextmanager
def services() -> Iterator[Services]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            found.asked[path] += 1
            if found.down or found.asked[path] == 1:
                self.send_error(503)
                return
            if DECLINED in body:
                self.send_error(402)
                return
            if path == "/orders":
                found.orders.append(body)
            content = BUCKETS
            if path != "/":
                content = json.dumps(ANSWERS[path]).encode()
            self.send_response(200)
            self.send_header("content-type", "application/xml" if path == "/" else "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found = Services(f"http://127.0.0.1:{server.server_address[1]}")
        running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        running.start()
        yield found
        server.shutdown()
        running.join()
