"""Django: a function that runs in a transaction of a database, which is retried as a whole.

    from resilience.integrations.django import in_transaction

    @in_transaction(base_delay=0.02)
    def transfer(source: int, target: int, amount: int) -> None:
        account = Account.objects.select_for_update().get(pk=source)
        ...

Where `ATOMIC_REQUESTS` is on, the view is inside a transaction already: mark it with
``transaction.non_atomic_requests``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack

from resilience.categories import CategoryLike
from resilience.integrations._transactions import TransactionRetry, is_commit_unknown, require_function, sync_attempt
from resilience.policies._retry_config import RetryOptions

__all__ = ["in_transaction", "is_commit_unknown"]

P = ParamSpec("P")
R = TypeVar("R")


class _InTransaction(Protocol):
    """The decorator of functions that use Django's connection of their thread."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


def in_transaction(*on: CategoryLike, using: str | None = None, **options: Unpack[RetryOptions]) -> _InTransaction:
    """Run a function in ``transaction.atomic()``, and the whole transaction again after a failure that may be gone.

    *using* is the alias of the database. The function is sync, as Django's transactions are: from async code call it by
    ``sync_to_async``. It must be the outermost transaction of its thread, for after a failure the database has rolled
    back all of it: inside another one Django raises a RuntimeError (``durable=True``). A connection that was lost is
    replaced before the next attempt.

    What is retried, and why a commit whose outcome is unknown is not, unless the transaction is *idempotent*:
    `resilience.integrations.sqlalchemy.in_transaction`. Functions of ``transaction.on_commit`` run after the commit of
    the attempt that succeeds; an exception of one is taken for a commit with an unknown outcome, and nothing is
    repeated. *on* and *options* are those of `retry_on_category`.
    """
    retry = TransactionRetry(*on, **options)

    def decorate(function: Callable[..., Any], /) -> Callable[..., Any]:
        require_function(function, is_async_client=False)

        def run(_: None, /, *args: object, **kwargs: object) -> object:
            return function(*args, **kwargs)

        return retry(functools.wraps(function)(sync_attempt(functools.partial(_begin, using), run)))

    return decorate


@contextlib.contextmanager
def _begin(using: str | None) -> Generator[None]:
    database: Any = importlib.import_module("django.db")
    connection = database.connections[using or database.DEFAULT_DB_ALIAS]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    with database.transaction.atomic(using=using, durable=True):
        yield
