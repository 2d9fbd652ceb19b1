"""gRPC, sync and asyncio: the genuine channel, whose methods go through the policies.

A sync channel makes the multicallables of a stub; the guard stands around each that is made from now on. A channel of
`grpc.aio` has interceptors; the guard is the outermost of them. `service_config` hands retries to gRPC itself.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final, cast

import grpc  # type: ignore[import-untyped, unused-ignore]
import grpc.aio  # type: ignore[import-untyped, unused-ignore]

from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._grpc_aio import interceptors_of
from resilience.clients._grpc_call import KINDS, Peer, guarded_method
from resilience.clients._grpc_errors import AsyncCallRejected, AsyncCallTimedOut, CallRejected, CallTimedOut
from resilience.clients._grpc_service_config import service_config
from resilience.clients._protection import Protection
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "GrpcAdapter", "service_config"]

_SYNC_ERRORS: Final = ErrorTree(CallRejected, CallTimedOut)
_ASYNC_ERRORS: Final = ErrorTree(AsyncCallRejected, AsyncCallTimedOut)
_MAX_CHANNELS: Final = 16  # channels around one another, by `grpc.intercept_channel`
_LIKE: Final = {"NO_SIDE_EFFECTS": "GET", "IDEMPOTENT": "PUT"}


class GrpcAdapter(Adapter[Any]):
    """The adapter for channels.

    The channel is changed in place. Stubs take their methods from it when they are made, so only those that are made
    afterwards are guarded in a sync channel: protect the channel first.
    """

    def covers(self, client: object) -> bool:
        """Return whether *client* is a channel, sync or of `grpc.aio`; an intercepted one is one too."""
        return isinstance(client, grpc.Channel | grpc.aio.Channel)

    def is_async(self, client: Any) -> bool:
        return isinstance(client, grpc.aio.Channel)

    def errors(self, client: Any) -> ErrorTree:
        """Return classes that are `grpc.RpcError` and have its methods."""
        if self.is_async(client):
            return _ASYNC_ERRORS
        return _SYNC_ERRORS

    def target(self, client: Any) -> str:
        """Return the name of the class as users write it: the genuine one is private, `grpc._channel.Channel`."""
        if self.is_async(client):
            return "grpc.aio.Channel"
        return "grpc.Channel"

    def dependency(self, client: Any) -> str:
        """Return the channel's target."""
        return _target_of(client)

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        """Replace the factories of multicallables of a sync channel; put interceptors first in an async one."""
        peer = Peer(_target_of(client), idempotency_of_method)
        if isinstance(guard, AsyncGuard):
            for kind, interceptor in interceptors_of(guard, peer).items():
                getattr(client, f"_{kind}_interceptors").insert(0, interceptor)
            return client
        for kind in KINDS:
            setattr(client, kind, _factory(kind, getattr(client, kind), guard, peer))
        return client

    def inspect(self, client: Any) -> list[Finding]:
        """Return the retries of gRPC itself, that a call may have no time limit, and how calls share connections."""
        return [
            Finding("retries", "gRPC retries by itself what never left the client, and what a service config says"),
            Finding("time_limit", "a call without timeout= has no time limit: it may wait for ever", warning=True),
            Finding("pool", "one connection for each address, which as many calls share as the server allows"),
        ]


def _factory(kind: str, make: Callable[..., Any], guard: Guard, peer: Peer) -> Callable[..., Any]:
    """Return the channel's method that *make* is, with the guard around the multicallables it returns."""

    @functools.wraps(make)
    def guarded(method: str, *given: Any, **named: Any) -> Any:
        return guarded_method(kind, make(method, *given, **named), guard, method, peer)

    return guarded


def _target_of(channel: Any) -> str:
    """Return the target of a channel, below those that `grpc.intercept_channel` has put around it."""
    inner: object = channel
    for _ in range(_MAX_CHANNELS):
        target = safe_getattr(inner, "target")
        if callable(target):
            return cast("bytes", target()).decode("utf-8", "replace")
        inner = safe_getattr(inner, "_channel")
    return "grpc"


@functools.cache
def idempotency_of_method(path: str) -> str:
    """Return the HTTP method that is as idempotent as the method of a service with this *path*.

    Protocol Buffers have an option for it, ``idempotency_level``: NO_SIDE_EFFECTS is a GET, IDEMPOTENT is a PUT. All
    others are POSTs: what is not declared may happen once only.

    >>> idempotency_of_method("/shop.Catalogue/Find")
    'POST'
    """
    pool = sys.modules.get("google.protobuf.descriptor_pool")
    if pool is None:
        return "POST"
    try:
        method: Any = pool.Default().FindMethodByName(path.strip("/").replace("/", "."))
        options: Any = method.GetOptions()
        kinds: Any = cast("Any", type(options)).DESCRIPTOR.fields_by_name["idempotency_level"].enum_type
        return _LIKE.get(str(kinds.values_by_number[options.idempotency_level].name), "POST")
    except Exception:  # not known to this process: KeyError, or another error of another implementation
        return "POST"


ADAPTER: Final = GrpcAdapter()
