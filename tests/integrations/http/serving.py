"""Real servers on the loopback, and hostile errors."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
import wsgiref.simple_server
from collections.abc import Iterator

import httpx
import uvicorn

from resilience.contrib import service
from resilience.errors import ResilienceError

CANARY = "canary-7f3a"
"""What must not be in an answer."""

PATIENCE = 30


@contextlib.contextmanager
def serving(app: object) -> Iterator[httpx.Client]:
    """An ASGI application under uvicorn, and a client for it."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until = time.monotonic() + PATIENCE
        while not server.started and time.monotonic() < until and thread.is_alive():
            time.sleep(0.01)  # a real server that starts has no event to wait for
        assert server.started
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class _Server(wsgiref.simple_server.WSGIServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextlib.contextmanager
def serving_wsgi(app: object) -> Iterator[httpx.Client]:
    """A WSGI application under the standard library's server, and a client for it."""
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            yield client
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


class Mute(ResilienceError):
    """Cannot say anything."""

    def __str__(self) -> str:
        raise RuntimeError(CANARY)


class MuteStranger(Exception):
    def __str__(self) -> str:
        raise RuntimeError(CANARY)

    __repr__ = __str__


class Fighting(ResilienceError):
    """Every property raises."""

    def __getattribute__(self, name: str) -> object:
        if name in ("code", "category", "details", "message", "error_code", "user_message", "severity", "retry_after"):
            raise RuntimeError(CANARY)
        return super().__getattribute__(name)


def hung(error: BaseException, **attributes: object) -> BaseException:
    """Return *error* with unchecked attributes."""
    for name, value in attributes.items():
        error.__dict__[name] = value
    return error


def hostile() -> dict[str, BaseException]:
    """Errors that would break a careless error handler, by what is wrong with them."""
    circle: dict[str, object] = {"db_password": CANARY}
    circle["again"] = circle
    deep: object = "bottom"
    for _ in range(5000):
        deep = [deep]
    return {
        "no text": Mute(),
        "no text, not ours": MuteStranger(CANARY),
        "nothing at all": Fighting("m"),
        "circular": ResilienceError("m", details=circle),
        "deep": ResilienceError("m", details={"deep": deep}),
        "huge": ResilienceError("m", details={str(n): "x" * 10_000 for n in range(1000)}),
        "no JSON": ResilienceError("m", details={"lock": threading.Lock(), "nan": math.nan, "bytes": b"\xff"}),  # type: ignore[dict-item]
        "surrogate": ResilienceError("\ud800\r\nSet-Cookie: x"),
        "wait without end": ResilienceError("m", retry_after=math.inf),
        "wait is nan": hung(ResilienceError("m"), retry_after=math.nan),
        "wait is negative": hung(ResilienceError("m"), retry_after=-5),
        "wait is a text": hung(ResilienceError("m"), retry_after="1\r\nSet-Cookie: x"),
        "wait is too large": hung(ResilienceError("m"), retry_after=10**400),
        "wait is large": ResilienceError("m", retry_after=1e300),
        "code is a header": hung(ResilienceError("m"), code="X\r\nSet-Cookie: x", error_code="ü\n"),
        "word is a list": hung(service.OctoLLMError("m"), error_code=["x"]),
        "category is nothing": hung(ResilienceError("m"), category="timeout\n"),
        "status is a text": hung(Exception(CANARY), status_code="503\r\n"),
        "groups": ExceptionGroup(CANARY, [ValueError(CANARY), ExceptionGroup(CANARY, [MuteStranger(CANARY)])]),
    }
