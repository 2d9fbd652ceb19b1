"""psycopg 3: a function that runs in a transaction of a pool, which is retried as a whole.

    from resilience.integrations.psycopg import in_transaction

    @in_transaction(pool)
    def transfer(connection: psycopg.Connection, source: int, target: int, amount: int) -> None: ...

    transfer(1, 2, 100)

*pool* is a `psycopg_pool.ConnectionPool` or an `AsyncConnectionPool`. Let it check connections before it hands them out
(``check=ConnectionPool.check_connection``): after a restart of the server all that are idle are lost, and each of them
would cost an attempt.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar, Unpack, overload

from resilience._runtime.callables import is_async
from resilience._validation import require
from resilience.categories import CategoryLike
from resilience.integrations._transactions import (
    InAsyncTransaction,
    InTransaction,
    TransactionRetry,
    in_async_transaction,
    in_sync_transaction,
    is_commit_unknown,
)
from resilience.policies._retry_config import RetryOptions

__all__ = ["in_transaction", "is_commit_unknown"]

C_co = TypeVar("C_co", covariant=True)
C = TypeVar("C")


class _Pool(Protocol[C_co]):
    """A pool of connections, as `psycopg_pool.ConnectionPool` is."""

    def connection(self) -> AbstractContextManager[C_co]: ...


class _AsyncPool(Protocol[C_co]):
    """A pool of async connections, as `psycopg_pool.AsyncConnectionPool` is."""

    def connection(self) -> AbstractAsyncContextManager[C_co]: ...


@overload
def in_transaction(pool: _Pool[C], *on: CategoryLike, **options: Unpack[RetryOptions]) -> InTransaction[C]: ...


@overload
def in_transaction(
    pool: _AsyncPool[C], *on: CategoryLike, **options: Unpack[RetryOptions]
) -> InAsyncTransaction[C]: ...


def in_transaction(pool: Any, *on: CategoryLike, **options: Any) -> Any:
    """Run a function in a transaction, and the whole transaction again after a failure that may be gone.

    The function's first parameter is the connection; callers leave it out. It is async where the pool is. All else is
    as with `resilience.integrations.sqlalchemy.in_transaction`: what is retried, and why a commit whose outcome is
    unknown is not, unless the transaction is *idempotent*. The transaction is one also where the pool's connections
    are in autocommit mode.

    A cancelled async call is rolled back before it ends: that takes up to 10 seconds where the server does not answer.

    *on* and *options* are those of `retry_on_category`. Raises TypeError for what is no pool, a generator function and
    a method.
    """
    require(callable(getattr(pool, "connection", None)), "pool", pool, "a pool of psycopg_pool", TypeError)
    retry = TransactionRetry(*on, **options)

    def decorate(function: Callable[..., Any], /) -> Callable[..., Any]:
        if is_async(function):
            return in_async_transaction(retry, _async_begin(pool), function)
        return in_sync_transaction(retry, _begin(pool), function)

    return decorate


def _begin(pool: Any) -> Callable[[], AbstractContextManager[Any]]:
    @contextlib.contextmanager
    def begin() -> Generator[Any]:
        with pool.connection() as connection, connection.transaction():
            yield connection

    return begin


def _async_begin(pool: Any) -> Callable[[], AbstractAsyncContextManager[Any]]:
    @contextlib.asynccontextmanager
    async def begin() -> AsyncGenerator[Any]:
        async with pool.connection() as connection, connection.transaction():
            yield connection

    return begin
