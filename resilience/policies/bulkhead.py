"""Bulkhead: so many calls of a dependency at a time, a short queue for those that come meanwhile, and an end to both.

A dependency that slows down fills every thread and every connection of its caller, unless the calls to it are limited.
The limit alone does not help: calls that wait without bound are answered when their callers have left. So the queue is
bounded, serves the newest call first once it stands, and a call that cannot be done by its deadline is refused at once.

`Slots` has the slots, the queue, and how long the last calls took. `Bulkhead` is the policy; with ``key=`` there is one
`_Compartment` for each key. A call that finds a free slot takes it on the fast path (`Limiter`), unless there are keys.
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable, Generator, Hashable, Sequence
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypedDict

from resilience._keywords import answers_unknown_keywords
from resilience._listeners import has_listeners
from resilience._outcome import Outcome
from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Acquire, Call, Effect, Emit, Limiter
from resilience._runtime.slots import Slots
from resilience._runtime.worst_case import WorstCase
from resilience._validation import given_options, optional, parse_count, parse_duration, require
from resilience.errors.base import BulkheadFullError
from resilience.policies._keyed import Keyed, parse_key
from resilience.policies.base import Policy, Steps

__all__ = ["Bulkhead", "BulkheadSnapshot", "bulkhead"]

Order: TypeAlias = Literal["adaptive", "oldest", "newest"]

_MIN_QUEUE = 10

_FULL = "its queue is full"
_LATE = "a slot would come too late"
_WAITED = "no slot became free in time"
_NESTED = "the call already has a slot, and no other is free"


class BulkheadSnapshot(TypedDict):
    """The load of a bulkhead: calls that may be in flight, that are, that wait, and that it has refused so far."""

    limit: int
    in_flight: int
    queued: int
    rejected: int


class _Compartment:
    """The slots of a bulkhead, or of one of its keys, and what can be expected of them."""

    __slots__ = ("rejected", "slots")

    def __init__(self, limit: int, max_queue: int, order: str) -> None:
        self.slots = Slots(limit, max_queue=max_queue, order=order)
        #: The number of calls that were refused. Threads may lose one to each other: it is for reading, no more.
        self.rejected = 0

    @property
    def is_idle(self) -> bool:
        return self.slots.free == self.slots.limit and not self.slots.waiting

    def expected_wait(self) -> float | None:
        """Return after how many seconds a further call can expect a slot; None where no call has ended yet.

        Slots become free at the rate *limit* / mean duration. Those that come first in the queue take one each.
        """
        durations = self.slots.durations.copy()
        if not durations:
            return None
        ahead = self.slots.waiting
        if self.slots.newest_first:
            ahead = 0
        return (ahead + 1) * statistics.fmean(durations) / self.slots.limit

    def comes_too_late(self, call: Call, max_wait: float) -> bool:
        """Whether a slot can be expected only after *max_wait*, or too late for the call to end by its deadline."""
        wait = self.expected_wait()
        if wait is None or not self.slots.max_queue:
            return False
        if wait > max_wait:
            return True
        return call.due < math.inf and call.lacks_time(wait + statistics.median(self.slots.durations.copy()))


class Bulkhead(Policy):
    """Make at most *limit* calls at a time; keep a short queue for further ones, and refuse the rest.

    Use it as a decorator of functions, methods, classes and generator functions, as a block, or in a `Pipeline`. One
    object counts the calls of all threads, event loops and trio together. A call holds its slot from its beginning to
    its end, a stream until its items have ended. Waiting for a slot counts against the call's deadline, and not against
    the time limit of an attempt, which stands inside.

    Args:
        name: the dependency's name, for errors, events and logs.
        limit: the calls that may be in flight.
        max_queue: the calls that may wait; twice the limit and at least 10 unless given. 0: none.
        max_wait: the longest wait for a slot, in seconds; unless given, up to the call's deadline.
        order: which call gets the next slot: the "oldest", the "newest", or, "adaptive", the oldest until calls have
            been waiting for 100 ms without a break, and from then on the newest, while as many wait as there are slots.
        key: a function of the call's arguments: each key has slots, and a queue, of its own.
        max_keys: the keys that are kept; of those that are idle the one unused for longest is dropped.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.

    A refused call raises `BulkheadFullError`, of the category REJECTED: no circuit counts it, no retry repeats it at
    once. It is refused at once where the queue is full; where, as long as calls have taken of late, a slot would come
    after *max_wait* or too late to end by the deadline; and where the call itself runs inside one that has a slot, and
    no other is free: it would wait for itself.

    Raises TypeError or ValueError, where it is written, for invalid options.

    >>> @bulkhead("stock", 20)
    ... def stock(item: str) -> int:
    ...     return 7
    >>> stock("lamp")
    7
    """

    guards_local_methods = False
    place: Place | None = Place.BULKHEAD

    @answers_unknown_keywords("bulkhead")
    def __init__(
        self,
        name: str,
        limit: int,
        *,
        max_queue: int | None = None,
        max_wait: float | timedelta | None = None,
        order: Order = "adaptive",
        key: Callable[..., Hashable] | None = None,
        max_keys: int = 1024,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        require(isinstance(name, str), "name", name, "the dependency's name as text, such as 'stock'", TypeError)
        require(bool(name.strip()), "name", name, "the dependency's name, such as 'stock'")
        self.name: str = name
        self.limit: int = parse_count("limit", limit)
        self.max_queue: int | None = max_queue
        self.max_wait: float | None = optional(parse_duration, "max_wait", max_wait)
        self.order: Order = order
        self.methods: MethodSelection | None = select_methods(only, exclude)
        self.key: Callable[..., Hashable] | None = key
        optional(parse_key, "key", key)
        self._queue = max(_MIN_QUEUE, 2 * self.limit)
        if max_queue is not None:
            self._queue = max_queue
        self._compartment = self._new_compartment()  # without a key all calls go here; it checks the rest
        self._keyed = Keyed(self._new_compartment, parse_count("max_keys", max_keys), _is_idle, self._title)
        if self.key is None:
            self.fast_path: bool = True
            self.fast_path_limiter: Limiter | None = self._compartment.slots

    def _new_compartment(self) -> _Compartment:
        return _Compartment(self.limit, self._queue, self.order)

    def _title(self) -> str:
        return f"bulkhead {self.name!r}"

    def of(self, key: Hashable) -> Bulkhead:
        """Return a bulkhead for the calls of one *key*: it has the slots that these calls have here.

        >>> hosts = bulkhead("the web", 2, key=lambda host: host)
        >>> hosts.of("shelf.example").call(len, "lamp")
        4
        """
        if self.key is None:
            return self
        one = copy.copy(self)
        one.key = None
        one._compartment = self._keyed.of(key)
        one.fast_path, one.fast_path_limiter = True, one._compartment.slots
        return one

    def state_of(self, key: Hashable) -> object:
        """Return the state of a *key*: while it is the same object, so are the slots of `of`."""
        return self._keyed.of(key)

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps:
        """Make *call* in a slot; wait for one, or refuse the call."""
        compartment = self._compartment
        if self.key is not None:
            try:
                compartment = self._keyed.of_call(call, self.key)
            except Exception as error:  # of the key, or of its function
                return Outcome.failed(error)
        call.notes[self] = compartment
        slots = compartment.slots
        permit = call.take_permit(self.fast_path_limiter) or [None, None, None]
        # A call that the fast path has admitted has its slot; or needs none, as a circuit inside has rejected it.
        acquires = not call.admitted
        if acquires:
            refusal = yield from self._acquire(compartment, call)
            if refusal is not None:
                return refusal
        try:
            if acquires:
                slots.hold(permit, call.waiter)
            outcome: Outcome = yield PROCEED
            return outcome
        finally:
            try:
                slots.leave(permit)
            except BaseException:  # Ctrl-C as it begins
                slots.leave(permit)
                raise

    def _acquire(self, compartment: _Compartment, call: Call) -> Generator[Effect, Any, Outcome | None]:
        """Take a slot for *call*, and wait for it; return a refusal where it gets none in time."""
        slots = compartment.slots
        if (yield Acquire(slots, 0.0)):
            return None
        reason, due = self._refuses(compartment, call), self._waits_until(call)
        if reason is None:
            if (yield Acquire(slots, self.max_wait)):
                return None
            reason = _FULL
            if call.clock.now() >= due:
                reason = _WAITED
        return (yield from self._reject(compartment, call, reason))

    def _waits_until(self, call: Call) -> float:
        """Return when *call* stops to wait for a slot, by its clock."""
        if self.max_wait is None:
            return call.due
        return min(call.clock.now() + self.max_wait, call.due)

    def _refuses(self, compartment: _Compartment, call: Call) -> str | None:
        """Return why *call* must not even wait for a slot; None where it may."""
        if compartment.slots.is_held_here():
            return _NESTED  # it would wait for itself
        if compartment.comes_too_late(call, self.max_wait or math.inf):
            return _LATE
        return None

    def _reject(self, compartment: _Compartment, call: Call, reason: str) -> Steps:
        compartment.rejected += 1
        retry_after = compartment.expected_wait()
        error = BulkheadFullError(self.name, self.limit, compartment.slots.waiting, reason, retry_after)
        if has_listeners():
            from resilience.events import CallRejected

            wait = retry_after or 0.0
            yield Emit(CallRejected(target=call.target, policy=self.name, retry_after=wait, kind="bulkhead"))
        return Outcome.failed(error)

    # -- what is known of it -------------------------------------------------------------------------------------

    def snapshot(self) -> BulkheadSnapshot:
        """Return the load now, of all keys together.

        >>> bulkhead("stock", 20).snapshot()
        {'limit': 20, 'in_flight': 0, 'queued': 0, 'rejected': 0}
        """
        compartments = [self._compartment, *(compartment for _, compartment in self._keyed.items())]
        slots = [each.slots for each in compartments]
        return {
            "limit": self.limit,
            "in_flight": sum(each.limit - each.free for each in slots),
            "queued": sum(each.waiting for each in slots),
            "rejected": sum(each.rejected for each in compartments),
        }

    def status(self, call: Call) -> str | None:
        """Return the load of the slots that the call asked for, for its note."""
        compartment = call.notes.get(self)
        if not isinstance(compartment, _Compartment):  # the call did not get so far
            return None
        slots = compartment.slots
        return f"{self._title()} {slots.limit - slots.free} of {slots.limit} in flight, {slots.waiting} queued"

    def has_queue(self, call: Call) -> bool:
        """Whether calls wait for the slots that *call* asked for."""
        compartment = call.notes.get(self)
        return isinstance(compartment, _Compartment) and compartment.slots.waiting > 0

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*, after the longest wait for a slot: without *max_wait* any time, up to the deadline."""
        wait = math.inf
        if self.max_wait is not None:
            wait = self.max_wait
        return inside._replace(waits=inside.waits + wait, seconds=inside.seconds + wait)

    def __str__(self) -> str:
        options = given_options(max_queue=self.max_queue, max_wait=self.max_wait)
        shown = [f"{name}={value:g}" for name, value in options.items()]
        if self.order != "adaptive":
            shown.append(f"order={self.order!r}")
        per_key = "" if self.key is None else " per key"
        return f"bulkhead({', '.join([repr(self.name), str(self.limit), *shown])}){per_key}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _is_idle(compartment: _Compartment) -> bool:
    return compartment.is_idle


bulkhead = Bulkhead
"""The bulkhead, as a decorator is named."""
