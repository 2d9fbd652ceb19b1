"""Deadlines that travel: a request carries the seconds that are left, and the server's side puts them in force.

    DeadlineHeader             the header of a request: what the client sends, and what the server reads
    DeadlineMiddleware         the server's side of any ASGI application
    WsgiDeadlineMiddleware     the server's side of any WSGI application
    resilience.integrations.deadlines.grpc   the server's side of gRPC, sync and asyncio; gRPC has a field of its own

A server that knows the deadline of its caller stops when the caller does: retries, waits and calls below the handler
read it by `remaining`. No framework is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.integrations.deadlines.asgi import DeadlineMiddleware
    from resilience.integrations.deadlines.header import DeadlineHeader
    from resilience.integrations.deadlines.wsgi import WsgiDeadlineMiddleware

__all__ = ["DeadlineHeader", "DeadlineMiddleware", "WsgiDeadlineMiddleware"]

attach_lazy(__name__, {"DeadlineHeader": "header", "DeadlineMiddleware": "asgi", "WsgiDeadlineMiddleware": "wsgi"})
