"""Guarded generators: the state of a stream from its first item to its end, for the wrapper and both runners.

The call of a guarded generator function has three phases:

1. **Open.** The runner fetches the first item: that is the attempt. A failure is retried, rejected or replaced as that
   of any call. A success has an `OpenStream` as its outcome, which passes all policies: they stay suspended at their
   `Proceed`, and keep the permits and slots that they have taken.
2. **Stream.** The wrapper, a generator itself, takes the items out of it by `start_iteration` and hands them to the
   consumer one by one. No item can be taken back, so the call cannot be run again from here on.
3. **End.** `finish` gives the call the outcome of the stream, with which the runner resumes the policies. A stream that
   is cancelled, or dropped by its consumer, has none: `cancel` closes the policies as for any cancelled call.

The generator's code may need another environment than its consumer's: a worker thread where items have a time limit, a
copied context that stays the same from item to item, the calls of the circuits that have admitted it. `TimedGenerator`,
`AdmittedGenerator` and their async twins provide it, and otherwise behave as the generator that they wrap.
"""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextvars import Context
from types import GeneratorType
from typing import Any, TypeAlias

from resilience._deadline_context import ActiveDeadline, DeadlineScope, current_deadline
from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome, set_traceback
from resilience._runtime.circuit_context import Note, calls_here, reenter, restore, still_running
from resilience._runtime.cut_off import CutOff
from resilience._runtime.protocol import NO_POLICIES, Call, Policy, Proceed, Race
from resilience._runtime.steps import close, cut_off
from resilience._runtime.thread_timeout import Drive
from resilience._runtime.time_limits import AsyncDrive, run_with_timeout, run_with_timeout_async
from resilience._runtime.tracebacks import drop_frame, result_of
from resilience.clock import current_clock

__all__ = [
    "ItemFailed",
    "OpenStream",
    "TimedAsyncGenerator",
    "TimedGenerator",
    "cancel",
    "finish",
    "is_open_stream",
    "may_open_stream",
    "start_iteration",
]

_Generator: TypeAlias = "GeneratorType[object, object, object]"
_AsyncGenerator: TypeAlias = AsyncGenerator[object, object]
_LATE = (TIMED_OUT, DEADLINE_EXCEEDED)


class OpenStream:
    """An opened stream: its *first* item and the *items* after it, passed from the runner to the wrapper.

    Sync items that ran in a thread go on in a *context* of their own, where the variables they set are still set.

    It owns the suspended policies until `detach`. One that comes too late, since the caller of a worker thread has
    left, is collected instead, which closes the policies and the items.
    """

    __slots__ = ("_call", "_depth", "_forks", "context", "first", "items")

    def __init__(self, first: object, items: object, context: Context | None = None) -> None:
        self.first: Any = first
        self.items: Any = items
        self.context: Context | None = context
        #: The call whose policies are suspended for it, and the depth of the outermost of these policies.
        self._call: Call | None = None
        self._depth = 0
        #: The parts of that call in which some of the policies began, in another thread or task.
        self._forks: list[Call] = []

    def rebind(self, call: Call, depth: int) -> None:
        """Hand the suspended policies over to *call*, from *depth* inwards, which may run in another thread."""
        if self._call is not None and self._call is not call:
            call.suspended += self._call.suspended
            self._call.suspended = []
            self._forks.append(self._call)
        self._call, self._depth = call, depth

    def detach(self) -> tuple[Any, Any]:
        """Return the items and the first one, which the caller owns from now on, together with the policies.

        For all of the policies the stream has started.
        """
        for fork in self._forks:
            fork.streaming_started = True
        items, first = self.items, self.first
        self._call = self.items = self.first = None
        return items, first

    async def discard(self) -> None:
        """Close an async stream that was opened too late to be handed out, and the policies around it."""
        call, depth, items = self._call, self._depth, self.items
        self._call = self.items = self.first = None
        try:
            await items.aclose()
        finally:
            if call is not None:
                close(call.suspended, depth - call.base)

    def __del__(self) -> None:
        """Give back what policies hold for a stream that came too late: it will not be handed out."""
        if self._call is None:
            return
        close(self._call.suspended, self._depth - self._call.base)
        if self.context is not None:
            self.context.run(self.items.close)


class ItemFailed(Exception):
    """Carries the outcome of fetching an item from here to the wrapper. Never reaches a caller.

    Where the time ran out, it is for the policies above the depth *at*.
    """

    def __init__(self, outcome: Outcome, at: int) -> None:
        super().__init__()
        self.outcome = outcome
        self.at = at


# -- from the runner to the wrapper, and back ------------------------------------------------------------------------


def may_open_stream(effect: object, call: Call) -> bool:
    """Whether the answer of *effect* may be an `OpenStream`: copies of *call*, which opens one, ran side by side."""
    return call.opener is not None and isinstance(effect, Race)


def is_open_stream(outcome: Outcome, call: Call, depth: int) -> bool:
    """Whether *outcome* is an `OpenStream`, and no result of an empty or ended stream; if so, rebind it to *call*."""
    opened: Any = outcome.value
    if opened.__class__ is not OpenStream:
        return False
    opened.rebind(call, depth)
    return True


def start_iteration(call: Call, outcome: Outcome, drive: Any, *, asynchronously: bool) -> tuple[Any, Any]:
    """Begin to stream: return the items, wrapped where they need an environment of their own, and the first one."""
    opened: Any = outcome.value
    context = opened.context
    items, first = opened.detach()
    admitted, limited = _RELAYS[asynchronously]
    inside = [each for each in still_running(calls_here()) if not any(each is other for other in call.enclosing)]
    if inside:  # the consumer's code belongs to none of them
        restore(call.enclosing)
        items = admitted(items, inside)
    call.streaming_started = True
    proceed, at = _item_limit(call.stack)
    if proceed is not None or context is not None:
        items = limited(items, call.target, drive, proceed, at, context)
    return items, first


def _item_limit(stack: Sequence[Policy]) -> tuple[Proceed | None, int]:
    """Return the shortest time limit on an item, and the depth inside the policy that sets it."""
    limits = [(policy.item_timeout, -at) for at, policy in enumerate(stack) if policy.item_timeout is not None]
    if not limits:
        return None, 0
    timeout, at = min(limits)  # of those that are alike the innermost, as for limits
    return Proceed(timeout), 1 - at


def finish(call: Call, value: object = None, error: Exception | None = None) -> int:
    """Give *call* the outcome of its stream, for its policies; return the depth from which it is driven outwards."""
    if isinstance(error, ItemFailed):
        return _item_failed(call, error.outcome, error.at)
    if error is not None:
        drop_frame(error)  # the wrapper's: it raises the error itself in the end
        _leave_out_our_frames(error)
    call.initial_outcome = Outcome(value, error)
    return len(call.stack)


def _item_failed(call: Call, outcome: Outcome, at: int) -> int:
    """Give *call* the outcome of an item that failed, or that a limit of the policy above the depth *at* cut off.

    Policies inside that limit are closed and sent nothing: the call was cancelled for them.
    """
    call.initial_outcome = outcome
    if outcome in _LATE:
        call.ended_by = CutOff.TIMED_OUT
        close(call.suspended, at)
        return at
    if outcome.error is not None:
        _leave_out_our_frames(outcome.error)
    return len(call.stack)


def cancel(call: Call) -> None:
    """Close all policies around a stream, which the exception being handled has cut off."""
    cut_off(call, 0, sys.exception())


def _leave_out_our_frames(error: BaseException) -> None:
    """Drop the frames of this module from the beginning of the traceback of *error*.

    A traceback shows one frame of the toolkit, the wrapper's, and then the user's generator.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    set_traceback(error, trace)


def _is_answer(outcome: Outcome, stop: type[Exception]) -> bool:
    """Whether a generator answered in time: with an item, or, by *stop*, that there are no more."""
    if outcome in _LATE:
        return False
    return outcome.error is None or isinstance(outcome.error, stop)


# -- generators around the user's generator --------------------------------------------------------------------------


class _Relay(Iterator[object]):
    """A generator around another one, whose code it runs in its own environment, by `_run`; for ``yield from``."""

    __slots__ = ("_items",)

    def __init__(self, items: _Generator) -> None:
        self._items = items

    @property
    def gi_running(self) -> bool:
        return self._items.gi_running

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        return self._fetch(self._items.send, value)

    def throw(self, error: BaseException) -> object:
        return self._fetch(self._items.throw, error)

    def close(self) -> None:
        self._run(self._items.close)

    def _fetch(self, method: Callable[..., object], argument: object) -> object:
        """Return the next item."""
        return self._run(method, argument)

    def _run(self, method: Callable[..., object], *arguments: object) -> object:
        """Run the generator's own code."""
        raise NotImplementedError


class _AsyncRelay:
    """The twin of `_Relay` for async generators."""

    __slots__ = ("_items",)

    def __init__(self, items: _AsyncGenerator) -> None:
        self._items = items

    async def asend(self, value: object) -> object:
        return await self._fetch(self._items.asend, value)

    async def athrow(self, error: BaseException) -> object:
        return await self._fetch(self._items.athrow, error)

    async def aclose(self) -> None:
        await self._items.aclose()

    async def _fetch(self, method: Callable[..., Awaitable[object]], argument: object) -> object:
        """Return the next item."""
        raise NotImplementedError


class AdmittedGenerator(_Relay):
    """A generator whose code, not its consumer's, belongs to the calls *inside*."""

    __slots__ = ("_inside",)

    def __init__(self, items: _Generator, inside: Sequence[Note]) -> None:
        super().__init__(items)
        self._inside = inside

    def _run(self, method: Callable[..., object], *arguments: object) -> object:
        before = reenter(self._inside)
        try:
            return method(*arguments)
        finally:
            restore(before)


class AdmittedAsyncGenerator(_AsyncRelay):
    """An async generator whose code, not its consumer's, belongs to the calls *inside*."""

    __slots__ = ("_inside",)

    def __init__(self, items: _AsyncGenerator, inside: Sequence[Note]) -> None:
        super().__init__(items)
        self._inside = inside

    async def aclose(self) -> None:
        await self._run(self._items.aclose)

    async def _fetch(self, method: Callable[..., Awaitable[object]], argument: object) -> object:
        return await self._run(method, argument)

    async def _run(self, method: Callable[..., Awaitable[object]], *arguments: object) -> object:
        before = reenter(self._inside)
        try:
            return await method(*arguments)
        finally:
            restore(before)


class TimedGenerator(_Relay):
    """A generator whose items are limited, or that runs in a *context* of its own.

    An item is fetched as a call without policies, under the limit. Where that fails, or comes too late, the generator
    is closed, and `ItemFailed` carries the outcome to the wrapper.
    """

    __slots__ = ("_at", "_context", "_drive", "_proceed", "_target")

    def __init__(
        self,
        items: _Generator,
        target: str,
        drive: Drive,
        proceed: Proceed | None,
        at: int,
        context: Context | None,
    ) -> None:
        super().__init__(items)
        self._target = target
        self._drive = drive
        self._proceed = proceed
        self._at = at
        self._context = context

    def _fetch(self, method: Callable[..., object], argument: object) -> object:
        call = Call(self._target, self._run, (method, argument))
        outcome = self._outcome_of(call)
        try:
            if _is_answer(outcome, StopIteration):
                return result_of(outcome)
            self._close_unless_running()
            raise ItemFailed(outcome, self._at)
        finally:
            del call, outcome

    def _outcome_of(self, call: Call) -> Outcome:
        if self._proceed is None:
            return self._drive(NO_POLICIES, 0, call, 0)
        return run_with_timeout(self._drive, NO_POLICIES, 0, self._proceed, call)

    def _run(self, method: Callable[..., object], *arguments: object) -> object:
        """Run the generator's code in its own context, with the deadline that is in force for the item."""
        if self._context is None:
            return method(*arguments)
        clock = current_clock()
        return self._context.run(
            _with_deadline, current_deadline(clock) or ActiveDeadline(math.inf, clock), method, *arguments
        )

    def _close_unless_running(self) -> None:
        """Close the generator, unless it runs in a thread that was left behind.

        It closes itself when that comes back, since nothing refers to it any more.
        """
        try:
            if not self._items.gi_running:
                self.close()
        except ValueError:
            if not self._items.gi_running:
                raise


def _with_deadline(due: ActiveDeadline, method: Callable[..., object], *arguments: object) -> object:
    """Run *method* in a generator's own context, where the deadline that is in force here is not set."""
    announcement = DeadlineScope(due)
    try:
        try:
            announcement.begin()
            return method(*arguments)
        finally:
            announcement.end()
    finally:
        announcement.end()


class TimedAsyncGenerator(_AsyncRelay):
    """An async generator whose items are limited, as those of `TimedGenerator` are."""

    __slots__ = ("_at", "_drive", "_proceed", "_target")

    def __init__(
        self, items: _AsyncGenerator, target: str, drive: AsyncDrive, proceed: Proceed, at: int, _context: None
    ) -> None:
        super().__init__(items)
        self._target = target
        self._drive = drive
        self._proceed = proceed
        self._at = at

    async def _fetch(self, method: Callable[..., object], argument: object) -> object:
        call = Call(self._target, method, (argument,))
        outcome = await run_with_timeout_async(self._drive, NO_POLICIES, 0, self._proceed, call)
        try:
            if _is_answer(outcome, StopAsyncIteration):
                return result_of(outcome)
            await self._items.aclose()  # where the time was over before it was asked: else it has ended
            raise ItemFailed(outcome, self._at)
        finally:
            del call, outcome


_RELAYS: dict[bool, tuple[Callable[..., object], Callable[..., object]]] = {
    False: (AdmittedGenerator, TimedGenerator),
    True: (AdmittedAsyncGenerator, TimedAsyncGenerator),
}
"""By whether the generator is async: what keeps the circuits' calls around its code, and what limits its items."""
