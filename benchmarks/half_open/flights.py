"""Calls that are on their way until they are told how to end: in threads, or as tasks of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Coroutine
from typing import Any

from benchmarks.half_open.terms import Killed, SetupError, Wrong
from benchmarks.terms import Function, Wrap

__all__ = ["Flight", "Tasks", "TellingLock", "Threads"]

#: Seconds after which a thread is given up that neither runs, ends, nor waits for a lock. Never reached.
_STUCK = 30.0
_VALUE = "ok"


class Flight:
    """One call: whether it was let through, and how it ended."""

    def __init__(self) -> None:
        #: The guarded function runs, or ran.
        self.entered = False
        self.ended = False
        #: It waits for a lock that somebody else holds.
        self.blocked = False
        self.error: BaseException | None = None
        self.news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.orders: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    @property
    def running(self) -> bool:
        return self.entered and not self.ended

    def told(self) -> str:
        """Describe how it came out."""
        if self.blocked:
            return "waited for a lock"
        if self.error is not None:
            return f"{'raised' if self.entered else 'was rejected with'} {type(self.error).__name__}"
        return "ended" if self.ended else "runs"


class Threads:
    """Each call in a thread of its own."""

    def __init__(self, wrap: Wrap) -> None:
        self._guarded = wrap(_body)
        self._flights: list[tuple[Flight, threading.Thread]] = []

    def start(self, *, by_hand: bool = False) -> Flight:
        """Make a call; return when it runs, has ended, or waits for a lock."""
        flight = Flight()
        thread = threading.Thread(target=_fly, args=(self._guarded, flight), daemon=True)
        self._flights.append((flight, thread))
        thread.start()
        self._listen(flight)
        return flight

    def end(self, flight: Flight, error: BaseException | None = None) -> None:
        """Let the function of *flight* return, or raise *error*."""
        flight.orders.put(error)
        self._listen(flight)

    def interrupt(self, flight: Flight) -> None:
        """End it as Ctrl-C does."""
        self.end(flight, KeyboardInterrupt())

    def lose(self, flight: Flight) -> None:
        """End it so that it cannot be told from one that never comes back."""
        self.end(flight, Killed())

    def close(self) -> None:
        """End what still runs."""
        for flight, _ in self._flights:
            flight.orders.put(None)
        for _, thread in self._flights:
            thread.join(_STUCK)

    def _listen(self, flight: Flight) -> None:
        try:
            news = flight.news.get(timeout=_STUCK)
        except queue.Empty:
            raise SetupError("a call neither runs nor ends") from None
        flight.blocked = news == "blocked"
        flight.entered = flight.entered or news == "entered"
        flight.ended = news == "ended"


def _body(flight: Flight) -> str:
    flight.news.put("entered")
    error = flight.orders.get()
    if error is not None:
        raise error
    return _VALUE


_mine = threading.local()


def _fly(guarded: Function, flight: Flight) -> None:
    _mine.flight = flight
    try:
        guarded(flight)
    except BaseException as error:
        flight.error = error
    flight.news.put("ended")


class TellingLock:
    """A lock that tells the call which is about to wait for it. It locks as the one it is made of."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        flight: Flight | None = getattr(_mine, "flight", None)
        if flight is not None:
            flight.news.put("blocked")
        self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        self._lock.release()


class Tasks:
    """Each call a task of one event loop, which runs until the call waits or has ended."""

    def __init__(self, wrap: Wrap) -> None:
        self._guarded = wrap(_async_body)
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[Flight, asyncio.Task[None]] = {}
        self._by_hand: dict[Flight, Coroutine[Any, Any, object]] = {}

    def start(self, *, by_hand: bool = False) -> Flight:
        """Make a call; *by_hand*: as a coroutine that nobody runs to its end."""
        flight = Flight()
        self._loop.run_until_complete(self._send(flight) if by_hand else self._begin(flight))
        return flight

    def end(self, flight: Flight, error: BaseException | None = None) -> None:
        """Let the function of *flight* return, or raise *error*."""
        flight.orders.put(error)
        self._loop.run_until_complete(self._rest(flight))

    def interrupt(self, flight: Flight) -> None:
        """Cancel it."""
        self._tasks[flight].cancel()
        self._loop.run_until_complete(self._rest(flight))

    def lose(self, flight: Flight) -> None:
        """Throw the coroutine away."""
        self._loop.run_until_complete(self._drop(flight))

    def close(self) -> None:
        """End what still runs."""
        for flight in self._tasks:
            flight.orders.put(None)
        for flight in [*self._by_hand]:
            self.lose(flight)
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(asyncio.wait_for(self._all(), _STUCK))
        self._loop.close()

    async def _begin(self, flight: Flight) -> None:
        task = self._tasks[flight] = asyncio.create_task(self._fly(flight))
        while not (flight.entered or task.done()):
            await asyncio.sleep(0)

    async def _send(self, flight: Flight) -> None:
        coroutine = self._by_hand[flight] = self._guarded(flight)
        try:
            coroutine.send(None)
        except Exception as error:
            flight.error, flight.ended = error, True

    async def _rest(self, flight: Flight) -> None:
        await self._tasks[flight]

    async def _drop(self, flight: Flight) -> None:
        try:
            self._by_hand.pop(flight).close()
        except RuntimeError as error:  # it will not go
            raise Wrong(f"the coroutine cannot be closed: {error}") from error
        except Exception:  # ignored, as the garbage collector ignores what closing a coroutine raises
            pass
        flight.ended = True

    async def _all(self) -> None:
        await asyncio.gather(*self._tasks.values())

    async def _fly(self, flight: Flight) -> None:
        try:
            await self._guarded(flight)
        except BaseException as error:
            flight.error = error
        flight.ended = True


async def _async_body(flight: Flight) -> str:
    flight.entered = True
    while flight.orders.empty():
        await asyncio.sleep(0)
    error = flight.orders.get_nowait()
    if error is not None:
        raise error
    return _VALUE
