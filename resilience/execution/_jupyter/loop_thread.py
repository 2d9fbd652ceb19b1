"""Background thread with an event loop: it owns a kernel's sockets, whichever thread or loop the callers run in."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["BackgroundLoop"]

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines on one asyncio loop for sync and async callers, on asyncio or trio.

    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> loop = BackgroundLoop("example")
    >>> loop.submit(double(21)).result()
    42
    >>> loop.close()
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._finish: Callable[[], Coroutine[Any, Any, object]] | None = None
        # A daemon thread: a program that does not close the executor can still exit.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancel(asyncio.all_tasks(self._loop)))
            if self._finish is not None:
                self._loop.run_until_complete(self._finish())
        finally:
            self._loop.close()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Schedule *work* and return its future. Cancelling the future cancels the work."""
        # In an empty context: a trio caller's context would say that trio runs here.
        return contextvars.Context().run(asyncio.run_coroutine_threadsafe, work, self._loop)

    def close(self, finish: Callable[[], Coroutine[Any, Any, object]] | None = None) -> None:
        """Cancel all work, run *finish*, and end the thread."""
        self._finish = finish
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _cancel(tasks: Iterable[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
