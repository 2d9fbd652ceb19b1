"""`TcpProxy`: a loopback proxy that resets, cuts, slows or hangs real connections of a client under test.

Chaos in the program raises the exceptions of a client. The proxy stands on the wire instead, so that the client itself
is tested: its time limits, its pool, its own retries. Each connection has two threads, one for each direction, and no
event loop, so that sync and async clients use it alike. What it does is real, and so is its time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from resilience._undo import Undo
from resilience._validation import parse_count, parse_duration, parse_number, require

__all__ = ["ProxyFault", "TcpProxy"]

_CHUNK = 65536
_TICK = 0.02  # seconds between the pieces of a limited bandwidth
_RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: to close sends RST in place of FIN


@dataclasses.dataclass(frozen=True, slots=True)
class _Behaviour:
    """The treatment of the bytes of the server: pieces of *chunk* bytes, a *pause* before each, an end *after* some."""

    chunk: int = _CHUNK
    pause: float = 0.0
    after: float = math.inf
    ending: Literal["cut", "reset", "hang"] = "cut"

    def has_ended(self, forwarded: int) -> bool:
        """Whether a connection ends now that has forwarded so many bytes."""
        return self.ending != "hang" and forwarded >= self.after


_HEALTHY = _Behaviour()


class ProxyFault(Undo):
    """A fault of a proxy, in force until it is called, its ``with`` block is left, or another one takes its place."""

    def __init__(self, proxy: TcpProxy, behaviour: _Behaviour) -> None:
        self._proxy = proxy
        self._behaviour = behaviour
        proxy._behave(behaviour)

    def __call__(self) -> None:
        """Heal the proxy, if this fault is still in force. Doing it twice is fine."""
        if self._proxy._behaviour is self._behaviour:
            self._proxy.heal()


class TcpProxy:
    """A proxy on the loopback to a server at *host* and *port*, as a ``with`` or ``async with`` block.

    Have the client connect to `port` of 127.0.0.1. A fault holds for connections that are open and for new ones, until
    `heal` or the end of its ``with`` block. It concerns what the server answers; requests go through as they are. For
    whole containers and more protocols there is toxiproxy.

    Args:
        host: the host of the server.
        port: its port.

    Raises TypeError or ValueError for an invalid host or port. A server that cannot be reached shows as a connection
    that is closed at once.

    >>> import http.server, threading, httpx
    >>> server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    >>> with TcpProxy("127.0.0.1", server.server_port) as proxy, proxy.hang():
    ...     try:
    ...         httpx.get(f"http://127.0.0.1:{proxy.port}/", timeout=0.05)
    ...     except httpx.ReadTimeout:
    ...         print("no answer")
    no answer
    >>> server.server_close()
    """

    def __init__(self, host: str, port: int) -> None:
        require(isinstance(host, str), "host", host, "the name or address of a host, such as '127.0.0.1'", TypeError)
        self._server = (host, parse_count("port", port))
        require(port <= 65535, "port", port, "a port, up to 65535")
        self._behaviour = _HEALTHY
        self._changed = threading.Condition()
        self._connections: set[_Connection] = set()
        self._closed = False
        self._listener: socket.socket | None = None
        #: The connections that clients have made so far.
        self.accepted: int = 0

    # -- faults --------------------------------------------------------------------------------------------------

    def reset(self, *, after: int = 0) -> ProxyFault:
        """Reset each connection (RST) once *after* bytes of answers have gone through; 0: at once, also open ones."""
        return ProxyFault(self, _Behaviour(after=parse_count("after", after, least=0), ending="reset"))

    def cut(self, *, after: int = 0) -> ProxyFault:
        """Close each connection (FIN) once *after* bytes of answers have gone through; 0: at once, also open ones."""
        return ProxyFault(self, _Behaviour(after=parse_count("after", after, least=0), ending="cut"))

    def hang(self, *, after: int = 0) -> ProxyFault:
        """Pass on no answer any more once *after* bytes have gone through, and leave connections open."""
        return ProxyFault(self, _Behaviour(after=parse_count("after", after, least=0), ending="hang"))

    def drip(self, *, chunk: int = 1, pause: float = 0.05) -> ProxyFault:
        """Pass on answers in pieces of *chunk* bytes, with a *pause* of seconds before each."""
        return ProxyFault(self, _Behaviour(chunk=parse_count("chunk", chunk), pause=parse_duration("pause", pause)))

    def limit_bandwidth(self, bytes_per_second: float) -> ProxyFault:
        """Pass on so many bytes of answers per second on each connection, in about 50 pieces."""
        expected = "bytes per second, a number of more than 0"
        rate = parse_number("bytes_per_second", bytes_per_second, expected, least=0.0, above=True)
        chunk = max(1, math.floor(rate * _TICK))
        return ProxyFault(self, _Behaviour(chunk=chunk, pause=chunk / rate))

    def heal(self) -> None:
        """Pass on everything at once again; what a hang has kept back as well."""
        self._behave(_HEALTHY)

    def _behave(self, behaviour: _Behaviour) -> None:
        with self._changed:
            self._behaviour = behaviour
            self._changed.notify_all()
            connections = tuple(self._connections)
        for connection in connections:
            if behaviour.has_ended(connection.forwarded):
                connection.end(behaviour)

    # -- the server ----------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that clients connect to, while the block runs."""
        if self._listener is None:
            raise RuntimeError("the proxy does not run: use it as `with TcpProxy(host, port) as proxy:`")
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        if self._listener is not None or self._closed:
            raise RuntimeError("a proxy runs once: make another one")
        self._listener = socket.create_server(("127.0.0.1", 0))
        _start(self._accept, self._listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            connections = tuple(self._connections)
        assert self._listener is not None
        with contextlib.suppress(OSError):  # it wakes the thread that accepts
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        for connection in connections:
            connection.end(_HEALTHY)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, _ = listener.accept()
                if self._closed:
                    client.close()
                    return
                self.accepted += 1
                _start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Connect to the server, and relay until one side has ended."""
        connection = _Connection(client)
        if self._behaviour.has_ended(0):
            connection.end(self._behaviour)
            return
        try:
            connection.server = socket.create_connection(self._server)
        except OSError:
            connection.end(_HEALTHY)
            return
        with self._changed:
            self._connections.add(connection)
            ended = self._closed or self._behaviour.has_ended(0)
        if ended:
            connection.end(self._behaviour)
        _start(connection.send_requests)
        try:
            self._send_answers(connection)
        finally:
            connection.end(_HEALTHY)
            with self._changed:
                self._connections.discard(connection)

    def _send_answers(self, connection: _Connection) -> None:
        """Pass on the bytes of the server, as the fault that is in force has it."""
        pending = b""
        while pending or (pending := connection.receive()):
            behaviour = self._behaviour
            if behaviour.has_ended(connection.forwarded):
                connection.end(behaviour)
                return
            left = min(behaviour.chunk, behaviour.after - connection.forwarded)
            if left <= 0 or behaviour.pause > 0:
                self._wait(behaviour, math.inf if left <= 0 else behaviour.pause)
            if self._closed:
                return
            if behaviour is self._behaviour:  # else the next one decides
                piece, pending = pending[: int(left)], pending[int(left) :]
                connection.answer(piece)
                if behaviour.has_ended(connection.forwarded):
                    connection.end(behaviour)
                    return

    def _wait(self, behaviour: _Behaviour, seconds: float) -> None:
        """Wait for *seconds*, or until another behaviour is in force, or the proxy closes."""
        limit = None if seconds == math.inf else seconds
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._behaviour is not behaviour, limit)


class _Connection:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server: socket.socket | None = None
        #: The bytes that the client has got.
        self.forwarded: int = 0
        self._lock = threading.Lock()
        self._ended = False

    def receive(self) -> bytes:
        """Return bytes of the server; none where it has closed."""
        return _received(self.server)

    def answer(self, piece: bytes) -> None:
        """Send *piece* to the client, unless that has left."""
        with contextlib.suppress(OSError):
            self.client.sendall(piece)
        self.forwarded += len(piece)

    def send_requests(self) -> None:
        """Pass on the bytes of the client until it has no more."""
        server = self.server
        assert server is not None
        with contextlib.suppress(OSError):
            while data := _received(self.client):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def end(self, behaviour: _Behaviour) -> None:
        """Close both sides, by RST or FIN; once."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        how = socket.SHUT_RDWR
        if behaviour.ending == "reset":
            how = socket.SHUT_RD  # SHUT_WR would send FIN
            with contextlib.suppress(OSError):
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # The kernel closes a socket when no thread waits in `recv` of it, and to shut it down wakes that thread.
        _close(self.client, how)
        if self.server is not None:
            _close(self.server, socket.SHUT_RDWR)


def _close(side: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(how)
    side.close()


def _received(side: socket.socket | None) -> bytes:
    if side is None:
        return b""
    try:
        return side.recv(_CHUNK)
    except OSError:
        return b""


def _start(function: Callable[..., object], *arguments: object) -> None:
    threading.Thread(target=function, args=arguments, daemon=True, name="resilience-tcp-proxy").start()
