"""Doing in a thread what blocks, while an event loop goes on: cancelled, the thread is woken and waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from resilience.execution.events import StreamEvent
from resilience.execution.executor import Listener

__all__ = ["Wake", "closed", "in_thread"]

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


async def in_thread(work: Callable[[Listener | None, int], T | None], listener: Listener | None) -> T:
    """Return what *work* returns, done in a thread, with *listener* called here.

    It is given what becomes readable when this is cancelled, and returns then: not before that does the cancellation
    go on, so that nothing is left behind.
    """
    wake = Wake()
    done: list[T | None] = []
    failed: list[BaseException] = []
    over = anyio.Event()
    told = None if listener is None else _told_from_thread(listener)

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            try:
                done.append(await anyio.to_thread.run_sync(work, told, wake.descriptor, limiter=_threads()))
            except BaseException as error:  # raised below, without a group around it
                failed.append(error)
            over.set()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shielded)
            try:
                await over.wait()
            except BaseException:
                wake.set()
                raise
    finally:
        wake.close()
    try:
        if failed:
            raise failed[0]
    finally:
        failed.clear()
    (value,) = done
    assert value is not None, "only what is cancelled comes to nothing"
    return value


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
