"""httpcore2, the transport that httpx2 stands on: the classes of httpcore under another name."""

from resilience.classification.clients.httpcore import LIBRARY

__all__ = ["LIBRARY"]
