"""An event loop in a thread of its own: what a kernel's sockets belong to, whoever asks, and from wherever."""

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
    """Runs coroutines for the threads of sync and async callers, of asyncio or trio, in one place.

    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> loop = BackgroundLoop("example")
    >>> loop.begin(double(21)).result()
    42
    >>> loop.close()
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._finish: Callable[[], Coroutine[Any, Any, object]] | None = None
        # A daemon: a program that forgets to close it must be able to end.
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

    def begin(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Have *work* done; cancelling what is returned cancels it."""
        # In a context of its own: that of the caller says that trio runs here, where the caller is on trio.
        return contextvars.Context().run(asyncio.run_coroutine_threadsafe, work, self._loop)

    def close(self, finish: Callable[[], Coroutine[Any, Any, object]] | None = None) -> None:
        """Cancel what is being done, do what *finish* returns, and end the thread."""
        self._finish = finish
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _cancel(tasks: Iterable[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
