"""The findings of `inspect_client` for a client of httpx: retries of its transports, time limits, connections.

They are read from private attributes, as httpx has no public ones for them. A transport without a pool of httpcore's,
such as one for tests, has no finding on its pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from resilience._safe_access import int_attribute, safe_getattr
from resilience.clients.adapter import Finding

__all__ = ["findings_of"]

_PHASES: Final = ("connect", "read", "write", "pool")
_OWN: Final = frozenset({"httpx", "httpx2"})


def findings_of(client: Any) -> Iterator[Finding]:
    """Yield what *client* does by itself, each transport once."""
    transports = {id(each): each for each in (client._transport, *client._mounts.values()) if each is not None}
    for transport in transports.values():
        yield from _of_transport(transport)
    missing = [phase for phase in _PHASES if getattr(client.timeout, phase) is None]
    if missing:
        yield Finding("time_limit", f"no time limit for {', '.join(missing)}", problem=True)
    yield from _of_pool(client)


def _of_transport(transport: Any) -> Iterator[Finding]:
    """Yield the retries of a transport.

    Those of the library's own repeat the connecting alone. Of another library's, such as httpx-retries, the number is
    read where it is called as everywhere; else the transport is named, since it may retry.
    """
    kind = cast("type[object]", type(transport))
    library = kind.__module__.partition(".")[0]
    retries = int_attribute(safe_getattr(transport, "_pool"), "_retries")
    if library in _OWN and retries:
        yield Finding("retries", f"the transport connects up to {retries + 1} times; no request is sent twice by that")
    total = int_attribute(safe_getattr(transport, "retry"), "total")
    if library not in _OWN and total is not None:
        text = f"{library}.{kind.__name__} retries by itself: up to {total + 1} requests for a call"
        yield Finding("retries", text, total + 1)
    elif library not in _OWN:
        yield Finding("retries", f"{library}.{kind.__name__} is a transport of another library: it may retry by itself")


def _of_pool(client: Any) -> Iterator[Finding]:
    """Yield the number of connections, and how long a call waits for one."""
    size = int_attribute(safe_getattr(client._transport, "_pool"), "_max_connections")
    if size is None:
        return
    wait = "until one is free"
    if client.timeout.pool is not None:
        wait = f"up to {client.timeout.pool:g} s for one"
    yield Finding("pool", f"{size} connections; a further call waits {wait}")
