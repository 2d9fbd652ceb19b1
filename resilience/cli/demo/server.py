"""The demo's HTTP server, which fails on command, in a process of its own: ``python -m resilience.cli.demo.server``.

It announces itself by a JSON line on stdout, then takes commands as JSON lines on stdin and answers each by a line:
``{"port": 0}`` listens on a port, ``{"mode": "slow"}`` changes the behaviour. It ends when its stdin is closed, and so
with the process that started it, also when that one is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import itertools
import json
import os
import random
import re
import socket
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

from resilience.cli.demo.shared_counters import RequestCounter

__all__ = ["main"]

_BODY = b'{"status": "ok", "items": ["one", "two", "three"]}'
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
_SENDER = re.compile(rb"\r\nx-sender: *(\w+)/(\d+)", re.IGNORECASE)  # the client and the phase to count it for
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # on, for 0 s: closing sends RST in place of FIN
_BIND_TIMEOUT = 5.0


class Server:
    """Answers HTTP/1.1 GET requests, or fails, as its mode says."""

    def __init__(self, counter: RequestCounter, late: float, seed: int) -> None:
        self._counter = counter
        self._mode = "healthy"
        self._late = late
        # A generator of its own with a known seed: the same run misbehaves in the same way.
        self._rng = random.Random(seed)
        # Every third request of each client is late. At random, five in a row would open the circuit now and then.
        self._turns: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
        self._open: set[asyncio.StreamWriter] = set()

    def set_mode(self, mode: str) -> None:
        """Change the behaviour. The mode ``reset`` also resets the connections that are idle."""
        self._mode = mode
        if mode == "reset":
            for writer in tuple(self._open):
                _reset(writer)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either end closes or resets it."""
        self._open.add(writer)
        # OSError: the client went away, as one does whose time limit is over.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if self._mode == "reset" and self._rng.random() < 0.5:
                _reset(writer)  # half of them at once, the others in the middle of an answer
            while not writer.is_closing():
                await self._reply(await reader.readuntil(b"\r\n\r\n"), writer)
        self._open.discard(writer)
        writer.close()

    async def _reply(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        sender = _SENDER.search(head)
        side = sender[1].decode() if sender else ""
        if sender:
            self._counter.add(side, int(sender[2]))
        mode = self._mode
        if mode == "reset":
            writer.write(_OK + _BODY[:10])
            await writer.drain()
            _reset(writer)
        elif mode == "unavailable":
            writer.write(_UNAVAILABLE)
        else:
            late = mode == "slow" and next(self._turns[side]) % 3 == 2
            await asyncio.sleep(self._late if late else self._rng.uniform(0.002, 0.01))
            writer.write(_OK + _BODY)
        if not writer.is_closing():
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    wire = writer.get_extra_info("socket")
    if wire is not None:
        with contextlib.suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def _bound(port: int) -> socket.socket:
    """Return a listening socket. The port may be busy for a moment, with connections of the killed process."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _BIND_TIMEOUT
    while True:
        wire = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            wire.bind(("127.0.0.1", port))
            wire.listen(256)
            return wire
        except OSError as error:
            wire.close()
            if error.errno != errno.EADDRINUSE or loop.time() >= until:
                raise
            await asyncio.sleep(0.02)


async def _listen(server: Server, port: int) -> dict[str, object]:
    try:
        wire = await _bound(port)
    except OSError as error:
        return {"error": os.strerror(error.errno or 0)}
    await asyncio.start_server(server.connected, sock=wire)
    return {"port": wire.getsockname()[1]}


async def _serve(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    with RequestCounter(options.counter) as counter:
        server = Server(counter, options.late, options.seed)
        _write_line({"pid": os.getpid()})
        while line := await commands.readline():
            command = json.loads(line)
            if "port" in command:
                _write_line(await _listen(server, command["port"]))
            else:
                server.set_mode(command["mode"])
                _write_line(command)
        # Not a return: the event loop would cancel every open connection first, and complain of each.
        os._exit(0)


def _write_line(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Run until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m resilience.cli.demo.server")
    parser.add_argument("--counter", type=int, required=True, help="the descriptor of the file to count in")
    parser.add_argument("--late", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(_serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
