"""The same request, protected and bare."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Final

from resilience.cli.demo.phases import CIRCUIT, Settings
from resilience.cli.demo.stats import Board, Side

if TYPE_CHECKING:
    import httpx

__all__ = ["STALE", "Call", "Page", "called"]


@dataclasses.dataclass(frozen=True)
class Page:
    """What the caller wants."""

    items: tuple[str, ...]


STALE: Final = Page(items=())
"""What the caller gets where there is nothing better."""

Call = Callable[[], Awaitable[Page]]


@contextlib.asynccontextmanager
async def called(board: Board, port: int) -> AsyncGenerator[tuple[Call, Call]]:
    """Yield the protected and the bare call. Each side has a client of its own, made the same way."""
    async with contextlib.AsyncExitStack() as stack:
        protected, bare = [await stack.enter_async_context(_client(board, side, port)) for side in board.sides]
        yield _protected(protected, board.settings), _bare(bare)


def _client(board: Board, side: Side, port: int) -> httpx.AsyncClient:
    import httpx

    async def count(request: httpx.Request) -> None:
        # Just before a request goes out, on both sides alike: one that is refused reaches no server that could count.
        side.phases[board.phase].sent += 1
        request.headers["X-Sender"] = f"{side.name}/{board.phase}"

    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        timeout=board.settings.time_limit,
        limits=httpx.Limits(max_connections=None),  # open loop: no call waits for another one's connection
        event_hooks={"request": [count]},
        trust_env=False,  # a proxy would not know this machine's loopback
    )


def _bare(client: httpx.AsyncClient) -> Call:
    async def bare() -> Page:
        response = await client.get("/items")
        response.raise_for_status()
        return Page(tuple(response.json()["items"]))

    return bare


def _protected(client: httpx.AsyncClient, settings: Settings) -> Call:
    from resilience import circuit_breaker, fallback, retry_on_category, timeout

    @fallback(default=STALE)
    @retry_on_category("transient", attempts=settings.attempts)
    @circuit_breaker(CIRCUIT, failure_threshold=settings.failure_threshold, reset_timeout=settings.reset_timeout)
    @timeout(settings.time_limit)
    async def protected() -> Page:
        response = await client.get("/items")
        response.raise_for_status()
        return Page(tuple(response.json()["items"]))

    return protected
