"""Categories of Python's own exceptions, by class and, for an OSError, by its error number.

The last rule to be asked, after everything that knows the exception better. PermissionError and FileNotFoundError are
OSErrors and are no failures of the network; a full disk (ENOSPC) or a lack of file descriptors (EMFILE) is CAPACITY,
whatever operation met it. ValueError and KeyError are missing on purpose: they can mean anything.
"""

from __future__ import annotations

import errno
import os
from functools import lru_cache

from resilience._safe_access import int_attribute
from resilience.categories import ErrorCategory
from resilience.classification._parse_errors import by_parsed_response
from resilience.classification.match import Match

__all__ = ["BUILTINS", "ERRNO", "by_builtin", "by_class", "by_errno", "is_fixed_by_type"]

_C = ErrorCategory


def _errnos(category: ErrorCategory, names: str) -> dict[int, ErrorCategory]:
    # Not every system has every name.
    return {getattr(errno, name): category for name in names.split() if hasattr(errno, name)}


ERRNO: dict[int, ErrorCategory] = {
    **_errnos(
        _C.NETWORK,
        """ECONNREFUSED ECONNRESET ECONNABORTED EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENETRESET EPIPE
        ESHUTDOWN ENOTCONN""",
    ),
    **_errnos(_C.TIMEOUT, "ETIMEDOUT"),
    **_errnos(_C.CAPACITY, "ENOSPC EMFILE ENFILE ENOMEM EDQUOT ENOBUFS"),
    **_errnos(_C.AUTHORIZATION, "EACCES EPERM EROFS"),
    **_errnos(_C.NOT_FOUND, "ENOENT ENODEV ENXIO"),
    **_errnos(_C.CONFLICT, "EEXIST ENOTEMPTY EBUSY ETXTBSY"),
    **_errnos(_C.VALIDATION, "EISDIR ENOTDIR ENAMETOOLONG EFBIG ELOOP"),
    **_errnos(_C.CONFIGURATION, "EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EPROTONOSUPPORT"),
    **_errnos(_C.UNAVAILABLE, "EAGAIN"),
}
"""Categories of the operating system's error numbers, whatever class carries them."""

BUILTINS: dict[type, ErrorCategory] = {
    TimeoutError: _C.TIMEOUT,  # is an OSError; so are asyncio's, socket's and concurrent.futures' timeouts
    PermissionError: _C.AUTHORIZATION,
    FileNotFoundError: _C.NOT_FOUND,
    ProcessLookupError: _C.NOT_FOUND,
    FileExistsError: _C.CONFLICT,
    IsADirectoryError: _C.VALIDATION,
    NotADirectoryError: _C.VALIDATION,
    BlockingIOError: _C.UNAVAILABLE,
    ChildProcessError: _C.INTERNAL,
    ConnectionError: _C.NETWORK,
    SyntaxError: _C.SYNTAX,
    ImportError: _C.IMPORT,
    MemoryError: _C.MEMORY,
    UnicodeError: _C.VALIDATION,
    NameError: _C.INTERNAL,
    AttributeError: _C.INTERNAL,
    TypeError: _C.INTERNAL,
    AssertionError: _C.INTERNAL,
    NotImplementedError: _C.INTERNAL,
    RecursionError: _C.INTERNAL,
    StopIteration: _C.CANCELLED,  # control flow, not a failure
    StopAsyncIteration: _C.CANCELLED,
}
"""Classes that say enough by themselves; the most derived one decides."""


def by_builtin(exc: BaseException) -> Match | None:
    """Return the category of the nearest built-in class of *exc*; an OSError that has no row goes by its errno.

    >>> by_builtin(ConnectionResetError()).why
    'ConnectionError is network'
    """
    kind = _deciding_class(type(exc))
    if kind is OSError:
        return by_errno(exc)
    found = by_parsed_response(exc) if kind is UnicodeError else None
    return found or by_class(type(exc))


def by_class(kind: type) -> Match | None:
    """Return the category of the nearest built-in class of a type; None for an OSError that has no row."""
    decides = _deciding_class(kind)
    category = BUILTINS.get(decides)
    return Match(category, f"{decides.__name__} is {category.label}") if category else None


def _deciding_class(kind: type) -> type:
    """Return the most derived class that has a row, or `OSError`; `object` where there is none."""
    return next((base for base in kind.__mro__ if base in BUILTINS or base is OSError), object)


def is_fixed_by_type(kind: type) -> bool:
    """Return whether every exception of a class gets the same answer from `by_builtin`.

    An errno decides differently for each exception, and an OSError without one says nothing of the next; a text that
    cannot be decoded may have been a response.

    >>> is_fixed_by_type(ConnectionError), is_fixed_by_type(OSError), is_fixed_by_type(ValueError)
    (True, False, True)
    """
    return _deciding_class(kind) not in (OSError, UnicodeError)


def by_errno(exc: BaseException) -> Match | None:
    """Return the category of the operating system's error number, in `errno`.

    >>> by_errno(OSError(errno.ENOSPC, "disk full")).why
    'No space left on device (ENOSPC)'
    """
    number = int_attribute(exc, "errno")
    if number is None or number not in ERRNO:
        return None
    return Match(ERRNO[number], _reason(number))


@lru_cache
def _reason(number: int) -> str:
    """Return the system's words for an error number, and its name."""
    return f"{os.strerror(number)} ({errno.errorcode[number]})"
