"""Transactions that are retried as a whole, for any client whose transaction is a context manager.

The context manager begins the transaction, commits it where its block ends and rolls it back where the block raises.
The unit that is retried is the transaction with all its statements: after a deadlock, a serialization failure or a lost
connection the database has kept nothing of it.

The one failure that needs care is that of the commit. It has failed for certain where the database said so, by a
SQLSTATE of class 40 or 23. Else the transaction may have been committed, and only the answer was lost: it is not
repeated, unless it may happen twice.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar, Unpack, cast

from resilience._runtime.callables import is_async, is_generator, name_of
from resilience._safe_access import as_str, int_attribute, safe_getattr
from resilience._validation import require_bool
from resilience.categories import CategoryLike
from resilience.policies._retry_config import RetryOptions
from resilience.policies.idempotency import Idempotency
from resilience.policies.retry import Retry

__all__ = [
    "AsyncBegin",
    "Begin",
    "InAsyncTransaction",
    "InTransaction",
    "TransactionRetry",
    "in_async_transaction",
    "in_sync_transaction",
    "is_commit_unknown",
    "require_function",
    "sync_attempt",
]

P = ParamSpec("P")
R = TypeVar("R")
C_co = TypeVar("C_co", covariant=True)
Begin: TypeAlias = Callable[[], AbstractContextManager[Any]]
"""A function that begins a transaction: its context manager returns the connection, commits, and rolls back."""

AsyncBegin: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]
"""The same of an async client."""

_MARK = "_resilience_commit_unknown"
_MAX_WRAPPED = 8  # exceptions around that of the driver; SQLAlchemy over asyncpg has 3
_NOT_COMMITTED_CLASSES = ("40", "23")  # transaction rollback; a deferred constraint
_COMPLETION_UNKNOWN = "40003"
_SQLITE_BUSY = 5
# MySQL: deadlock, also of a certification in a cluster; "plugin instructed the server to rollback the transaction".
_NOT_COMMITTED_MYSQL = (1213, 3101)


def is_commit_unknown(error: BaseException | None) -> bool:
    """Return whether *error* left a transaction of `in_transaction` with a commit of which no outcome is known.

    The transaction may have been committed: look before it is made again. False for every other failure, after which
    nothing of the transaction is in the database.
    """
    return error is not None and safe_getattr(error, _MARK) is True


class TransactionRetry(Retry):
    """A retry of transactions: unless *idempotent*, it makes none again whose commit has an unknown outcome."""

    def __init__(self, *on: CategoryLike, **options: Unpack[RetryOptions]) -> None:
        for name in ("only", "exclude"):
            if name in options:
                raise TypeError(f"{name}={options.get(name)!r}: give it where a class is decorated")
        idempotent = require_bool("idempotent", options.pop("idempotent", False))
        super().__init__(*on, **options)
        if not idempotent:
            self.idempotency = Idempotency("unless_commit_unknown", _may_be_repeated)


def _may_be_repeated(_: object, failure: object = None) -> bool:
    return not isinstance(failure, BaseException) or not is_commit_unknown(failure)


class InTransaction(Protocol[C_co]):
    """The decorator of functions whose first parameter is a connection or a session."""

    def __call__(self, function: Callable[Concatenate[C_co, P], R], /) -> Callable[P, R]:
        """Return *function* without its first parameter, run in a transaction that is retried."""
        ...


class InAsyncTransaction(Protocol[C_co]):
    """The decorator of async functions whose first parameter is a connection or a session."""

    def __call__(
        self, function: Callable[Concatenate[C_co, P], Awaitable[R]], /
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        """Return *function* without its first parameter, run in a transaction that is retried."""
        ...


def in_sync_transaction(
    retry: Retry, begin: Begin, function: Callable[..., Any], finish: Callable[[Any], object] | None = None
) -> Callable[..., Any]:
    """Return *function* run in a transaction of *begin*, and in another one as *retry* decides.

    *finish* is called with the connection at the end of the block: what it sends is part of the transaction, and when
    it fails there was no commit. Raises TypeError for an async function, a generator function and a method.
    """
    require_function(function, is_async_client=False)
    _refuse_method(function)
    return retry(_as_called(sync_attempt(begin, function, finish), function))


def in_async_transaction(
    retry: Retry,
    begin: AsyncBegin,
    function: Callable[..., Awaitable[Any]],
    finish: Callable[[Any], Awaitable[object]] | None = None,
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Do what `in_sync_transaction` does for an async client and an async *function*."""
    require_function(function, is_async_client=True)
    _refuse_method(function)

    async def attempt(*args: object, **kwargs: object) -> object:
        returned = False
        try:
            async with begin() as connection:
                result = await function(connection, *args, **kwargs)
                if finish is not None:
                    await finish(connection)
                returned = True
        except Exception as error:
            if returned:
                _mark(error)
            raise
        return result

    return retry(_as_called(attempt, function))


def sync_attempt(
    begin: Begin, function: Callable[..., Any], finish: Callable[[Any], object] | None = None
) -> Callable[..., Any]:
    """Return a function that makes one transaction: *function* is called with the connection and the arguments."""

    def attempt(*args: object, **kwargs: object) -> object:
        returned = False
        try:
            with begin() as connection:
                result = function(connection, *args, **kwargs)
                if finish is not None:
                    finish(connection)
                returned = True
        except Exception as error:
            if returned:
                _mark(error)
            raise
        return result

    return attempt


def require_function(function: object, *, is_async_client: bool) -> None:
    """Raise TypeError for a function that cannot run in a transaction of the client."""
    name = name_of(function)
    if not callable(function):
        raise TypeError(f"in_transaction(...)({function!r}): give a function")
    if is_generator(function):
        raise TypeError(f"{name} is a generator function: the transaction would end before its first item")
    if is_async(function) is not is_async_client:
        kinds = {True: "an async function", False: "a function that is not async"}
        raise TypeError(f"{name}: this client needs {kinds[is_async_client]}")


def _refuse_method(function: Callable[..., object]) -> None:
    if next(iter(_parameters(function)), None) in {"self", "cls"}:
        raise TypeError(
            f"{name_of(function)} is a method: decorate a function, whose first parameter gets the connection"
        )


def _parameters(function: Callable[..., object]) -> Sequence[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # one that has no signature, as some builtins
        return []


def _as_called(attempt: Callable[..., Any], function: Callable[..., object]) -> Callable[..., Any]:
    """Return *attempt* with name and docstring of *function*, and its signature without the connection."""
    functools.update_wrapper(attempt, function)
    del cast("Any", attempt).__wrapped__  # it would bring the connection back to the signature
    if _parameters(function):
        signature = inspect.signature(function)
        _, *others = signature.parameters.values()
        cast("Any", attempt).__signature__ = signature.replace(parameters=others)
    return attempt


# -- the outcome of a commit -------------------------------------------------------------------------------------------


def _mark(error: Exception) -> None:
    """Note on the *error* of a commit that its outcome is unknown, unless the database has said that there was none."""
    if any(_says_not_committed(each) for each in _chain(error)):
        return
    setattr(error, _MARK, True)
    error.add_note("the outcome of the commit is unknown: the transaction may be in the database")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and the exceptions that it wraps, down to that of the driver."""
    each: object = error
    for _ in range(_MAX_WRAPPED):
        if not isinstance(each, BaseException):
            return
        yield each
        each = safe_getattr(each, "orig") or each.__cause__


def _says_not_committed(error: BaseException) -> bool:
    """Return whether the database has said by *error*, the answer to a commit, that it was not made."""
    for name in ("sqlstate", "pgcode"):
        code = as_str(safe_getattr(error, name)) or ""
        if code.startswith(_NOT_COMMITTED_CLASSES):
            return code != _COMPLETION_UNKNOWN
    if (int_attribute(error, "sqlite_errorcode") or 0) & 0xFF == _SQLITE_BUSY:
        return True
    return bool(error.args) and error.args[0] in _NOT_COMMITTED_MYSQL
