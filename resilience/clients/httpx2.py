"""httpx2, sync and async: the adapter of httpx, for classes of the same methods in another module."""

from __future__ import annotations

from typing import Final

from resilience.clients.httpx import HttpxAdapter

__all__ = ["ADAPTER"]

ADAPTER: Final = HttpxAdapter("httpx2")
