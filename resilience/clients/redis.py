"""redis-py, sync and asyncio: a copy of the client whose commands and pipelines go through the policies.

The guard stands in ``client.execute_command``, through which all commands go, and in ``execute`` of the pipelines that
the client makes. An attempt is one command, or one batch, on a connection without retries of its own. What may be sent
twice is decided by command: `method_of`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection
from resilience.clients._redis_calls import RedisPeer, put_guard
from resilience.clients._redis_connections import pool_without_retries
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "RedisAdapter"]

_LONG: Final = 30.0  # seconds without a byte


class RedisAdapter(Adapter[Any]):
    """The adapter for ``redis.Redis`` and ``redis.asyncio.Redis``.

    It protects a copy with a pool of its own, since redis-py retries in its connections: to switch that off in the
    client's own pool would change every other client that shares the pool. The original client stays usable.
    """

    def covers(self, client: object) -> bool:
        """Return whether *client* is a client, and no pipeline, which derives from the client's class."""
        return isinstance(client, redis.Redis | redis.asyncio.Redis) and not hasattr(client, "command_stack")

    def is_async(self, client: Any) -> bool:
        return isinstance(client, redis.asyncio.Redis)

    def errors(self, client: Any) -> ErrorTree:
        """Return the classes that programs catch: both are a `redis.RedisError`."""
        return ErrorTree(redis.ConnectionError, redis.TimeoutError)

    def target(self, client: Any) -> str:
        """Return the name by which users import the class: it is defined in a module below that."""
        if self.is_async(client):
            return "redis.asyncio.Redis"
        return "redis.Redis"

    def dependency(self, client: Any) -> str:
        """Return the address of the server."""
        return _address_of(client.connection_pool)

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        """Return a copy of *client* with a pool of its own, whose connections do not retry, and the guard around it.

        A client that was made with ``single_connection_client=True`` takes its connections from that pool as well.
        """
        pool = client.connection_pool
        if retries := _retries_of(pool):
            number = str(retries)
            if retries < 0:
                number = "without end"
            protection.note(
                f"the client's own retries, {number}, are switched off on a copy with a pool of its own: the policies"
                " retry instead"
            )
        protection.note("commands that block, such as BLPOP, have the retries alone; pubsub keeps the client's own")
        is_async = isinstance(guard, AsyncGuard)
        guarded = copy.copy(client)
        guarded.connection_pool = pool_without_retries(pool, _no_retry(is_async=is_async), is_async=is_async)
        guarded.auto_close_connection_pool = True  # the pool is the copy's alone
        guarded.connection = None
        put_guard(guarded, RedisPeer(guard, protection, _address_of(pool), _connection_of(pool).retry), protection)
        return guarded

    def inspect(self, client: Any) -> list[Finding]:
        """Return the retries of the connections, a missing or long time limit, and the size of the pool."""
        return [*_retries_found(client), *_limits_found(client.connection_pool), _pool_found(client.connection_pool)]


def _retries_found(client: Any) -> Iterator[Finding]:
    """Yield the retries of the client's connections. They repeat any command: an INCR may count twice."""
    retries = _retries_of(client.connection_pool)
    if retries < 0:
        yield Finding("retries", "the client retries by itself, without end", problem=True)
    elif retries:
        text = f"the client retries by itself: a command is sent up to {retries + 1} times, INCR as well"
        yield Finding("retries", text, retries + 1)


def _limits_found(pool: Any) -> Iterator[Finding]:
    """Yield a ``socket_timeout`` that is missing, or long: it is for each read of a reply."""
    limit: float | None = _connection_of(pool).socket_timeout
    if limit is None:
        yield Finding("time_limit", "socket_timeout=None: no limit", problem=True)
    elif limit > _LONG:
        yield Finding("time_limit", f"socket_timeout is {limit:g} s, for each reply")


def _pool_found(pool: Any) -> Finding:
    """Return the size of the pool. A blocking pool has a ``timeout``, any other raises when it is exhausted."""
    if hasattr(pool, "timeout"):
        return Finding("pool", f"{pool.max_connections} connections; a further call waits until one is free")
    return Finding("pool", f"{pool.max_connections} connections; a further call fails")


def _connection_of(pool: Any) -> Any:
    """Return a connection as *pool* makes them, not connected: it knows the defaults of this version of redis-py."""
    return pool.connection_class(**pool.connection_kwargs)


def _retries_of(pool: Any) -> int:
    """Return the retries that a connection of *pool* makes of a command; -1: without end."""
    return int(_connection_of(pool).retry.get_retries())


def _no_retry(*, is_async: bool) -> object:
    """Return redis-py's object for no retries."""
    if is_async:
        return AsyncRetry(NoBackoff(), 0)
    return Retry(NoBackoff(), 0)


def _address_of(pool: Any) -> str:
    """Return the host and port of a pool; the path of a unix socket, or the name of a service of Sentinel."""
    given = pool.connection_kwargs
    if "path" in given:
        return str(given["path"])
    service = safe_getattr(pool, "service_name")
    if service is not None:
        return str(service)
    return f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"


ADAPTER: Final = RedisAdapter()
