"""Bulkhead: so many calls of a dependency at a time, a short queue for those that come meanwhile, and an end to both.

The number is the user's; `adaptive_limit` finds it. Both take a call through `SlotPolicy`. A call that finds a free
slot takes it on the fast path (`Limiter`), unless there are keys, each of which has slots of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias, TypedDict

from resilience._keywords import answers_unknown_keywords
from resilience._runtime.slots import Slots
from resilience._validation import given_options, parse_count
from resilience.errors.base import BulkheadFullError
from resilience.policies._living import Living
from resilience.policies._slot_policy import SlotPolicy, queue_for

__all__ = ["Bulkhead", "BulkheadSnapshot", "bulkhead", "bulkheads"]

Order: TypeAlias = Literal["adaptive", "oldest", "newest"]

_NO_FLEET = (
    "a bulkhead counts the calls of its own process; give each process its share of what the dependency bears,"
    " or share a quota by rate_limit(..., fleet=fleet)"
)


class BulkheadSnapshot(TypedDict):
    """The load of a bulkhead: calls that may be in flight, that are, that wait, and that it has refused so far."""

    limit: int
    in_flight: int
    queued: int
    rejected: int


class Bulkhead(SlotPolicy[Slots]):
    """Make at most *limit* calls at a time; keep a short queue for further ones, and refuse the rest.

    Use it as a decorator of functions, methods, classes and generator functions, as a block, or in a `Pipeline`. One
    object counts the calls of all threads, event loops and trio together. A call holds its slot from its beginning to
    its end, a stream until its items have ended. Waiting for a slot counts against the call's deadline, and not against
    the time limit of an attempt, which stands inside.

    Args:
        name: the dependency's name, for errors, events and logs.
        limit: the calls that may be in flight.
        max_queue: the calls that may wait; twice the limit and at least 10 unless given. 0: none. While the newest call
            is served first, a further one takes the place of the oldest in a full queue.
        max_wait: the longest wait for a slot, in seconds; unless given, up to the call's deadline.
        order: which call gets the next slot: the "oldest", the "newest", or, "adaptive", the oldest until calls have
            been waiting for 100 ms without a break, and from then on the newest, while as many wait as there are slots.
        key: a function of the call's arguments: each key has slots, and a queue, of its own.
        max_keys: the keys that are kept; of those that are idle the one unused for longest is dropped.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.

    A refused call raises `BulkheadFullError`, of the category REJECTED: no circuit counts it, no retry repeats it at
    once. It is refused at once where the queue is full; where, as long as calls have taken of late, a slot would come
    after *max_wait* or too late to end by the deadline; and where the call itself runs inside one that has a slot, and
    no other is free: it would wait for itself. The `retry_after` of the error follows from the last 64 calls; of calls
    that take less than a millisecond one in sixteen is timed.

    A call that finds a free slot costs less than a microsecond: the decorated function takes it by itself, without the
    policy being run. With *key*, in blocks and around streams the policy is run, for some microseconds.

    Raises TypeError or ValueError, where it is written, for invalid options.

    >>> @bulkhead("stock", 20)
    ... def stock(item: str) -> int:
    ...     return 7
    >>> stock("lamp")
    7
    """

    kind = "bulkhead"

    @answers_unknown_keywords("bulkhead", fleet=_NO_FLEET)
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
        self.limit: int = parse_count("limit", limit)
        self.order: Order = order
        super().__init__(
            name, max_queue=max_queue, max_wait=max_wait, key=key, max_keys=max_keys, only=only, exclude=exclude
        )
        _bulkheads.add(self)

    def _new_slots(self) -> Slots:
        max_queue = queue_for(self.limit)
        if self.max_queue is not None:
            max_queue = self.max_queue
        return Slots(self.limit, max_queue=max_queue, order=self.order)

    def _resize(self, slots: Slots) -> None:
        fresh = self._new_slots()
        slots.max_queue, slots.order = fresh.max_queue, fresh.order
        slots.resize(self.limit)

    def _error(self, slots: Slots, reason: str, retry_after: float | None) -> BulkheadFullError:
        return BulkheadFullError(self.name, self.limit, slots.waiting, reason, retry_after)

    @property
    def max_in_flight(self) -> int:
        """The calls that can be in flight at most: *limit* of one key."""
        return self.limit

    def snapshot(self) -> BulkheadSnapshot:
        """Return the load now, of all keys together.

        >>> bulkhead("stock", 20).snapshot()
        {'limit': 20, 'in_flight': 0, 'queued': 0, 'rejected': 0}
        """
        compartments = self._compartments()
        return {
            "limit": self.limit,
            "in_flight": sum(each.in_flight for each in compartments),
            "queued": sum(each.slots.waiting for each in compartments),
            "rejected": sum(each.rejected for each in compartments),
        }

    def __str__(self) -> str:
        options = given_options(max_queue=self.max_queue, max_wait=self.max_wait)
        shown = [f"{name}={value:g}" for name, value in options.items()]
        if self.order != "adaptive":
            shown.append(f"order={self.order!r}")
        return self._described(str(self.limit), *shown)


_bulkheads = Living[Bulkhead]()


def bulkheads() -> list[Bulkhead]:
    """Return all bulkheads of this process, for the admin page."""
    return _bulkheads.all()


bulkhead = Bulkhead
"""The bulkhead, as a decorator is named."""
