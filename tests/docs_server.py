"""HTTP server behind the examples in README.md and docs/: it stands for the services that the pages call.

An example names a service as a program would, ``http://catalogue:8000``. While it runs, ``http_proxy`` points to this
server, so that httpx, requests and urllib send their real requests here and the example needs no address of the test's.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["DocsServer", "serving"]

_ANSWERS = {
    "/search": [{"name": "brass lamp"}, {"name": "desk lamp"}],
    "/stock/lamp": {"count": 4},
    "/orders": {"id": "a-17"},
    "/completions": "The\nlamp\nis\nbrass.\n",
}


class DocsServer(ThreadingHTTPServer):
    """Answers the first request for each URL with 503, and further ones with data; ``/down`` is 503 throughout."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        """How often each was sent by the page, by method and URL: ``GET http://catalogue:8000/search?q=lamp``."""
        self._page = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that make clients send the requests for all hosts but this machine here."""
        # The lower-case names win over the upper-case ones where both are set.
        return {"http_proxy": self.url, "no_proxy": "127.0.0.1,localhost,::1"}

    @contextlib.contextmanager
    def page(self, name: str) -> Iterator[None]:
        """Send the requests of the page here. Each page counts anew, so that it does not depend on the ones before."""
        if name != self._page:
            self._page = name
            self.requests.clear()
        before = {name: os.environ.get(name) for name in self.environment()}
        os.environ.update(self.environment())
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class _Handler(BaseHTTPRequestHandler):
    server: DocsServer

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = f"{self.command} {self.path}"
        self.server.requests[sent] += 1
        path = urlsplit(self.path).path
        answer = _ANSWERS.get(path)
        if path == "/down" or self.server.requests[sent] == 1:
            self._answer(503, {"detail": "busy"})
        elif answer is None:
            self._answer(404, {"detail": "no such page"})
        else:
            self._answer(200, answer)

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, status: int, content: object) -> None:
        body = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def serving() -> Iterator[DocsServer]:
    """Run the server in a thread."""
    with DocsServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="docs server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
