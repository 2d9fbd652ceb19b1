"""The journal of an admin application: the last events, feeds of new ones for open pages, and counts of rejections.

It holds what `Event.fields` has, which is safe to show: no argument, no message, no secret. All of it is bounded, since
it lives as long as the program: 500 events of each of two groups, 200 that a page has not read, 500 pairs of a policy
and a function whose rejections are counted.
"""

from __future__ import annotations

import dataclasses
import heapq
import operator
import os
import threading
from collections import deque
from collections.abc import Callable

from resilience._forks import fork_safe
from resilience._listeners import subscribe
from resilience.clock import current_clock
from resilience.events import CallRejected, Event

__all__ = ["Entry", "Feed", "Journal"]

_KEPT = 500
_MAX_WAITING = 200  # events that a page has not read yet; older ones are dropped
_MAX_REJECTING = 500  # pairs of a policy and a function whose rejections are counted apart
_NOTABLE = ("circuit.", "configuration.", "fleet.")
_OTHERS = "(others)"

Entry = dict[str, object]


class Feed:
    """New events for one page, in order. *wake* is called, from any thread, when there is one.

    Emitters put, one page takes: a deque needs no lock for that. A page that does not read loses the oldest events, and
    never holds up an emitter.

    >>> feed = Feed(wake=lambda: print("new"))
    >>> feed.put({"number": 1})
    new
    >>> feed.take(), feed.take()
    ([{'number': 1}], [])
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake: Callable[[], object] = wake
        self.waiting: deque[Entry] = deque(maxlen=_MAX_WAITING)

    def put(self, entry: Entry) -> None:
        """Add an event. The oldest is dropped where the page does not keep up."""
        self.waiting.append(entry)
        self.wake()

    def take(self) -> list[Entry]:
        """Return what has come since the last time."""
        taken: list[Entry] = []
        while self.waiting:
            taken.append(self.waiting.popleft())
        return taken


@dataclasses.dataclass(slots=True)
class _Rejections:
    """The calls of a function that a policy has rejected: their number, and when it was last, in seconds since 1970."""

    number: int = 0
    shadow: int = 0
    last: float = 0.0


class Journal:
    """Subscribes to all events of the process. Keeps the last 500 of circuits, fleets and configuration, and of others.

    The two are kept apart, since a flood of rejections must not push out the transition that has led to it. With a
    subscriber, circuits reject and retries report through their events: an open admin application costs what any
    subscriber does, whether a page is open or not.

    Events are added in the thread that emits them, under a lock that is held for a few assignments; feeds are filled
    outside of it. Each event has a number, by which pages ask for those that follow. The numbers begin at 1 in each
    process.
    """

    def __init__(self) -> None:
        #: The last events by whether they are of circuits, fleets and configuration.
        self._kept: dict[bool, deque[Entry]] = {True: deque(maxlen=_KEPT), False: deque(maxlen=_KEPT)}
        self._rejections: dict[tuple[str, str, str], _Rejections] = {}
        self._feeds: set[Feed] = set()
        # The collector may run while it is held, and with it a destructor that emits.
        self._lock = fork_safe(threading.RLock())
        self._number = 0
        self._subscription = subscribe(self._add)

    def _add(self, event: Event) -> None:
        """Add an event: number it, keep it, count it where it is a rejection, and hand it to the open pages."""
        at = round(current_clock().wall(), 3)
        with self._lock:
            self._number += 1
            entry: Entry = {
                "number": self._number,
                "pid": os.getpid(),
                "at": at,
                "event": event.name,
                "level": event.severity.value,
                **event.fields(),
            }
            self._kept[event.name.startswith(_NOTABLE)].append(entry)
            if isinstance(event, CallRejected):
                self._count(event, at)
            feeds = list(self._feeds)
        for feed in feeds:
            feed.put(entry)

    def _count(self, event: CallRejected, at: float) -> None:
        """Count a rejection, under the lock. Beyond 500 pairs of policy and function the function is not told apart."""
        key = (event.kind, event.policy, event.target)
        if key not in self._rejections and len(self._rejections) >= _MAX_REJECTING:
            key = (event.kind, _OTHERS, _OTHERS)
        found = self._rejections.setdefault(key, _Rejections())
        found.number += 1
        found.shadow += event.shadow
        found.last = at

    def entries(self, after: int = 0) -> list[Entry]:
        """Return the events kept, oldest first, that came *after* the one of that number.

        All of them, where the number is that of a process before this one: it has not been reached here.
        """
        with self._lock:
            if after > self._number:
                after = 0
            kept = list(heapq.merge(*self._kept.values(), key=operator.itemgetter("number")))
        return [entry for entry in kept if int(str(entry["number"])) > after]

    def rejections(self) -> list[Entry]:
        """Return which policies have rejected calls of which functions, the last one first."""
        with self._lock:
            found = [(key, dataclasses.replace(each)) for key, each in self._rejections.items()]
        found.sort(key=lambda each: -each[1].last)
        return [
            {"kind": kind, "policy": policy, "target": target, **dataclasses.asdict(each)}
            for (kind, policy, target), each in found
        ]

    def open(self, wake: Callable[[], object]) -> Feed:
        """Return a feed of the events to come."""
        feed = Feed(wake)
        with self._lock:
            self._feeds.add(feed)
        return feed

    def close_feed(self, feed: Feed) -> None:
        """End a feed: its page has gone."""
        with self._lock:
            self._feeds.discard(feed)

    @property
    def feeds(self) -> int:
        """How many pages read events as they come."""
        return len(self._feeds)

    def close(self) -> None:
        """Unsubscribe."""
        self._subscription()
