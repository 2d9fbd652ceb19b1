"""Peers that fail, for clients that are real."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme

from tests.classification.peers import Peer

# `.invalid` exists nowhere (RFC 6761): any resolver says so, and one that is out of reach must not take long to.
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")


@pytest.fixture(scope="session")
def peer() -> Iterator[Peer]:
    server = Peer()
    server.answers["429"] = (429, {"retry-after": "7", "retry-after-ms": "1500"}, b"{}")
    server.answers["503"] = (503, {"Retry-After": "3"}, b"{}")
    yield server
    server.close()


@pytest.fixture(scope="session")
def untrusted_peer() -> Iterator[Peer]:
    """A TLS server whose certificate is signed by no trusted authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = Peer(context)
    yield server
    server.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, so that no other process takes it, and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.fixture
def talker() -> Iterator[Callable[..., int]]:
    """Start a TCP peer that sends one of its replies after each request, then hangs up; return its port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket, lines: tuple[bytes, ...]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    for position, line in enumerate(lines):
                        if position:
                            connection.recv(65536)
                        connection.sendall(line)
                except OSError:
                    continue

    def start(*lines: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, lines), daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        try:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        listener.close()
    for thread in threads:
        thread.join(5)
