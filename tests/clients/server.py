"""A server on loopback that speaks HTTP/1.1 by hand, so that resets, cut bodies and silence are exact.

A `Server` answers by a script: for each path the actions that its requests meet, one after the other; the last one is
repeated. It keeps a record of each request with the hash of its body, and counts connections.

>>> with Server({"/": [answer(503), answer(200, b"lamp")]}) as server:
...     import urllib.request
...     with contextlib.suppress(OSError):
...         urllib.request.urlopen(server.url)
...     server.requests[0].method, server.requests[0].path
('GET', '/')
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = [
    "Action",
    "Received",
    "Server",
    "answer",
    "chunked",
    "close",
    "cut",
    "cut_chunks",
    "drip",
    "garbage",
    "hang",
    "hang_in_body",
    "redirect",
    "refusing_address",
    "reset",
    "reset_in_body",
    "reset_in_headers",
    "silent_address",
]

_LINGER_ZERO = struct.pack("ii", 1, 0)
_PATIENCE = 30.0  # seconds that a thread waits for a client that has gone without a trace


class Received(NamedTuple):
    """A request as the server has read it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str
    """The hash of its body; of an empty one that of nothing."""
    connection: int

    @staticmethod
    def hash_of(body: bytes) -> str:
        return hashlib.sha256(body).hexdigest()[:16]


Action = Callable[["Connection"], bool]
"""Answers a request; returns whether the connection stays open."""


class Connection:
    """One connection of a client."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self._read = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close with RST, in place of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.sock.close()

    def wait_for_end(self) -> None:
        """Wait until the client closes, or the server does."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65_536):
                pass
        self.server.disconnects += 1

    def request(self) -> Received | None:
        """Read the next request; None where the client has closed the connection."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers: dict[str, str] = {}
        for name, _, value in pairs:
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(headers)
        parts = urlsplit(target)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Received(method, path, headers, Received.hash_of(body), self.number)

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while size := int((self._until(b"\r\n") or b"0").strip() or b"0", 16):
                body += self._exactly(size + 2)[:-2]
            self._until(b"\r\n")
            return body
        return self._exactly(int(headers.get("content-length", "0")))

    def _until(self, end: bytes) -> bytes | None:
        while end not in self._read:
            more = self.sock.recv(65_536)
            if not more:
                return None
            self._read += more
        head, _, self._read = self._read.partition(end)
        return head

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            more = self.sock.recv(65_536)
            if not more:
                raise ConnectionError("the client has closed within its body")
            self._read += more
        body, self._read = self._read[:size], self._read[size:]
        return body


class Server:
    """Answers by *script* on a port of its own, in threads of its own, until the block ends.

    *on_connect* has actions for connections before any request is read on them: None lets one be.
    """

    def __init__(self, script: Mapping[str, Sequence[Action]], on_connect: Sequence[Action | None] = ()) -> None:
        self._script = {path: list(actions) for path, actions in script.items()}
        self._on_connect = list(on_connect)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self._stopped = threading.Event()
        self.requests: list[Received] = []
        self.connections: int = 0
        self.disconnects: int = 0
        """Connections that a client has closed while an action waited."""
        self.arrived = threading.Event()
        """Set when a request has been read."""

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def settles(self, condition: Callable[[], bool]) -> bool:
        """Wait until *condition* holds, for what a client has done but the server has not seen yet."""
        until = time.monotonic() + 10
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # actions send in small parts
            self.connections += 1
            connection = Connection(self, sock, self.connections)
            action = self._on_connect.pop(0) if self._on_connect else None
            if action is not None:
                with contextlib.suppress(OSError):
                    action(connection)
                sock.close()
                continue
            with self._lock:
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        connection.sock.settimeout(_PATIENCE)
        try:
            while (request := connection.request()) is not None:
                with self._lock:
                    self.requests.append(request)
                    action = self._next(request.path)
                self.arrived.set()
                if not action(connection):
                    return
        except OSError:  # the client is gone
            return
        finally:
            with self._lock:
                self._open.discard(connection.sock)
            connection.sock.close()

    def _next(self, path: str) -> Action:
        actions = self._script.get(path.partition("?")[0])
        if actions is None:
            return answer(404)
        return actions.pop(0) if len(actions) > 1 else actions[0]


# -- actions -----------------------------------------------------------------------------------------------------------


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(status: int, body: bytes = b"", keep: bool = True, **headers: str) -> Action:
    """Answer in full. Underscores in the names of *headers* are hyphens. A HEAD is answered without the body."""

    def act(connection: Connection) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = {} if status == 204 else {"content-length": str(len(body))}
        sent = b"" if connection.server.requests[-1].method == "HEAD" else body
        connection.send(_head(status, {**length, **named}) + sent)
        return keep

    return act


def redirect(status: int, location: str | Callable[[Server], str]) -> Action:
    """Redirect to *location*, a path or a function of the server."""

    def act(connection: Connection) -> bool:
        target = location if isinstance(location, str) else location(connection.server)
        return answer(status, location=target)(connection)

    return act


def chunked(status: int, *chunks: bytes) -> Action:
    """Answer with a body in chunks."""

    def act(connection: Connection) -> bool:
        connection.send(_head(status, {"transfer-encoding": "chunked"}))
        for chunk in (*chunks, b""):
            connection.send(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        return True

    return act


def cut(status: int = 200, body: bytes = b"half", of: int = 100) -> Action:
    """Announce *of* bytes, send *body*, and close."""

    def act(connection: Connection) -> bool:
        connection.send(_head(status, {"content-length": str(of)}) + body)
        return False

    return act


def cut_chunks(status: int = 200) -> Action:
    """Send one chunk of several, and close."""

    def act(connection: Connection) -> bool:
        connection.send(_head(status, {"transfer-encoding": "chunked"}) + b"4\r\nhalf\r\n")
        return False

    return act


def drip(chunk: bytes, pause: float, of: int) -> Action:
    """Send the body *chunk* by chunk, with a *pause* in real seconds before each."""

    def act(connection: Connection) -> bool:
        connection.send(_head(200, {"content-length": str(of * len(chunk))}))
        for _ in range(of):
            if connection.server._stopped.wait(pause):
                return False
            connection.send(chunk)
        return True

    return act


def close(connection: Connection) -> bool:
    """Read the request, and close without an answer."""
    return False


def reset(connection: Connection) -> bool:
    """Reset the connection."""
    connection.reset()
    return False


def reset_in_headers(connection: Connection) -> bool:
    """Send a part of the headers, then reset."""
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-le")
    time.sleep(0.02)  # the client reads what was sent before a RST throws it away
    connection.reset()
    return False


def reset_in_body(connection: Connection) -> bool:
    """Send the headers and a part of the body, then reset."""
    connection.send(_head(200, {"content-length": "100"}) + b"half")
    time.sleep(0.02)
    connection.reset()
    return False


def garbage(connection: Connection) -> bool:
    """Answer in another protocol."""
    connection.send(b"220 mail.example ESMTP ready\r\n\r\n")
    return False


def hang(connection: Connection) -> bool:
    """Read the request, and say nothing until the client goes."""
    connection.wait_for_end()
    return False


def hang_in_body(status: int = 200) -> Action:
    """Send the headers and a part of the body, then nothing until the client goes."""

    def act(connection: Connection) -> bool:
        connection.send(_head(status, {"content-length": "100"}) + b"half")
        connection.wait_for_end()
        return False

    return act


@contextlib.contextmanager
def refusing_address() -> Iterator[str]:
    """Yield an address that refuses connections: the port is taken, and nothing listens on it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        yield f"{host}:{port}"


@contextlib.contextmanager
def silent_address() -> Iterator[str]:
    """Yield an address where connecting takes forever: the queue of those that were not accepted is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        host, port = listener.getsockname()
        yield f"{host}:{port}"
