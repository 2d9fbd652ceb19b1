"""Other ways to retry the requests of a client, in the conformance matrix: their drivers.

Each makes three attempts with the waits of the matrix, and is left to its own defaults otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from resilience._runtime.pipeline import Decorator
from tests.clients.conformance import Driver, Setup
from tests.clients.drivers import HttpxAsyncDriver, HttpxDriver

__all__ = ["PEERS"]


@contextlib.contextmanager
def _noted_sleep(module: Any) -> Iterator[list[float]]:
    """Skip the sleeps of a peer's *module*, and note them."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    before = module.time, module.asyncio
    module.time, module.asyncio = SimpleNamespace(sleep=waits.append), SimpleNamespace(sleep=sleep)
    try:
        yield waits
    finally:
        module.time, module.asyncio = before


class _HttpxRetries(HttpxDriver):
    """httpx-retries: a transport around that of the client."""

    transport: str

    def waits(self) -> Any:  # type: ignore[override]
        import httpx_retries.retry

        return _noted_sleep(httpx_retries.retry)

    def options(self, setup: Setup) -> dict[str, Any]:
        from httpx_retries import Retry, RetryTransport

        options = super().options(setup)
        inner = getattr(self.library, self.transport)(
            verify=options.pop("verify"),
            http1=options.pop("http1"),
            http2=options.pop("http2"),
            limits=options.pop("limits"),
            proxy=options.pop("proxy"),
        )
        retry = Retry(total=2, backoff_factor=0.1, backoff_jitter=0)
        return {**options, "transport": RetryTransport(inner, retry)}

    def guard(self, client: Any, policies: Sequence[Decorator]) -> Any:
        return client

    def busy(self, client: Any) -> int:
        retrying = client._transport
        inner = retrying._sync_transport or retrying._async_transport
        return sum(not (each.is_idle() or each.is_closed()) for each in inner._pool.connections)


class HttpxRetriesDriver(_HttpxRetries):
    transport = "HTTPTransport"


class HttpxRetriesAsyncDriver(_HttpxRetries, HttpxAsyncDriver):
    transport = "AsyncHTTPTransport"


def _peers() -> list[Driver]:
    import httpx

    return [
        HttpxRetriesDriver("httpx-retries", httpx),
        HttpxRetriesAsyncDriver("httpx-retries async", httpx),
    ]


PEERS = _peers()
