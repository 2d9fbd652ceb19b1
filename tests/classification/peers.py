"""A server on the loopback that fails in the ways real ones do."""

from __future__ import annotations

import http.server
import socket
import ssl
import struct
import threading

PATIENCE = 0.15
"""Seconds a client waits for a server that does not answer."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Fails as the last word of the path asks: a status, `silent`, `cut` or `reset`."""

    protocol_version = "HTTP/1.1"
    release: threading.Event
    answers: dict[str, tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        how = self.path.strip("/").partition("/")[0]
        if how == "silent":
            self.release.wait(10)
            self.close_connection = True
        elif how == "hang":  # answers with headers, then with nothing
            self._begin(200, {"content-length": "100"})
            self.wfile.write(b"x")
            self.wfile.flush()
            self.release.wait(10)
            self.close_connection = True
        elif how in {"cut", "reset"}:
            self._begin(200, {"content-length": "100"})
            self.wfile.write(b"half")
            self.wfile.flush()
            if how == "reset":
                reset_on_close = struct.pack("ii", 1, 0)  # close with RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
            self.close_connection = True
        else:
            status, headers, body = self.answers.get(how) or (int(how), {}, b"")
            self._begin(status, {"content-length": str(len(body)), **headers})
            self.wfile.write(body)

    do_POST = do_PUT = do_GET

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave early are what is tested."""


class Peer:
    """A server in a thread of its own."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.release = threading.Event()
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        handler = type("Handler", (_Handler,), {"release": self.release, "answers": self.answers})
        self._server = _Server(("127.0.0.1", 0), handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
