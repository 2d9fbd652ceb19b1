"""httpcore2, what httpx2 stands on."""

from resilience.classify.clients.httpcore import ROWS

__all__ = ["ROWS"]
