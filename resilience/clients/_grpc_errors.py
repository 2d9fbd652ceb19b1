"""Errors of policies as errors of gRPC: a program that catches `grpc.RpcError` asks for ``code()`` and ``details()``.

Both names belong to `ResilienceError` as well, with other meanings: a text and a mapping. The values here are these,
and can be called, so that programs that know either library read what they expect.
"""

from __future__ import annotations

from typing import Any, Final

import grpc  # type: ignore[import-untyped, unused-ignore]
import grpc.aio  # type: ignore[import-untyped, unused-ignore]

__all__ = ["AsyncCallRejected", "AsyncCallTimedOut", "CallRejected", "CallTimedOut", "describe"]


class _Code(str):  # noqa: SLOT000 - it has an attribute
    """The code of an error of ours, which returns the *status* of gRPC when it is called."""

    status: grpc.StatusCode

    def __call__(self) -> grpc.StatusCode:
        """Return the status, as ``code()`` of gRPC."""
        return self.status


class _Details(dict[str, object]):
    """The details of an error of ours, which return its message when they are called."""

    message: str = ""

    def __call__(self) -> str:
        """Return the message, as ``details()`` of gRPC."""
        return self.message


class CallRejected(grpc.RpcError):  # type: ignore[misc, unused-ignore]
    """A call that was not made: its status is UNAVAILABLE, and there is no metadata. It passes for a `grpc.Call`."""

    status: Any = grpc.StatusCode.UNAVAILABLE

    def initial_metadata(self) -> tuple[()]:
        """Return none: nothing was received."""
        return ()

    def trailing_metadata(self) -> tuple[()]:
        """Return none: nothing was received."""
        return ()

    def debug_error_string(self) -> str:
        """Return the message."""
        return str(self)

    def is_active(self) -> bool:
        """Return False: the call has ended."""
        return False

    def time_remaining(self) -> float | None:
        """Return None: nothing runs that could use it."""
        return None

    def cancel(self) -> bool:
        """Return False: there is nothing to cancel."""
        return False

    def add_callback(self, callback: object) -> bool:
        """Return False, as for a call that has ended: *callback* is not called."""
        return False


grpc.Call.register(CallRejected)


class CallTimedOut(CallRejected):
    """A call that a limit of ours has ended: its status is DEADLINE_EXCEEDED."""

    status: Any = grpc.StatusCode.DEADLINE_EXCEEDED


class AsyncCallRejected(grpc.aio.AioRpcError):  # type: ignore[misc, unused-ignore]
    """A call of `grpc.aio` that was not made."""

    status: Any = grpc.StatusCode.UNAVAILABLE


class AsyncCallTimedOut(AsyncCallRejected):
    """A call of `grpc.aio` that a limit of ours has ended."""

    status: Any = grpc.StatusCode.DEADLINE_EXCEEDED


_EMPTY: Final = {"_initial_metadata": None, "_trailing_metadata": None}


def describe(error: Any) -> None:
    """Set what gRPC's own errors carry on an *error* of a policy that is of one of the classes above."""
    code, details = _Code(error.code), _Details(error.details)
    code.status, details.message = error.status, str(error)
    error.__dict__.update(code=code, details=details)
    if isinstance(error, AsyncCallRejected):
        error.__dict__.update(_EMPTY, _code=error.status, _details=str(error), _debug_error_string=str(error))
