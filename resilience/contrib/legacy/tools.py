"""Five kinds of failure of a tool call over httpx, and a retry of one of them.

>>> import anyio, httpx
>>> from resilience.testing import virtual_time
>>> answers = iter([503, 503, 200])
>>> async def fetch() -> str:
...     httpx.Response(next(answers), request=httpx.Request("GET", "https://tool")).raise_for_status()
...     return "found"
>>> with virtual_time() as clock:
...     anyio.run(with_retry, fetch), clock.now()
('found', 3.0)
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from resilience._validation import parse_count, parse_duration
from resilience.contrib.legacy._validation import require_call

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["ErrorCategory", "classify_error", "with_retry"]

T = TypeVar("T")


class ErrorCategory(enum.Enum):
    """The outcome of a failed tool call. Not `resilience.ErrorCategory`, which has finer categories."""

    RETRYABLE = "retryable"
    NON_RETRYABLE = "non_retryable"
    AUTH_FAILURE = "auth_failure"
    TIMEOUT = "timeout"
    NETWORK = "network"


_BY_STATUS = dict.fromkeys((401, 403), ErrorCategory.AUTH_FAILURE) | dict.fromkeys(
    (429, 500, 502, 503), ErrorCategory.RETRYABLE
)


def classify_error(exc: BaseException) -> ErrorCategory:
    """Return the kind of failure *exc* is, by the first of these that holds.

    An `httpx.TimeoutException`, of connecting too: TIMEOUT. An `httpx.ConnectError`: NETWORK. An
    `httpx.HTTPStatusError` of 401 or 403: AUTH_FAILURE, of 429, 500, 502 or 503: RETRYABLE. Everything else, a 408, a
    504 and a connection that was cut among it: NON_RETRYABLE. `resilience.classify` is more precise.

    >>> classify_error(TimeoutError())
    <ErrorCategory.NON_RETRYABLE: 'non_retryable'>
    """
    httpx: Any = sys.modules.get("httpx")
    if httpx is None:  # then no error of httpx can have been raised
        return ErrorCategory.NON_RETRYABLE
    if isinstance(exc, httpx.TimeoutException):
        return ErrorCategory.TIMEOUT
    if isinstance(exc, httpx.ConnectError):
        return ErrorCategory.NETWORK
    if isinstance(exc, httpx.HTTPStatusError):
        response: Any = getattr(exc, "response", None)
        return _BY_STATUS.get(response.status_code, ErrorCategory.NON_RETRYABLE)
    return ErrorCategory.NON_RETRYABLE


@overload
async def with_retry(
    fn: Callable[[], Awaitable[T]], max_retries: int = ..., base_delay: float | timedelta = ...
) -> T: ...


@overload
async def with_retry(fn: Callable[[], T], max_retries: int = ..., base_delay: float | timedelta = ...) -> T: ...


async def with_retry(fn: Callable[[], object], max_retries: int = 3, base_delay: float | timedelta = 1.0) -> object:
    """Call *fn*, async or sync, up to *max_retries* times in all, as long as its failures are RETRYABLE.

    Waits *base_delay* seconds, then twice as long each time, without jitter and without a limit. The last error is
    raised unchanged, with the attempts in its notes.

    Raises ValueError or TypeError unless *max_retries* is a whole number of 1 or more, *base_delay* 0 or more, and *fn*
    can be called.
    """
    from resilience.contrib.legacy._retry import ExactRetry, FixedBackoff

    require_call("fn", fn, "a function without arguments, such as lambda: fetch(url)")
    attempts = parse_count("max_retries", max_retries)
    backoff = FixedBackoff(parse_duration("base_delay", base_delay, zero=True), 2.0, sys.float_info.max, jitter=False)
    return await ExactRetry(attempts, _is_retryable, backoff).acall(fn)


def _is_retryable(error: Exception) -> bool:
    return classify_error(error) is ErrorCategory.RETRYABLE
