"""Connections of a protected Redis client: a pool of its own, without retries, whose sync connections keep deadlines.

redis-py retries in its connections, so the copy of a client that policies guard needs other connections than the client
it was made from. Sync ones end each phase, connecting, sending and reading a reply, within what is left of the time.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Awaitable, Generator, Hashable
from typing import Any, Final, cast

from resilience._deadline_context import remaining
from resilience._safe_access import safe_getattr

__all__ = ["AsyncPatientPool", "PatientPool", "pool_without_retries", "subclass_of"]

_LEAST: Final = 0.001  # seconds: a time limit of 0 means that a socket does not wait
_MADE_BY_POOL: Final = (
    "connection_pool",
    "maint_notifications_config",
    "maint_notifications_pool_handler",
    "orig_host_address",
    "orig_socket_connect_timeout",
    "orig_socket_timeout",
)
"""Arguments of connections that a pool adds by itself."""

_OF_POOL: Final = ("cache", "check_connection", "is_master", "max_connections", "sentinel_manager", "service_name")
"""Arguments of a pool that it keeps under the same name."""


def pool_without_retries(pool: Any, retry: object, *, is_async: bool) -> Any:
    """Return a pool like *pool*, without connections yet. Each of its connections has *retry*, which makes none."""
    given = {name: value for name, value in pool.connection_kwargs.items() if name not in _MADE_BY_POOL}
    given |= {name: value for name in _OF_POOL if (value := safe_getattr(pool, name)) is not None}
    notifications = safe_getattr(safe_getattr(pool, "_maint_notifications_pool_handler"), "config")
    if notifications is not None:
        given["maint_notifications_config"] = notifications
    if hasattr(pool, "timeout"):  # for a connection: the pool waits until one is free
        given["timeout"] = pool.timeout
    given |= {"retry": retry, "retry_on_error": [], "retry_on_timeout": False}
    if is_async:
        return type(pool)(connection_class=subclass_of(pool.connection_class, _FreshConnection), **given)
    if hasattr(pool, "queue_class"):
        given["queue_class"] = subclass_of(pool.queue_class, _LimitedQueue)
    return type(pool)(connection_class=subclass_of(pool.connection_class, _LimitedConnection), **given)


class PatientPool:
    """A *pool* whose connections have the client's own *retry* while they are lent: for what subscribes.

    A subscription that is lost is made again by the connection, which sends nothing twice that would count twice.
    """

    def __init__(self, pool: Any, retry: object) -> None:
        self._pool = pool
        self._retry = retry

    def get_connection(self, *given: Any) -> Any:
        """Return a connection that retries."""
        return self._patient(self._pool.get_connection(*given))

    def release(self, connection: Any) -> Any:
        """Take a connection back, which does not retry then."""
        connection.retry = copy.deepcopy(self._pool.connection_kwargs["retry"])
        return self._pool.release(connection)

    def _patient(self, connection: Any) -> Any:
        connection.retry = copy.deepcopy(self._retry)
        return connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


class AsyncPatientPool(PatientPool):
    """The same, of an async client."""

    async def get_connection(self, *given: Any) -> Any:
        """Return a connection that retries."""
        return self._patient(await cast("Awaitable[Any]", self._pool.get_connection(*given)))


@functools.cache
def subclass_of(kind: Hashable, mixin: Hashable) -> Any:
    """Return the subclass of the class *kind* by *mixin*, always the same one, under the name of *kind*."""
    base = cast("type", kind)
    return type(base.__name__, (cast("type", mixin), base), {"__module__": base.__module__, "__doc__": base.__doc__})


class _FreshConnection:
    """An async connection that the pool makes anew where the server has closed it while it was idle.

    redis-py 8 uses such a connection again, since data that waits on an idle connection may be a notification of the
    server. The next command would fail after it was sent, so that nothing proves that it may be repeated.
    """

    _reader: Any

    async def connect(self) -> None:
        untyped: Any = super()
        if self._reader is not None and self._reader.at_eof():
            await untyped.disconnect(nowait=True)
        await untyped.connect()


class _LimitedQueue:
    """A queue of free connections: a caller waits for one at most as long as its deadline is away."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return a free connection, or None. Raises ``queue.Empty`` when the time is over, as the queue itself."""
        untyped: Any = super()
        return untyped.get(block, _within(timeout))


class _LimitedConnection:
    """A sync connection whose phases end within what is left of the time.

    A mixin of the connection's own class. Connecting, sending and reading each have the smaller of their own limit and
    the time that is left, which is looked up at the beginning of the phase; the own limit is put back afterwards, since
    the pool lends the connection to calls with other deadlines. Async calls need none of this: a limit cancels them.
    """

    socket_connect_timeout: float | None

    def _connect(self) -> Any:
        untyped: Any = super()
        own = self.socket_connect_timeout
        self.socket_connect_timeout = _within(own)
        try:
            return untyped._connect()
        finally:
            self.socket_connect_timeout = own

    def send_packed_command(self, *given: Any, **named: Any) -> Any:
        untyped: Any = super()
        with _limited(self):
            return untyped.send_packed_command(*given, **named)

    def read_response(self, *given: Any, **named: Any) -> Any:
        untyped: Any = super()
        with _limited(self):
            return untyped.read_response(*given, **named)


@contextlib.contextmanager
def _limited(connection: Any) -> Generator[None]:
    """Limit the socket of *connection* to what is left of the time, in a block."""
    socket = connection._sock
    left = remaining()
    if socket is None or left is None:
        yield
        return
    own = socket.gettimeout()
    socket.settimeout(_within(own))
    try:
        yield
    finally:
        if connection._sock is socket:  # else it has been closed
            socket.settimeout(own)


def _within(limit: float | None) -> float | None:
    """Return *limit*, or what is left of the time where that is less."""
    left = remaining()
    if left is None:
        return limit
    left = max(left, _LEAST)
    if limit is None:
        return left
    return min(limit, left)
