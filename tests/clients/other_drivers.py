"""requests, urllib3 and aiohttp in the conformance matrix: how each library is called."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import requests
import urllib3
from requests.adapters import HTTPAdapter

from resilience.clients import request_options
from tests.clients.conformance import BODY, AsyncDriver, Driver, Reply, Request, Setup, agenerate, generate

__all__ = ["AiohttpDriver", "RequestsDriver", "Urllib3Driver", "Urllib3PoolDriver"]


class RequestsDriver(Driver):
    """A session of requests, whose calls have no channel for options: they are made in a block."""

    name = "requests"
    features = frozenset({"proxy", "pool", "files", "reads"})
    error_root = requests.RequestException

    def open(self, setup: Setup) -> Any:
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = setup.max_redirects
        session.request_limit = setup.limit  # type: ignore[attr-defined]
        for prefix in list(session.adapters):
            session.mount(prefix, self.adapter(setup))
        if setup.proxy is not None:
            session.proxies = {"http": setup.proxy}
        return session

    def adapter(self, setup: Setup) -> HTTPAdapter:
        return HTTPAdapter(pool_maxsize=setup.pool, pool_block=True)

    def send(self, client: Any, request: Request) -> Reply:
        with _options(request.options):
            keywords = {"headers": request.headers, "timeout": client.request_limit, "stream": request.streams}
            response = client.request(request.method, request.url, **self.content(request.body), **keywords)
        return Reply(response.status_code, response.content, response)

    def content(self, kind: str) -> dict[str, Any]:
        made: dict[str, dict[str, Any]] = {
            "none": {},
            "bytes": {"data": BODY},
            "form": {"data": {"name": "brass lamp"}},
            "multipart": {"files": {"picture": ("lamp.png", io.BytesIO(BODY))}},
            "file": {"data": io.BytesIO(BODY)},
            "generator": {"data": generate()},
        }
        return made[kind]

    def busy(self, client: Any) -> int:
        adapters = {id(each): each for each in client.adapters.values()}
        managers = [
            manager for each in adapters.values() for manager in (each.poolmanager, *each.proxy_manager.values())
        ]
        return sum(map(busy_in, managers))


class Urllib3Driver(Driver):
    """A pool manager of urllib3."""

    name = "urllib3"
    features = frozenset({"proxy", "pool", "files", "reads"})
    error_root = urllib3.exceptions.HTTPError

    def open(self, setup: Setup) -> Any:
        if setup.proxy is not None:
            return urllib3.ProxyManager(setup.proxy, **self.options(setup))
        return urllib3.PoolManager(**self.options(setup))

    def options(self, setup: Setup) -> dict[str, Any]:
        retries = urllib3.Retry(None, redirect=setup.max_redirects, connect=0, read=0, status=0, other=0)
        return {"timeout": setup.limit, "maxsize": setup.pool, "block": True, "retries": retries}

    def send(self, client: Any, request: Request) -> Reply:
        keywords: dict[str, Any] = {"preload_content": not request.streams}
        if request.options is not None:
            keywords["resilience"] = request.options
        if request.headers:
            keywords["headers"] = request.headers
        response = client.request(request.method, request.url, **self.content(request.body), **keywords)
        content = response.read() if request.streams else response.data
        response.release_conn()
        return Reply(response.status, content, response)

    def content(self, kind: str) -> dict[str, Any]:
        made: dict[str, dict[str, Any]] = {
            "none": {},
            "bytes": {"body": BODY},
            "form": {"fields": {"name": "brass lamp"}, "encode_multipart": False},
            "multipart": {"fields": {"picture": ("lamp.png", BODY)}},
            "file": {"body": io.BytesIO(BODY)},
            "generator": {"body": generate()},
        }
        return made[kind]

    def busy(self, client: Any) -> int:
        return busy_in(client)

    def close(self, client: Any) -> None:
        client.clear()


class Urllib3PoolDriver(Urllib3Driver):
    """The pool of a single host, of urllib3."""

    name = "urllib3 pool"
    features = frozenset({"pool", "files", "reads"})

    def open(self, setup: Setup) -> Any:
        return _LatePool(self.options(setup))

    def guard(self, client: Any, policies: Any) -> Any:
        client.policies = policies
        return client

    def send(self, client: Any, request: Request) -> Reply:
        if client.pool is None:
            pool = urllib3.connection_from_url(request.url, **client.options)
            client.pool = Driver.guard(self, pool, client.policies)
        return super().send(client.pool, request._replace(url=urllib3.util.parse_url(request.url).path or "/"))

    def busy(self, client: Any) -> int:
        return busy_in_pool(client.pool)

    def close(self, client: Any) -> None:
        client.pool.close()


class _LatePool:
    """A pool that is made with its first call, which says for which host."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.policies: Any = ()
        self.pool: Any = None


def busy_in(manager: Any) -> int:
    """Return the connections that a pool manager has handed out."""
    return sum(busy_in_pool(manager.pools.get(key)) for key in list(manager.pools.keys()))


def busy_in_pool(pool: Any) -> int:
    """Return the connections that a pool has handed out: a pool that blocks has one place for each."""
    return pool.pool.maxsize - pool.pool.qsize()


class AiohttpDriver(AsyncDriver):
    """A session of aiohttp. The caller reads every body, so none is read within an attempt."""

    name = "aiohttp"
    features = frozenset({"cancel", "proxy", "pool", "files"})
    error_root = aiohttp.ClientError

    def open(self, setup: Setup) -> Any:
        limits = aiohttp.ClientTimeout(total=None, sock_connect=setup.limit, sock_read=setup.limit)
        session = aiohttp.ClientSession(
            timeout=limits, connector=aiohttp.TCPConnector(limit=setup.pool), proxy=setup.proxy
        )
        session.__dict__["max_redirects"] = setup.max_redirects + 1  # aiohttp counts the response that is not followed
        return session

    async def send(self, client: Any, request: Request) -> Reply:  # type: ignore[override]
        keywords = {"headers": request.headers, "max_redirects": self.redirects_of(client)}
        if request.options is not None:
            keywords["trace_request_ctx"] = {"resilience": request.options}
        async with client.request(request.method, request.url, **self.content(request.body), **keywords) as response:
            return Reply(response.status, await response.read(), response)

    def redirects_of(self, client: Any) -> int:
        return int(client.__dict__["max_redirects"])

    def content(self, kind: str) -> dict[str, Any]:
        made: dict[str, dict[str, Any]] = {
            "none": {},
            "bytes": {"data": BODY},
            "form": {"data": {"name": "brass lamp"}},
            "multipart": {"data": {"picture": io.BytesIO(BODY)}},
            "file": {"data": io.BytesIO(BODY)},
            "generator": {"data": agenerate()},
        }
        return made[kind]

    def busy(self, client: Any) -> int:
        return len(client.connector._acquired)

    async def close(self, client: Any) -> None:  # type: ignore[override]
        await client.close()


def _options(given: Any) -> Any:
    if given is False:
        return request_options(enabled=False)
    return request_options(**(given or {}))
