"""The common part of `bulkhead` and `adaptive_limit`: a call takes a slot, waits in a short queue, or is refused.

A dependency that slows down fills every thread and every connection of its caller, unless the calls to it are limited.
The limit alone does not help: calls that wait without bound are answered when their callers have left. So the queue is
bounded, serves the newest call first once it stands, and a call that cannot be done by its deadline is refused at once.

`Slots` has the slots, the queue, and how long the last calls took. A `Compartment` is what a policy, or one of its
keys, has of them; `SlotPolicy` takes a call through it.
"""

from __future__ import annotations

import copy
import math
import statistics
from abc import abstractmethod
from collections.abc import Callable, Generator, Hashable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from resilience._listeners import has_listeners
from resilience._outcome import Outcome
from resilience._priority_context import current_rank
from resilience._runtime.method_selection import MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Acquire, Call, Effect, Emit, Limiter, Permit
from resilience._runtime.slots import Slots
from resilience._runtime.worst_case import WorstCase
from resilience._validation import optional, parse_count, parse_duration, require
from resilience.errors.base import ResilienceError
from resilience.policies._keyed import Keyed, parse_key
from resilience.policies.base import Policy, Steps

__all__ = ["Compartment", "SlotPolicy", "queue_for"]

S = TypeVar("S", bound=Slots)

_MIN_QUEUE = 10

_FULL = "its queue is full"
_LATE = "a slot would come too late"
_WAITED = "no slot became free in time"
_NESTED = "the call already has a slot, and no other is free"


def queue_for(limit: int) -> int:
    """Return how many calls may wait where the user has not said it: twice as many as run, 10 at least."""
    return max(_MIN_QUEUE, 2 * limit)


class Compartment(Generic[S]):
    """The slots of a policy, or of one of its keys, and what can be expected of them."""

    __slots__ = ("rejected", "slots")

    def __init__(self, slots: S) -> None:
        self.slots: S = slots
        #: The number of calls that were refused. Threads may lose one to each other: it is for reading, no more.
        self.rejected: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether no call has a slot or waits for one."""
        return self.slots.free == self.slots.limit and not self.slots.waiting

    @property
    def in_flight(self) -> int:
        """How many calls have a slot."""
        return self.slots.in_flight

    def expected_wait(self) -> float | None:
        """Return after how many seconds a further call can expect a slot; None where no call has ended yet.

        Slots become free at the rate *limit* / mean duration. Those that come first in the queue take one each.
        """
        durations = self.slots.durations.copy()
        if not durations:
            return None
        ahead = self.slots.waiting_before(current_rank())
        return (ahead + 1) * statistics.fmean(durations) / self.slots.limit

    def comes_too_late(self, call: Call, max_wait: float) -> bool:
        """Whether a slot can be expected only after *max_wait*, or too late for the call to end by its deadline."""
        wait = self.expected_wait()
        if wait is None or not self.slots.max_queue:
            return False
        if wait > max_wait:
            return True
        return call.due < math.inf and call.lacks_time(wait + statistics.median(self.slots.durations.copy()))


class SlotPolicy(Policy, Generic[S]):
    """Base of the policies that make so many calls at a time. A subclass has the slots, and the error of a refusal.

    A call takes a slot, by itself on the fast path or by the effect `Acquire`; holds it until it ends, whatever the end
    is; and gives it back in a ``finally``. One that finds none free is refused at once where to wait would be in vain:
    the queue is full, a slot would come too late for `max_wait` or the deadline, or the call is made within one that
    has a slot, and would wait for itself. What belongs to one call is local to `run`; what the calls of one key share
    is their `Compartment`.
    """

    guards_local_methods = False
    place: Place | None = Place.BULKHEAD

    #: The name of the policy, in events and descriptions.
    kind: ClassVar[str]

    def __init__(
        self,
        name: str,
        *,
        max_queue: int | None,
        max_wait: float | timedelta | None,
        key: Callable[..., Hashable] | None,
        max_keys: int,
        only: Sequence[str] | None,
        exclude: Sequence[str],
    ) -> None:
        require(isinstance(name, str), "name", name, "the dependency's name as text, such as 'stock'", TypeError)
        require(bool(name.strip()), "name", name, "the dependency's name, such as 'stock'")
        self.name: str = name
        self.max_queue: int | None = max_queue
        self.max_wait: float | None = optional(parse_duration, "max_wait", max_wait)
        self.methods: MethodSelection | None = select_methods(only, exclude)
        self.key: Callable[..., Hashable] | None = key
        optional(parse_key, "key", key)
        self._compartment = self._new_compartment()  # without a key all calls go here; it checks the rest
        self._keyed = Keyed(self._new_compartment, parse_count("max_keys", max_keys), _is_idle, self._title)
        if self.key is None:
            self.fast_path: bool = True
            self.fast_path_limiter: Limiter | None = self._compartment.slots

    @abstractmethod
    def _new_slots(self) -> S:
        """Return the slots of the policy, or of a further key."""
        raise NotImplementedError

    @abstractmethod
    def _error(self, slots: S, reason: str, retry_after: float | None) -> ResilienceError:
        """Return the error of a call that is refused, for that *reason*."""
        raise NotImplementedError

    @property
    @abstractmethod
    def max_in_flight(self) -> int:
        """The calls that can be in flight at most, for `lint`."""
        raise NotImplementedError

    def _new_compartment(self) -> Compartment[S]:
        return Compartment(self._new_slots())

    def _compartments(self) -> list[Compartment[S]]:
        """Return the compartment of calls without a key, and those of all keys, the least recently used first."""
        return [self._compartment, *(compartment for _, compartment in self._keyed.items())]

    def _title(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.name!r}"

    def continuing(self, before: Self) -> Callable[[], None]:
        """Take over the slots of *before*, with the calls that hold them and wait for them.

        Returns what gives those slots the options of this policy, once that is to happen. Neither policy has a key.
        """
        self._compartment = before._compartment
        self.fast_path_limiter = self._compartment.slots
        return lambda: self._resize(self._compartment.slots)

    @abstractmethod
    def _resize(self, slots: S) -> None:
        """Give *slots* that are in use the options of this policy."""
        raise NotImplementedError

    def of(self, key: Hashable) -> Self:
        """Return a policy for the calls of one *key*: it has the slots that these calls have here.

        >>> from resilience import bulkhead
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

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> Steps:
        """Make *call* in a slot; wait for one, or refuse the call.

        A call that the fast path has admitted, and that has failed, brings its permit along.
        """
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
            outcome: Outcome = yield from self._make(call, slots, permit)
            return outcome
        finally:
            try:
                slots.leave(permit)
            except BaseException:  # Ctrl-C as it begins
                slots.leave(permit)
                raise

    def _make(self, call: Call, slots: S, permit: Permit) -> Steps:
        """Make *call*, which has a slot by its *permit*.

        A subclass that learns from how calls end overrides this; the slot is given back afterwards.
        """
        outcome: Outcome = yield PROCEED
        return outcome

    def _acquire(self, compartment: Compartment[S], call: Call) -> Generator[Effect, Any, Outcome | None]:
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

    def _refuses(self, compartment: Compartment[S], call: Call) -> str | None:
        """Return why *call* must not even wait for a slot; None where it may."""
        if compartment.slots.is_held_here():
            return _NESTED  # it would wait for itself
        if compartment.comes_too_late(call, self.max_wait or math.inf):
            return _LATE
        return None

    def _reject(self, compartment: Compartment[S], call: Call, reason: str) -> Steps:
        """Refuse *call* for that *reason*, and emit it."""
        compartment.rejected += 1
        retry_after = compartment.expected_wait()
        error = self._error(compartment.slots, reason, retry_after)
        if has_listeners():
            from resilience.events import CallRejected

            wait = retry_after or 0.0
            yield Emit(CallRejected(target=call.target, policy=self.name, retry_after=wait, kind=self.kind))
        return Outcome.failed(error)

    # -- what is known of it -------------------------------------------------------------------------------------

    def status(self, call: Call) -> str | None:
        """Return the load of the slots that the call asked for, for its note."""
        slots = self._slots_of(call)
        if slots is None:  # the call did not get so far
            return None
        return f"{self._title()} {slots.in_flight} of {slots.limit} in flight, {slots.waiting} queued"

    def has_queue(self, call: Call) -> bool:
        """Whether calls wait for the slots that *call* asked for."""
        slots = self._slots_of(call)
        return slots is not None and slots.waiting > 0

    def _slots_of(self, call: Call) -> Slots | None:
        compartment = cast("Compartment[S] | None", call.notes.get(self))
        if compartment is None:
            return None
        return compartment.slots

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*, after the longest wait for a slot.

        Without *max_wait* a call may wait for any time, up to its deadline.
        """
        wait = math.inf
        if self.max_wait is not None:
            wait = self.max_wait
        return inside._replace(waits=inside.waits + wait, seconds=inside.seconds + wait)

    def _described(self, *shown: str) -> str:
        """Return the policy as it would be written, with the options that are *shown* after its name."""
        per_key = "" if self.key is None else " per key"
        return f"{self.kind}({', '.join([repr(self.name), *shown])}){per_key}"

    def __repr__(self) -> str:
        return f"<{self}>"


def _is_idle(compartment: Compartment[Any]) -> bool:
    return compartment.is_idle
