"""The future of a guarded call: what ``stub.Find.future(request)`` returns."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

import grpc  # type: ignore[import-untyped, unused-ignore]

__all__ = ["GuardedFuture"]


class GuardedFuture(grpc.Future):  # type: ignore[misc, unused-ignore]
    """A call with its retries, in a thread of its own. It is a `grpc.Future`, and a `grpc.Call` as gRPC's own are.

    *call* makes the call, and *current* returns gRPC's future of the attempt that runs, or None: cancelling this future
    cancels that one, and no other attempt follows.

    gRPC's own futures end in its threads, where a retry must not wait. So each future has a daemon thread, in a copy of
    the caller's context: deadlines and options that hold where it was made hold in it.
    """

    def __init__(self, call: Callable[[], tuple[Any, Any]], current: Callable[[], Any]) -> None:
        self._current = current
        self._outcome: concurrent.futures.Future[tuple[Any, Any]] = concurrent.futures.Future()
        self._cancelled = threading.Event()
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run, call), name="resilience-grpc-future", daemon=True).start()

    def _run(self, call: Callable[[], tuple[Any, Any]]) -> None:
        """Make the call in the thread of the future, and tell those that wait for it."""
        try:
            self._outcome.set_result(call())
        except BaseException as error:  # the caller of `result` gets it
            self._outcome.set_exception(error)

    def cancel(self) -> bool:
        """Cancel the call. Returns True, as gRPC does."""
        self._cancelled.set()
        attempt = self._current()
        if attempt is not None:
            attempt.cancel()
        return True

    def cancelled(self) -> bool:
        """Return whether the caller has cancelled the call before it ended."""
        return self._cancelled.is_set() and self._outcome.done()

    def running(self) -> bool:
        """Return whether the call has not ended."""
        return not self._outcome.done()

    def done(self) -> bool:
        """Return whether the call has ended, in any way."""
        return self._outcome.done()

    def result(self, timeout: float | None = None) -> Any:
        """Return the response, or raise the error of the call. Raises `grpc.FutureTimeoutError` after *timeout*."""
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._outcome.result()[0]

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Return the error of the call, None for a success. Raises `grpc.FutureTimeoutError` after *timeout*."""
        try:
            return cast("Exception | None", self._outcome.exception(timeout))
        except concurrent.futures.TimeoutError:
            raise grpc.FutureTimeoutError from None

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        error = self.exception(timeout)
        if error is None:
            return None
        return error.__traceback__

    def add_done_callback(self, fn: Callable[[GuardedFuture], object]) -> None:
        """Have *fn* called with this future when it is done."""
        self._outcome.add_done_callback(lambda _: fn(self))

    def __getattr__(self, name: str) -> Any:
        """Return what a finished call has: ``code``, ``details`` and the metadata. Waits for its end."""
        if name.startswith("_"):
            raise AttributeError(name)
        error = self.exception()
        if error is not None:
            return getattr(error, name)
        return getattr(self._outcome.result()[1], name)


grpc.Call.register(GuardedFuture)
