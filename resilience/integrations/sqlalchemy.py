"""SQLAlchemy: a function that runs in a transaction, which is retried as a whole.

    from resilience.integrations.sqlalchemy import in_transaction

    @in_transaction(engine)
    def transfer(connection: Connection, source: int, target: int, amount: int) -> None: ...

    transfer(1, 2, 100)

What is retried is the transaction, never a single statement: after a failure the database has rolled back what came
before it. The function may run several times, so what it does outside the database must be fit for that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, sessionmaker

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

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

__all__ = ["in_transaction", "is_commit_unknown"]

S = TypeVar("S", bound=Session)
A = TypeVar("A", bound="AsyncSession")


@overload
def in_transaction(source: Engine, *on: CategoryLike, **options: Unpack[RetryOptions]) -> InTransaction[Connection]: ...


@overload
def in_transaction(source: sessionmaker[S], *on: CategoryLike, **options: Unpack[RetryOptions]) -> InTransaction[S]: ...


@overload
def in_transaction(
    source: AsyncEngine, *on: CategoryLike, **options: Unpack[RetryOptions]
) -> InAsyncTransaction[AsyncConnection]: ...


@overload
def in_transaction(
    source: async_sessionmaker[A], *on: CategoryLike, **options: Unpack[RetryOptions]
) -> InAsyncTransaction[A]: ...


def in_transaction(source: Any, *on: CategoryLike, **options: Any) -> Any:
    """Run a function in a transaction, and the whole transaction again after a failure that may be gone.

    The function's first parameter is the connection, or the session where *source* is a ``sessionmaker``; callers leave
    it out. The transaction is committed when the function returns and rolled back when it raises. A deadlock, a
    serialization failure, a connection that was lost or could not be made lead to another attempt, on another
    connection. Constraint violations and mistakes in a statement do not.

    A commit whose outcome is unknown, since the connection was lost before the answer came, is not made again: the
    transaction may be in the database. The error is then the driver's, as always, and `is_commit_unknown` is true of
    it. With *idempotent* the transaction may happen twice, and is made again in this case, too.

    A cancelled async call is rolled back before it ends. Over asyncpg that takes up to 2 seconds where the server does
    not answer, as long as the driver waits for it.

    *on* and *options* are those of `retry_on_category`. For an isolation level give
    ``engine.execution_options(isolation_level="SERIALIZABLE")``, and a short *base_delay* such as 0.02: conflicts are
    over in a moment. Raises TypeError for another *source*, and for a function that is async where the engine is not,
    or the other way round, a generator function or a method.

    >>> import sqlalchemy
    >>> engine = sqlalchemy.create_engine("sqlite://")
    >>> @in_transaction(engine)
    ... def add(connection: Connection, left: int, right: int) -> int:
    ...     return connection.execute(sqlalchemy.select(sqlalchemy.literal(left) + right)).scalar_one()
    >>> add(40, 2)
    42
    >>> engine.dispose()
    """
    retry = TransactionRetry(*on, **options)

    def decorate(function: Callable[..., Any], /) -> Callable[..., Any]:
        return _decorated(source, retry, function)

    if not isinstance(source, Engine | sessionmaker) and not _is_async(source):
        raise TypeError(f"in_transaction({source!r}): give an engine or a sessionmaker, sync or async")
    return decorate


def _decorated(source: Any, retry: TransactionRetry, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* in transactions of *source*. A session sends at the end what it has kept back until then."""
    if _is_async(source):
        return _decorated_async(source, retry, function)
    if isinstance(source, sessionmaker):
        return in_sync_transaction(retry, source.begin, function, Session.flush)
    return in_sync_transaction(retry, source.begin, function)


def _is_async(source: object) -> bool:
    """Whether *source* is of SQLAlchemy's asyncio part. That needs greenlet, and is not imported by itself."""
    found = sys.modules.get("sqlalchemy.ext.asyncio")
    return found is not None and isinstance(source, found.AsyncEngine | found.async_sessionmaker)


def _decorated_async(source: Any, retry: TransactionRetry, function: Callable[..., Any]) -> Callable[..., Any]:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    if isinstance(source, async_sessionmaker):
        return in_async_transaction(retry, source.begin, function, AsyncSession.flush)
    return in_async_transaction(retry, source.begin, function)
