"""Calls that stay in flight until a scenario ends them: in threads, or as tasks of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Coroutine
from typing import Any

from benchmarks.half_open.terms import Killed, SetupError, Violation
from benchmarks.terms import Function, Wrap

__all__ = ["Call", "TaskCalls", "ObservedLock", "ThreadCalls"]

#: Seconds until a thread that neither runs, ends, nor waits for a lock is an error. Never reached.
_WATCHDOG_SECONDS = 30.0
_VALUE = "ok"


class Call:
    """One call: whether it was admitted, and how it ended."""

    def __init__(self) -> None:
        #: The guarded function runs, or has run.
        self.entered = False
        self.ended = False
        #: It waits for a lock that another call holds.
        self.blocked = False
        self.error: BaseException | None = None
        self.reports: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.commands: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    @property
    def running(self) -> bool:
        """Whether the guarded function runs now."""
        return self.entered and not self.ended

    def outcome(self) -> str:
        """Describe how it ended, or its present state."""
        if self.blocked:
            return "waited for a lock"
        if self.error is not None:
            return f"{'raised' if self.entered else 'was rejected with'} {type(self.error).__name__}"
        return "ended" if self.ended else "runs"


class ThreadCalls:
    """Makes each call in a thread of its own."""

    def __init__(self, wrap: Wrap) -> None:
        self._guarded = wrap(_body)
        self._calls: list[tuple[Call, threading.Thread]] = []

    def start(self, *, manual: bool = False) -> Call:
        """Make a call; return when it runs, has ended, or waits for a lock."""
        call = Call()
        thread = threading.Thread(target=_run_call, args=(self._guarded, call), daemon=True)
        self._calls.append((call, thread))
        thread.start()
        self._wait_for_report(call)
        return call

    def end(self, call: Call, error: BaseException | None = None) -> None:
        """Let the function of *call* return, or raise *error*."""
        call.commands.put(error)
        self._wait_for_report(call)

    def interrupt(self, call: Call) -> None:
        """End *call* as Ctrl-C does."""
        self.end(call, KeyboardInterrupt())

    def discard(self, call: Call) -> None:
        """End *call* by an exception that is no `Exception`, as `greenlet.GreenletExit` is none."""
        self.end(call, Killed())

    def close(self) -> None:
        """End all calls in flight."""
        for call, _ in self._calls:
            call.commands.put(None)
        for _, thread in self._calls:
            thread.join(_WATCHDOG_SECONDS)

    def _wait_for_report(self, call: Call) -> None:
        try:
            report = call.reports.get(timeout=_WATCHDOG_SECONDS)
        except queue.Empty:
            raise SetupError("a call neither runs nor ends") from None
        call.blocked = report == "blocked"
        call.entered = call.entered or report == "entered"
        call.ended = report == "ended"


def _body(call: Call) -> str:
    call.reports.put("entered")
    error = call.commands.get()
    if error is not None:
        raise error
    return _VALUE


_current = threading.local()


def _run_call(guarded: Function, call: Call) -> None:
    _current.call = call
    try:
        guarded(call)
    except BaseException as error:
        call.error = error
    call.reports.put("ended")


class ObservedLock:
    """Wraps a lock, and reports the call that is about to wait for it as blocked."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        call: Call | None = getattr(_current, "call", None)
        if call is not None:
            call.reports.put("blocked")
        self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self._lock.release()


class TaskCalls:
    """Makes each call a task of one event loop, which runs until the call waits or has ended."""

    def __init__(self, wrap: Wrap) -> None:
        self._guarded = wrap(_async_body)
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[Call, asyncio.Task[None]] = {}
        self._manual: dict[Call, Coroutine[Any, Any, object]] = {}

    def start(self, *, manual: bool = False) -> Call:
        """Make a call; *manual*: as a coroutine without a task, of which only the first step is run."""
        call = Call()
        self._loop.run_until_complete(self._step_once(call) if manual else self._begin(call))
        return call

    def end(self, call: Call, error: BaseException | None = None) -> None:
        """Let the function of *call* return, or raise *error*."""
        call.commands.put(error)
        self._loop.run_until_complete(self._finish(call))

    def interrupt(self, call: Call) -> None:
        """Cancel the task of *call*."""
        self._tasks[call].cancel()
        self._loop.run_until_complete(self._finish(call))

    def discard(self, call: Call) -> None:
        """Close the coroutine of a manual *call*."""
        self._loop.run_until_complete(self._close_coroutine(call))

    def close(self) -> None:
        """End all calls in flight."""
        for call in self._tasks:
            call.commands.put(None)
        for call in [*self._manual]:
            self.discard(call)
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(asyncio.wait_for(self._all(), _WATCHDOG_SECONDS))
        self._loop.close()

    async def _begin(self, call: Call) -> None:
        task = self._tasks[call] = asyncio.create_task(self._run_call(call))
        while not (call.entered or task.done()):
            await asyncio.sleep(0)

    async def _step_once(self, call: Call) -> None:
        coroutine = self._manual[call] = self._guarded(call)
        try:
            coroutine.send(None)
        except Exception as error:
            call.error, call.ended = error, True

    async def _finish(self, call: Call) -> None:
        await self._tasks[call]

    async def _close_coroutine(self, call: Call) -> None:
        try:
            self._manual.pop(call).close()
        except RuntimeError as error:  # it ignores GeneratorExit
            raise Violation(f"the coroutine cannot be closed: {error}") from error
        except Exception:  # ignored, as the garbage collector ignores what closing a coroutine raises
            pass
        call.ended = True

    async def _all(self) -> None:
        await asyncio.gather(*self._tasks.values())

    async def _run_call(self, call: Call) -> None:
        try:
            await self._guarded(call)
        except BaseException as error:
            call.error = error
        call.ended = True


async def _async_body(call: Call) -> str:
    call.entered = True
    while call.commands.empty():
        await asyncio.sleep(0)
    error = call.commands.get_nowait()
    if error is not None:
        raise error
    return _VALUE
