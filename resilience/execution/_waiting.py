"""Waiting in an event loop, on asyncio and trio: for a socket, or for a thread that runs blocking work.

A cancelled wait wakes its thread through a pipe and returns only after the thread has stopped.
"""

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

__all__ = ["WakeupPipe", "finish_in_thread", "run_in_thread", "wait_for_data"]

T = TypeVar("T")

_MAX_THREADS = 64
_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("resilience.execution")


class WakeupPipe:
    """A pipe that becomes readable once `set` is called, to be polled beside other descriptors."""

    def __init__(self) -> None:
        self.descriptor: int
        self.descriptor, self._write_end = os.pipe()

    def set(self) -> None:
        """Make the descriptor readable."""
        os.write(self._write_end, b"\0")

    def close(self) -> None:
        """Close both ends."""
        os.close(self.descriptor)
        os.close(self._write_end)


async def wait_for_data(control: socket.socket, seconds: float) -> None:
    """Wait until *control* is readable, for at most *seconds*."""
    with anyio.move_on_after(seconds):
        await anyio.wait_readable(control)


async def run_in_thread(work: Callable[[Listener | None, int], T | None], listener: Listener | None) -> T:
    """Run *work* in a thread and return its value; *listener* is called in this event loop.

    *work* gets a listener and a descriptor that becomes readable on cancellation. It must return then: the cancellation
    proceeds only after it has, so that no process or thread is left behind.
    """
    in_loop = None if listener is None else _call_in_event_loop(listener)
    call = _ThreadCall(lambda wake: work(in_loop, wake))
    try:
        value = await anyio.to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=_thread_limiter())
    except BaseException:
        if call.abandon():
            await finish_in_thread(call.finished.wait)
        raise
    assert value is not None, "only cancelled work returns None"
    return value


class _ThreadCall(Generic[T]):
    """A call in a thread. Abandoned before it has started, it does not run; abandoned later, it is woken."""

    def __init__(self, work: Callable[[int], T]) -> None:
        self._work = work
        self._wake = WakeupPipe()
        self._lock = threading.Lock()
        self._has_started = False
        self._is_abandoned = False
        self.finished = threading.Event()

    def run(self) -> T | None:
        """Run the work in this thread; None if it was abandoned before."""
        with self._lock:
            if self._is_abandoned:
                return None
            self._has_started = True
        try:
            return self._work(self._wake.descriptor)
        finally:
            with self._lock:  # `abandon` must not write to a closed descriptor, whose number may have been reused
                self.finished.set()
                self._wake.close()

    def abandon(self) -> bool:
        """Keep the work from starting, or wake it; return whether it is running."""
        with self._lock:
            self._is_abandoned = True
            if not self._has_started:
                self._wake.close()
            elif not self.finished.is_set():
                self._wake.set()
                return True
        return False


async def finish_in_thread(work: Callable[[], object]) -> None:
    """Call *work* once in a thread and wait for its end, however often the task is cancelled meanwhile.

    A shield alone is not enough: `asyncio.Task.cancel` reaches through the shields of anyio. The last cancellation is
    raised at the end.
    """
    lock = threading.Lock()
    is_over = False

    def work_once() -> None:
        nonlocal is_over
        with lock:  # a second thread waits here for the end of the first
            if not is_over:
                try:
                    work()
                finally:
                    is_over = True

    cancelled = None
    while not is_over:
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(work_once)
        except anyio.get_cancelled_exc_class() as error:
            cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled  # its traceback holds this frame


def _thread_limiter() -> anyio.CapacityLimiter:
    """Return this event loop's thread limiter for executions, which would use up anyio's default one for minutes."""
    try:
        return _limiter.get()
    except LookupError:
        _limiter.set(anyio.CapacityLimiter(_MAX_THREADS))
        return _limiter.get()


def _call_in_event_loop(listener: Listener) -> Listener:
    def tell(event: StreamEvent) -> None:
        anyio.from_thread.run_sync(listener, event)

    return tell
