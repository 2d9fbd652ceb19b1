"""The clients of the conformance matrix: how each library is called."""

from __future__ import annotations

import io
import ssl
from typing import Any

from tests.clients.conformance import BODY, AsyncDriver, Driver, Reply, Request, Setup, agenerate, generate

__all__ = ["DRIVERS", "NO_CERTIFICATES", "HttpxAsyncDriver", "HttpxDriver", "httpx_content"]

NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loading certificates, which no row needs, takes longer than most rows."""


def httpx_content(kind: str, *, is_async: bool) -> dict[str, Any]:
    """Return the keywords by which httpx is given a body."""
    made: dict[str, dict[str, Any]] = {
        "none": {},
        "bytes": {"content": BODY},
        "form": {"data": {"name": "brass lamp"}},
        "multipart": {"files": {"picture": ("lamp.png", io.BytesIO(BODY))}},
        "file": {"content": io.BytesIO(BODY)},
        "list": {"content": [BODY[:20], BODY[20:]]},
        "generator": {"content": agenerate() if is_async else generate()},
    }
    return made[kind]


class HttpxDriver(Driver):
    """httpx, or a library of its kind, sync."""

    features = frozenset({"proxy", "pool", "files", "http2"})

    def __init__(self, name: str, library: Any) -> None:
        self.name = name
        self.library = library
        self.error_root = library.HTTPError

    def open(self, setup: Setup) -> Any:
        return self.library.Client(**self.options(setup))

    def options(self, setup: Setup) -> dict[str, Any]:
        return {
            "timeout": setup.limit,
            "limits": self.library.Limits(max_connections=setup.pool),
            "max_redirects": setup.max_redirects,
            "follow_redirects": True,
            "proxy": setup.proxy,
            "http1": not setup.http2,
            "http2": setup.http2,
            "trust_env": False,
            "verify": NO_CERTIFICATES,
        }

    def keywords(self, request: Request, *, is_async: bool = False) -> dict[str, Any]:
        extensions = {} if request.options is None else {"extensions": {"resilience": request.options}}
        return {"headers": request.headers, **httpx_content(request.body, is_async=is_async), **extensions}

    def send(self, client: Any, request: Request) -> Reply:
        keywords = self.keywords(request)
        if not request.streams:
            response = client.request(request.method, request.url, **keywords)
            return Reply(response.status_code, response.content, response)
        with client.stream(request.method, request.url, **keywords) as response:
            return Reply(response.status_code, response.read(), response)

    def busy(self, client: Any) -> int:
        transports = {id(each): each for each in (client._transport, *client._mounts.values()) if each is not None}
        return sum(
            not (connection.is_idle() or connection.is_closed())
            for transport in transports.values()
            for connection in transport._pool.connections
        )


class HttpxAsyncDriver(HttpxDriver, AsyncDriver):
    """httpx, or a library of its kind, async."""

    features = frozenset({"cancel", "proxy", "pool", "http2"})

    def open(self, setup: Setup) -> Any:
        return self.library.AsyncClient(**self.options(setup))

    async def send(self, client: Any, request: Request) -> Reply:  # type: ignore[override]
        keywords = self.keywords(request, is_async=True)
        if not request.streams:
            response = await client.request(request.method, request.url, **keywords)
            return Reply(response.status_code, response.content, response)
        async with client.stream(request.method, request.url, **keywords) as response:
            return Reply(response.status_code, await response.aread(), response)

    async def close(self, client: Any) -> None:  # type: ignore[override]
        await client.aclose()


def _drivers() -> list[Driver]:
    import httpx
    import httpx2

    return [
        HttpxDriver("httpx", httpx),
        HttpxAsyncDriver("httpx async", httpx),
        HttpxDriver("httpx2", httpx2),
        HttpxAsyncDriver("httpx2 async", httpx2),
    ]


DRIVERS = _drivers()
