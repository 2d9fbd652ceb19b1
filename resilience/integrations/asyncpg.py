"""asyncpg: an async function that runs in a transaction of a pool, which is retried as a whole.

from resilience.integrations.asyncpg import in_transaction

@in_transaction(pool, isolation="serializable", base_delay=0.02)
async def transfer(connection: asyncpg.Connection, source: int, target: int, amount: int) -> None: ...

await transfer(1, 2, 100)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, Unpack

from resilience._validation import require
from resilience.categories import CategoryLike, ErrorCategory
from resilience.integrations._transactions import (
    InAsyncTransaction,
    TransactionRetry,
    in_async_transaction,
    is_commit_unknown,
)
from resilience.policies._retry_config import RetryOptions

__all__ = ["in_transaction", "is_commit_unknown"]


class _Pool(Protocol):
    """A pool of connections, as `asyncpg.Pool` is. asyncpg has no types."""

    def acquire(self) -> Any: ...

    async def release(self, connection: Any) -> None: ...


def in_transaction(
    pool: _Pool,
    *on: CategoryLike,
    isolation: str | None = None,
    **options: Unpack[RetryOptions],
) -> InAsyncTransaction[Any]:
    """Run an async function in a transaction, and the whole transaction again after a failure that may be gone.

    The function's first parameter is the connection; callers leave it out. *isolation* is asyncpg's, such as
    "serializable". All else is as with `resilience.integrations.sqlalchemy.in_transaction`: what is retried, and why a
    commit whose outcome is unknown is not, unless the transaction is *idempotent*.

    A cancelled call is rolled back, and ends at once.

    *on* and *options* are those of `retry_on_category`. Raises TypeError for what is no pool, and for a function that
    is not async.
    """
    require(callable(getattr(pool, "acquire", None)), "pool", pool, "a pool: await asyncpg.create_pool(...)", TypeError)
    retry = TransactionRetry(*on, **options)

    def decorate(function: Callable[..., Any], /) -> Callable[..., Any]:
        return in_async_transaction(retry, _begin(pool, isolation), function)

    return decorate


def _begin(pool: _Pool, isolation: str | None) -> Callable[[], AbstractAsyncContextManager[Any]]:
    @contextlib.asynccontextmanager
    async def begin() -> AsyncGenerator[Any]:
        connection = await _connection(pool)
        try:
            transaction = connection.transaction(isolation=isolation)
            try:
                await transaction.start()
                try:
                    yield connection
                except Exception:
                    with contextlib.suppress(Exception):  # on a connection that is lost there is nothing to roll back
                        await transaction.rollback()
                    raise
                await transaction.commit()
            except asyncio.CancelledError:
                connection.terminate()  # else asyncpg waits until the server has confirmed a rollback
                raise
        finally:
            # The transaction has ended, whatever comes of the connection: a failure to reset it must not hide another
            # one, and after a commit it would let the transaction be made again.
            with contextlib.suppress(Exception):
                await pool.release(connection)

    return begin


async def _connection(pool: _Pool) -> Any:
    try:
        return await pool.acquire()
    except FileNotFoundError as error:  # the Unix socket of a server that has not started again yet
        error.category = ErrorCategory.NETWORK  # type: ignore[attr-defined]
        raise
