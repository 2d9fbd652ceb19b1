"""FastMCP: policies around the tools of a server, as a middleware."""

from __future__ import annotations

from typing import Any

import httpx
from fastmcp import FastMCP
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from resilience import Pipeline, deadline, retry_on_category


class GuardTools(Middleware):
    """Runs each call of a tool through *policies*. FastMCP wraps a tool's failure, and its category is kept."""

    def __init__(self, policies: Pipeline) -> None:
        self._policies = policies

    async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Call the tool, again where that can help."""
        return await self._policies.acall(call_next, context)


def server_for(client: httpx.AsyncClient) -> FastMCP:
    """Return a server with a tool that asks the catalogue."""
    server = FastMCP("shop")
    server.add_middleware(GuardTools(Pipeline(deadline(10), retry_on_category(attempts=3, max_delay=2))))

    @server.tool
    async def search(query: str) -> list[str]:
        """Search the catalogue."""
        response = await client.get("/search", params={"q": query})
        response.raise_for_status()
        return [item["name"] for item in response.json()]

    return server
