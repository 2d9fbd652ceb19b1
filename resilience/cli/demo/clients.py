"""The two clients of the demo: the same request, protected by policies and bare."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from resilience.cli.demo.phases import CIRCUIT, SIDES, Settings
from resilience.cli.demo.stats import ClientStats, DemoStats

if TYPE_CHECKING:
    import httpx

__all__ = ["STALE", "Call", "Page", "open_clients"]


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of items, as the caller wants it."""

    items: tuple[str, ...]


STALE: Final = Page(items=())
"""The fallback's answer: a page without items."""

Call = Callable[[], Awaitable[Page]]
F = TypeVar("F", bound=Callable[[], Awaitable[Page]])


@contextlib.asynccontextmanager
async def open_clients(stats: DemoStats, port: int) -> AsyncGenerator[tuple[Call, Call]]:
    """Yield the protected and the bare call. Each has an HTTP client of its own, made the same way."""
    async with contextlib.AsyncExitStack() as stack:
        protected, bare = [await stack.enter_async_context(_client(stats, side, port)) for side in stats.clients]
        calls = _protected(protected, stats.settings), _bare(bare)
        globals().update(zip(SIDES, calls, strict=True))  # `explain` of the admin page finds functions by their names
        yield calls


def _client(stats: DemoStats, side: ClientStats, port: int) -> httpx.AsyncClient:
    import httpx

    async def count(request: httpx.Request) -> None:
        # Counted just before it is sent: a request that is refused reaches no server that could count it.
        side.phases[stats.phase].sent += 1
        request.headers["X-Sender"] = f"{side.name}/{stats.phase}"

    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        timeout=stats.settings.time_limit,
        limits=httpx.Limits(max_connections=None),  # no call waits for the connection of another one
        event_hooks={"request": [count]},
        trust_env=False,  # a proxy would not know this machine's loopback
    )


def _of_the_module(call: F) -> F:
    """Name a function as one that stands in this module: events and metrics show it."""
    call.__qualname__ = call.__name__
    return call


def _bare(client: httpx.AsyncClient) -> Call:
    from resilience.metrics import track_errors

    @track_errors()
    @_of_the_module
    async def bare() -> Page:
        response = await client.get("/items")
        response.raise_for_status()
        return Page(tuple(response.json()["items"]))

    return bare


def _protected(client: httpx.AsyncClient, settings: Settings) -> Call:
    from resilience import circuit_breaker, fallback, retry_on_category, timeout, track_errors

    @track_errors()
    @fallback(default=STALE)
    @retry_on_category("transient", attempts=settings.attempts)
    @circuit_breaker(CIRCUIT, failure_threshold=settings.failure_threshold, reset_timeout=settings.reset_timeout)
    @timeout(settings.time_limit)
    @_of_the_module
    async def protected() -> Page:
        response = await client.get("/items")
        response.raise_for_status()
        return Page(tuple(response.json()["items"]))

    return protected
