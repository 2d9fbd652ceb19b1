"""A server on loopback that speaks enough of the HTTP APIs of OpenAI, Anthropic and AWS: each request gets a step."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Step:
    """An answer: *status*, *headers*, and a *body*; one that is *cut* ends before it is complete."""

    def __init__(self, status: int = 200, body: bytes | object = b"", cut: bool = False, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.cut = cut
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Api:
    """Plays a *script*, of which the last step is played on, and keeps the requests."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def paths(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.requests]

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, _, body in self.requests]

    def header(self, name: str) -> list[str | None]:
        return [headers.get(name) for _, _, headers, _ in self.requests]

    def next(self) -> Step:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextlib.contextmanager
def serving(api: Api) -> Iterator[str]:
    """Serve *api*, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if self.headers.get("expect", "").lower() == "100-continue":
                self.handle_expect_100()
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = (
                self.chunked()
                if "chunked" in headers.get("transfer-encoding", "")
                else self.rfile.read(int(headers.get("content-length", 0)))
            )
            api.requests.append((self.command, self.path, headers, body))
            step = api.next()
            self.send_response(step.status)
            for name, value in {"content-type": "application/json", **step.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(step.body) + step.cut))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(step.body)
            self.close_connection = self.close_connection or step.cut

        def chunked(self) -> bytes:
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(parts)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
