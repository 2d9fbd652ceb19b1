"""The retries and the time limits of urllib3, which requests has too: read, switched off, and cut to a deadline."""

from __future__ import annotations

import functools
import math
from typing import Any, Final

from urllib3 import Retry, Timeout

__all__ = ["calls_by_itself", "cut", "own_limit", "retries_by_itself", "timeout_of", "without_retries"]

_LEAST: Final = 0.001  # seconds: urllib3 takes no zero


def retries_by_itself(retries: object) -> bool:
    """Return whether *retries* makes a second call after a failure: redirects alone do not count.

    >>> retries_by_itself(Retry(3)), retries_by_itself(Retry(0)), retries_by_itself(Retry(False))
    (True, False, False)
    >>> retries_by_itself(Retry(5, connect=0, read=0, status=0, other=0))
    False
    """
    return isinstance(retries, Retry) and calls_by_itself(retries) > 1


def calls_by_itself(retries: Any) -> int:
    """Return how many calls one may come to by *retries* of urllib3.

    >>> calls_by_itself(Retry(3)), calls_by_itself(Retry(None, connect=1, read=2, status=0, other=0))
    (4, 4)
    """
    if not retries.total and retries.total is not None:
        return 1
    kinds = (retries.connect, retries.read, retries.status, retries.other)
    if retries.total is None:
        return 1 + sum(int(count or 0) for count in kinds)
    if None in kinds:
        return 1 + int(retries.total)
    return 1 + min(int(retries.total), sum(map(int, kinds)))


def without_retries(retries: Retry) -> Retry:
    """Return *retries* as they are for redirects, with none after a failure.

    >>> without_retries(Retry(3, redirect=2))
    Retry(total=3, connect=0, read=0, redirect=2, status=0)
    """
    if retries.total is False:
        return retries
    return retries.new(connect=0, read=0, status=0, other=0, status_forcelist=(), respect_retry_after_header=False)


@functools.lru_cache(maxsize=64, typed=True)
def timeout_of(connect: float | None, read: float | None) -> Timeout:
    """Return the limits of a call for connecting and for reading. They are for `cut` and `own_limit`, not for a call.

    Raises ValueError for what is no limit, as urllib3.
    """
    return Timeout(connect=connect, read=read)


def cut(limits: Timeout, left: float) -> Timeout:
    """Return *limits* with at most the seconds that are *left* for all of the request.

    >>> cut(Timeout(connect=1, read=None), 2)
    Timeout(connect=1, read=None, total=2)
    >>> cut(Timeout(total=1), 2).total
    1
    """
    left = max(left, _LEAST)
    total = limits.total
    if isinstance(total, int | float):
        left = min(left, total)
    limited = object.__new__(Timeout)  # its constructor would check once more what *limits* have
    limited.__dict__.update(limits.__dict__, total=left, _start_connect=None)
    return limited


def own_limit(limits: Timeout) -> float | None:
    """Return the seconds that a read may take by *limits*, on the socket of a connection that is made; None: for ever.

    >>> own_limit(Timeout(connect=1, read=5)), own_limit(Timeout(total=2)), own_limit(Timeout(connect=1, read=None))
    (5, 2, None)
    """
    read = Timeout(read=limits._read).read_timeout
    if isinstance(limits.total, int | float):
        return min(limits.total, math.inf if read is None else read)
    return read
