"""Other ways to retry the requests of requests, urllib3 and aiohttp, and clientwright, in the conformance matrix.

Each makes three attempts with the waits of the matrix where it can, and is left to its own defaults otherwise.
clientwright needs Python 3.12.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import urllib3
from requests.adapters import HTTPAdapter

from resilience._runtime.pipeline import Decorator
from tests.clients.conformance import AsyncDriver, Driver, Setup
from tests.clients.drivers import HttpxAsyncDriver, HttpxDriver
from tests.clients.other_drivers import AiohttpDriver, RequestsDriver, Urllib3Driver

__all__ = ["OTHER_PEERS"]


class _Sleepless:
    """A module of the standard library, but for its ``sleep``, which only takes a note."""

    def __init__(self, module: Any, waits: list[float]) -> None:
        self._module = module
        self._waits = waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def sleep(self, seconds: float) -> Any:
        self._waits.append(seconds)
        if self._module.__name__ == "asyncio":
            return self._module.sleep(0)
        return None


@contextlib.contextmanager
def _noted_sleep(module: Any, name: str) -> Iterator[list[float]]:
    """Skip the sleeps of a peer's *module*, which knows the standard library's module as *name*."""
    waits: list[float] = []
    before = getattr(module, name)
    setattr(module, name, _Sleepless(before, waits))
    try:
        yield waits
    finally:
        setattr(module, name, before)


class _Unguarded(Driver):
    """A client that retries by itself."""

    def guard(self, client: Any, policies: Sequence[Decorator]) -> Any:
        return client


def _retry(**options: Any) -> urllib3.Retry:
    """Return what most programs give to urllib3."""
    statuses = [429, 500, 502, 503, 504]
    return urllib3.Retry(total=2, backoff_factor=0.1, status_forcelist=statuses, **options)


class RequestsRetryDriver(_Unguarded, RequestsDriver):
    """requests with the retries of urllib3."""

    name = "requests with Retry"

    def waits(self) -> Any:  # type: ignore[override]
        return _noted_sleep(importlib.import_module("urllib3.util.retry"), "time")

    def adapter(self, setup: Setup) -> HTTPAdapter:
        return HTTPAdapter(pool_maxsize=setup.pool, pool_block=True, max_retries=_retry())


class Urllib3RetryDriver(_Unguarded, Urllib3Driver):
    """urllib3 with its own retries, of which redirects are a part."""

    name = "urllib3 with Retry"

    def waits(self) -> Any:  # type: ignore[override]
        return _noted_sleep(importlib.import_module("urllib3.util.retry"), "time")

    def options(self, setup: Setup) -> dict[str, Any]:
        return {**super().options(setup), "retries": _retry()}


class AiohttpRetryDriver(AiohttpDriver):
    """aiohttp-retry: a client around the session."""

    name = "aiohttp-retry"

    def waits(self) -> Any:  # type: ignore[override]
        return _noted_sleep(importlib.import_module("aiohttp_retry.client"), "asyncio")

    def guard(self, client: Any, policies: Sequence[Decorator]) -> Any:
        from aiohttp_retry import ExponentialRetry, RetryClient

        return RetryClient(client, retry_options=ExponentialRetry(attempts=3, start_timeout=0.05))

    def redirects_of(self, client: Any) -> int:
        return super().redirects_of(client._client)

    def busy(self, client: Any) -> int:
        return super().busy(client._client)

    async def close(self, client: Any) -> None:  # type: ignore[override]
        await client._client.close()


class _Clientwright(_Unguarded):
    """clientwright: it builds a genuine client from a configuration."""

    adapter_name: str

    def waits(self) -> Any:  # type: ignore[override]
        if isinstance(self, AsyncDriver):
            return _noted_sleep(importlib.import_module("clientwright.core.engine.aio"), "asyncio")
        return _noted_sleep(importlib.import_module("clientwright.core.engine.sync"), "time")

    def open(self, setup: Setup) -> Any:
        import clientwright

        limits = clientwright.TimeoutConfig(total=None, connect=setup.limit, read=setup.limit)
        config = clientwright.ClientConfig(
            service_name="shelf",
            timeout=limits,
            pool=clientwright.PoolConfig(max_connections=setup.pool, **self.pool(setup)),
            retry=clientwright.RetryConfig(jitter=0.0),
            circuit_breaker=None,
            observability=clientwright.ObservabilityConfig(logging=False),
            max_redirects=setup.max_redirects,
            proxy=clientwright.ProxyConfig(url=setup.proxy) if setup.proxy is not None else None,
        )
        if isinstance(self, AsyncDriver):
            return clientwright.build(self.adapter_name, config)
        return clientwright.build_sync(self.adapter_name, config)

    def pool(self, setup: Setup) -> dict[str, Any]:
        return {}


class ClientwrightHttpxDriver(_Clientwright, HttpxDriver):
    features = HttpxDriver.features - {"http2"}
    adapter_name = "httpx"

    def busy(self, client: Any) -> None:  # type: ignore[override]
        return None


class ClientwrightHttpxAsyncDriver(_Clientwright, HttpxAsyncDriver):
    features = HttpxAsyncDriver.features - {"http2"}
    adapter_name = "httpx"

    def busy(self, client: Any) -> None:  # type: ignore[override]
        return None


class ClientwrightRequestsDriver(_Clientwright, RequestsDriver):
    name = "clientwright requests"
    adapter_name = "requests"

    def open(self, setup: Setup) -> Any:
        session = super().open(setup)
        session.request_limit = setup.limit
        return session

    def pool(self, setup: Setup) -> dict[str, Any]:
        return {"max_connections_per_host": setup.pool}


class ClientwrightUrllib3Driver(_Clientwright, Urllib3Driver):
    name = "clientwright urllib3"
    adapter_name = "urllib3"

    def pool(self, setup: Setup) -> dict[str, Any]:
        return {"max_connections_per_host": setup.pool}


class ClientwrightAiohttpDriver(_Clientwright, AiohttpDriver):
    name = "clientwright aiohttp"
    adapter_name = "aiohttp"
    error_root = aiohttp.ClientError

    def redirects_of(self, client: Any) -> int:
        return 10


def _peers() -> list[Driver]:
    import httpx

    peers: list[Driver] = [RequestsRetryDriver(), Urllib3RetryDriver(), AiohttpRetryDriver()]
    if importlib.util.find_spec("clientwright") is not None:
        peers += [
            ClientwrightHttpxDriver("clientwright httpx", httpx),
            ClientwrightHttpxAsyncDriver("clientwright httpx async", httpx),
            ClientwrightRequestsDriver(),
            ClientwrightUrllib3Driver(),
            ClientwrightAiohttpDriver(),
        ]
    return peers


OTHER_PEERS = _peers()
