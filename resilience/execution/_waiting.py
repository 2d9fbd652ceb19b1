"""Waiting in an event loop: for first news, or for a thread that does what blocks; cancelled, the thread is woken."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from resilience.execution.events import StreamEvent
from resilience.execution.executor import Listener

__all__ = ["Wake", "closed", "in_thread", "news"]

T = TypeVar("T")

_MOST_THREADS = 64
_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("resilience.execution")


class Wake:
    """Something to wait for beside files: becomes readable once it is set."""

    def __init__(self) -> None:
        self.descriptor: int
        self.descriptor, self._writing = os.pipe()

    def set(self) -> None:
        """Wake whoever waits."""
        os.write(self._writing, b"\0")

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.descriptor)
        os.close(self._writing)


async def news(control: socket.socket, seconds: float) -> None:
    """Wait until there is something to read, or the time is up."""
    with anyio.move_on_after(seconds):
        await anyio.wait_readable(control)


async def in_thread(work: Callable[[Listener | None, int], T | None], listener: Listener | None) -> T:
    """Return what *work* returns, done in a thread, with *listener* called here.

    It is given what becomes readable when this is cancelled, and returns then: not before that does the cancellation
    go on, so that nothing is left behind.
    """
    told = None if listener is None else _told_from_thread(listener)
    attempt = _Attempt(lambda wake: work(told, wake))
    try:
        value = await anyio.to_thread.run_sync(attempt.make, abandon_on_cancel=True, limiter=_threads())
    except BaseException:
        if attempt.abandon():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(attempt.over.wait)
        raise
    assert value is not None, "only what is cancelled comes to nothing"
    return value


class _Attempt(Generic[T]):
    """Work that a thread does, unless it is abandoned before it has begun; later, it is woken."""

    def __init__(self, work: Callable[[int], T]) -> None:
        self._work = work
        self._wake = Wake()
        self._lock = threading.Lock()
        self._has_begun = False
        self._is_abandoned = False
        self.over = threading.Event()

    def make(self) -> T | None:
        """Do it."""
        with self._lock:
            if self._is_abandoned:
                return None
            self._has_begun = True
        try:
            return self._work(self._wake.descriptor)
        finally:
            with self._lock:  # whoever abandons it must not write to what is closed, and is something else by then
                self.over.set()
                self._wake.close()

    def abandon(self) -> bool:
        """See to it that it does not begin any more, or ends soon; return whether it is under way."""
        with self._lock:
            self._is_abandoned = True
            if not self._has_begun:
                self._wake.close()
            elif not self.over.is_set():
                self._wake.set()
                return True
        return False


async def closed(close: Callable[[], object]) -> None:
    """Call *close* in a thread, also when this is cancelled."""
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(close)


def _threads() -> anyio.CapacityLimiter:
    """Return the limiter of this event loop: executions wait long, and must not take the threads of others."""
    try:
        return _limiter.get()
    except LookupError:
        _limiter.set(anyio.CapacityLimiter(_MOST_THREADS))
        return _limiter.get()


def _told_from_thread(listener: Listener) -> Listener:
    def tell(event: StreamEvent) -> None:
        anyio.from_thread.run_sync(listener, event)

    return tell
