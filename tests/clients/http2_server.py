"""A server on loopback that speaks HTTP/2 without TLS, by h2, with a script as `tests.clients.server` has.

A client must know that it speaks HTTP/2: with httpx ``http1=False, http2=True``.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.clients.server import Received

__all__ = ["Http2Server", "answer2", "goaway", "reset_stream"]


class Http2Server:
    """Answers by *script* until the block ends; an action is called with the connection and the stream."""

    def __init__(self, script: Mapping[str, Sequence[Any]], on_connect: Sequence[Any] = ()) -> None:
        self._script = {path: list(actions) for path, actions in script.items()}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: list[socket.socket] = []
        self.requests: list[Received] = []
        self.connections: int = 0
        self.arrived = threading.Event()

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Http2Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        headers: dict[int, dict[str, str]] = {}
        bodies: dict[int, Any] = {}
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError), contextlib.closing(sock):
            sock.sendall(connection.data_to_send())
            while data := sock.recv(65_536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        headers[event.stream_id] = dict(event.headers)
                        bodies[event.stream_id] = hashlib.sha256()
                    elif isinstance(event, h2.events.DataReceived):
                        bodies[event.stream_id].update(event.data)
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        sent, body = headers[event.stream_id], bodies[event.stream_id].hexdigest()[:16]
                        self.requests.append(Received(sent[":method"], sent[":path"], sent, body, number))
                        self.arrived.set()
                        self._next(sent[":path"])(connection, event.stream_id)
                sock.sendall(connection.data_to_send())

    def _next(self, path: str) -> Any:
        actions = self._script[path]
        return actions.pop(0) if len(actions) > 1 else actions[0]


def answer2(status: int, body: bytes = b"") -> Any:
    """Answer in full."""

    def act(connection: h2.connection.H2Connection, stream: int) -> None:
        connection.send_headers(stream, [(":status", str(status)), ("content-length", str(len(body)))])
        connection.send_data(stream, body, end_stream=True)

    return act


def goaway(connection: h2.connection.H2Connection, _: int) -> None:
    """Say that the connection ends, and that no request on it has been processed."""
    connection.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=0)


def reset_stream(code: h2.errors.ErrorCodes) -> Any:
    """Reset the request's stream. REFUSED_STREAM says that it has not been processed."""

    def act(connection: h2.connection.H2Connection, stream: int) -> None:
        connection.reset_stream(stream, code)

    return act
