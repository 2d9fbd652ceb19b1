"""Generators as calls: opened by a driver as any call is made, on their way from their first item to their end.

To fetch the first item is the attempt: a failure before it is one like others. Once it is there the call is
`committed`: what its policies took they keep, and they are told of the end when it has come.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextvars import Context
from types import GeneratorType
from typing import Any, cast

from resilience._runtime.circuit_context import Admitted, admitted_here, reenter, restore
from resilience._runtime.protocol import NOBODY, Call, Proceed
from resilience._runtime.steps import close
from resilience._runtime.thread_timeout import Drive
from resilience._runtime.time_limits import AsyncDrive, run_limited, run_limited_async
from resilience.clock import current_clock
from resilience.due import Announcement, Due, due_here
from resilience.outcome import EXPIRED, OVERDUE, Outcome, set_traceback

__all__ = ["AsyncItems", "Broken", "Items", "Opened", "begin", "cut_short", "ended", "has_begun"]


class Opened:
    """A stream whose *first* item is there, with the *items* after it, on its way out to the wrapper that hands it out.

    Sync ones that ran in a thread go on in a *context* of their own, where what they set is still set.
    """

    __slots__ = ("_call", "_depth", "context", "first", "items")

    def __init__(self, first: object, items: object, context: Context | None = None) -> None:
        self.first: Any = first
        self.items: Any = items
        self.context: Context | None = context
        #: By which call, and from which depth on inwards, policies hold something for it.
        self._call: Call | None = None
        self._depth = 0

    def pass_out(self, call: Call, depth: int) -> None:
        """Come out to where *call* is driven from *depth* inwards: perhaps in another thread than it was further in."""
        if self._call is not None and self._call is not call:
            call.suspended += self._call.suspended
            self._call.suspended = []
        self._call, self._depth = call, depth

    def take(self) -> tuple[Any, Any]:
        """Return the items and the first one; from here on the taker answers for them."""
        items, first = self.items, self.first
        self._call = self.items = self.first = None
        return items, first

    def __del__(self) -> None:
        # It came too late: whoever waited for it has left this thread. No policy may wait for its end.
        call = self._call
        if call is not None:
            close(call.suspended, self._depth - call.base)
            if self.context is not None:
                self.context.run(self.items.close)


def has_begun(outcome: Outcome, call: Call, depth: int) -> bool:
    """Whether *outcome* is an `Opened` stream, and not an empty one, nor the end of one; if so, pass it out."""
    if outcome.value.__class__ is not Opened:
        return False
    opened: Any = outcome.value
    opened.pass_out(call, depth)
    return True


def begin(call: Call, outcome: Outcome, drive: Any, *, asynchronously: bool) -> tuple[Any, Any]:
    """Return the items of a stream that is handed out, as they are to be fetched, and the first one."""
    opened: Any = outcome.value
    context = opened.context
    items, first = opened.take()
    inside = [each for each in admitted_here() if each not in call.enclosing and each.by is not None]
    if inside:  # the consumer's code belongs to none of them
        restore(call.enclosing)
        items = cast("Any", AsyncAdmittedItems if asynchronously else AdmittedItems)(items, inside)
    call.committed = True
    idles = [(policy.item_timeout, -at) for at, policy in enumerate(call.stack) if policy.item_timeout is not None]
    pause, at = None, 0
    if idles:
        idle, at = min(idles)  # of those that are alike the innermost, as for limits
        pause, at = Proceed(idle), 1 - at
    if asynchronously:
        return (items if pause is None else AsyncItems(items, call.target, drive, pause, at)), first
    if pause is None and context is None:
        return items, first
    return Items(items, call.target, drive, pause, at, context), first


def ended(call: Call, value: object = None, error: Exception | None = None) -> int:
    """Give *call* the outcome its stream came to, as what is driven outwards first; return the depth to begin at."""
    at = len(call.stack)
    if isinstance(error, Broken):
        call.first = error.outcome
        if call.first.error is not None:
            _leave_out_our_frames(call.first.error)
        if error.at is not None:  # those inside the limit hear of nothing, as when a call is cancelled
            close(call.suspended, error.at)
            at = error.at
        return at
    if error is not None:
        _leave_out_our_frames(error, 1)  # the wrapper's own: it raises the error itself in the end
    call.first = Outcome(value, error)
    return at


def cut_short(call: Call) -> None:
    """Have all policies around a stream give back what they hold: it was cancelled, or the program ends."""
    close(call.suspended, 0)


def _leave_out_our_frames(error: BaseException, first: int = 0) -> None:
    trace = error.__traceback__
    while trace is not None and (first > 0 or trace.tb_frame.f_globals is globals()):
        first -= 1
        trace = trace.tb_next
    set_traceback(error, trace)


class Broken(Exception):
    """Carries what the fetching of an item came to from here to the wrapper. Never reaches a caller.

    Where the time ran out, it is for the policies above the depth *at*.
    """

    def __init__(self, outcome: Outcome, at: int | None) -> None:
        super().__init__()
        self.outcome = outcome
        self.at = at


class AdmittedItems(Iterator[object]):
    """A generator whose code, not its consumer's, belongs to the calls *inside*; else like it: for ``yield from``."""

    __slots__ = ("_inside", "_items")

    def __init__(self, items: GeneratorType[object, object, object], inside: Sequence[Admitted]) -> None:
        self._items = items
        self._inside = inside

    @property
    def gi_running(self) -> bool:
        return self._items.gi_running

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        return self._run(self._items.send, value)

    def throw(self, error: BaseException) -> object:
        return self._run(self._items.throw, error)

    def close(self) -> None:
        self._run(self._items.close)

    def _run(self, method: Callable[..., object], *arguments: object) -> object:
        before = reenter(self._inside)
        try:
            return method(*arguments)
        finally:
            restore(before)


class AsyncAdmittedItems:
    """An async generator whose code, not its consumer's, belongs to the calls *inside*; else like it."""

    __slots__ = ("_inside", "_items")

    def __init__(self, items: AsyncGenerator[object, object], inside: Sequence[Admitted]) -> None:
        self._items = items
        self._inside = inside

    async def asend(self, value: object) -> object:
        return await self._run(self._items.asend, value)

    async def athrow(self, error: BaseException) -> object:
        return await self._run(self._items.athrow, error)

    async def aclose(self) -> None:
        await self._run(self._items.aclose)

    async def _run(self, method: Callable[..., Awaitable[object]], *arguments: object) -> object:
        before = reenter(self._inside)
        try:
            return await method(*arguments)
        finally:
            restore(before)


class Items(Iterator[object]):
    """A generator whose items are limited, or that runs in a context of its own; else like it: for ``yield from``."""

    __slots__ = ("_at", "_context", "_drive", "_items", "_pause", "_target")

    def __init__(
        self,
        items: GeneratorType[object, object, object],
        target: str,
        drive: Drive,
        pause: Proceed | None,
        at: int,
        context: Context | None,
    ) -> None:
        self._items = items
        self._target = target
        self._drive = drive
        self._pause = pause
        self._at = at
        self._context = context

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        return self._fetch(self._items.send, value)

    def throw(self, error: BaseException) -> object:
        return self._fetch(self._items.throw, error)

    def close(self) -> None:
        self._run(self._items.close)

    def _fetch(self, method: Callable[..., object], argument: object) -> object:
        drive, pause = self._drive, self._pause
        call = Call(self._target, self._run, (method, argument))
        outcome = drive(NOBODY, 0, call, 0) if pause is None else run_limited(drive, NOBODY, 0, pause, call)
        late = outcome is EXPIRED or outcome is OVERDUE
        error = outcome.error
        try:
            if error is None and not late:
                return outcome.value
            if isinstance(error, StopIteration):
                raise error
            self._close_unless_running()
            raise Broken(outcome, self._at if late else None)
        finally:
            del call, outcome, error

    def _run(self, method: Callable[..., object], *arguments: object) -> object:
        if self._context is None:
            return method(*arguments)
        clock = current_clock()
        return self._context.run(_by, due_here(clock) or Due(math.inf, clock), method, *arguments)

    def _close_unless_running(self) -> None:
        # In the thread that was left behind: it closes itself when that comes back, and nobody has it any more.
        try:
            if not self._items.gi_running:
                self.close()
        except ValueError:
            if not self._items.gi_running:
                raise


def _by(due: Due, method: Callable[..., object], *arguments: object) -> object:
    """Run *method* in a generator's own context, which has not heard of how much time is left here."""
    announcement = Announcement(due)
    try:
        try:
            announcement.begin()
            return method(*arguments)
        finally:
            announcement.end()
    finally:
        announcement.end()


class AsyncItems:
    """An async generator whose items are limited; else like it."""

    __slots__ = ("_at", "_drive", "_items", "_pause", "_target", "aclose")

    def __init__(
        self, items: AsyncGenerator[object, object], target: str, drive: AsyncDrive, pause: Proceed, at: int
    ) -> None:
        self._items = items
        self._target = target
        self._drive = drive
        self._pause = pause
        self._at = at
        self.aclose: Callable[[], Awaitable[object]] = items.aclose

    async def asend(self, value: object) -> object:
        return await self._fetch(self._items.asend, value)

    async def athrow(self, error: BaseException) -> object:
        return await self._fetch(self._items.athrow, error)

    async def _fetch(self, method: Callable[..., object], argument: object) -> object:
        call = Call(self._target, method, (argument,))
        outcome = await run_limited_async(self._drive, NOBODY, 0, self._pause, call)
        late = outcome is EXPIRED or outcome is OVERDUE
        error = outcome.error
        try:
            if error is None and not late:
                return outcome.value
            if isinstance(error, StopAsyncIteration):
                raise error
            await self._items.aclose()  # where the time was over before it was asked: else it has ended
            raise Broken(outcome, self._at if late else None)
        finally:
            del call, outcome, error
