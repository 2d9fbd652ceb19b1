"""Exceptions of Python itself, for a function that calls no library, and for leaves that a library has no class for."""

from __future__ import annotations

import concurrent.futures
import errno
import ssl
from collections.abc import Callable, Iterator, Mapping

from resilience.categories import ErrorCategory
from resilience.errors import ResilienceError
from resilience.faults._errors.source import MESSAGE

__all__ = ["by_python", "declared"]

_C = ErrorCategory
_MAKERS: Mapping[ErrorCategory, Callable[[], Exception]] = {
    _C.TIMEOUT: lambda: TimeoutError(MESSAGE),
    _C.NETWORK: lambda: ConnectionResetError(errno.ECONNRESET, MESSAGE),
    _C.UNAVAILABLE: lambda: BlockingIOError(errno.EAGAIN, MESSAGE),
    _C.CAPACITY: lambda: OSError(errno.ENOSPC, MESSAGE),
    _C.AUTHORIZATION: lambda: PermissionError(errno.EACCES, MESSAGE),
    _C.VALIDATION: lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, MESSAGE),
    _C.NOT_FOUND: lambda: FileNotFoundError(errno.ENOENT, MESSAGE),
    _C.CONFLICT: lambda: FileExistsError(errno.EEXIST, MESSAGE),
    _C.CONFIGURATION: lambda: ssl.SSLCertVerificationError(MESSAGE),
    _C.SYNTAX: lambda: SyntaxError(MESSAGE),
    _C.IMPORT: lambda: ImportError(MESSAGE),
    _C.MEMORY: lambda: MemoryError(MESSAGE),
    _C.CANCELLED: lambda: concurrent.futures.CancelledError(MESSAGE),
    _C.INTERNAL: lambda: AssertionError(MESSAGE),
    _C.UNKNOWN: lambda: RuntimeError(MESSAGE),
}


def by_python(leaf: ErrorCategory, _library: str) -> Iterator[Exception]:
    """Yield the exception by which Python itself says *leaf*."""
    if leaf in _MAKERS:
        yield _MAKERS[leaf]()


def declared(leaf: ErrorCategory, _library: str) -> Iterator[Exception]:
    """Yield an error of the toolkit that declares *leaf*: for all that only a toolkit or an application can say."""
    yield ResilienceError(MESSAGE, category=leaf)
