"""The journal of an admin application: the last events, and a queue of new ones for each open page.

It holds what `Event.fields` has, which is safe to show: no argument, no message, no secret.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from resilience._forks import fork_safe
from resilience._listeners import subscribe
from resilience.clock import current_clock
from resilience.events import Event

__all__ = ["Entry", "Feed", "Journal"]

_KEPT = 500
_MAX_WAITING = 200  # events that a page has not read yet; older ones are dropped

Entry = dict[str, object]


class Feed:
    """New events for one page, in order. *wake* is called, from any thread, when there is one."""

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


class Journal:
    """Subscribes to all events of the process, and keeps the last 500.

    With a subscriber, circuits reject and retries report through their events: an open admin application costs what any
    subscriber does, whether a page is open or not.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._feeds: set[Feed] = set()
        self._lock = fork_safe(threading.Lock())
        self._number = 0
        self._subscription = subscribe(self._add)

    def _add(self, event: Event) -> None:
        with self._lock:
            self._number += 1
            entry: Entry = {
                "number": self._number,
                "at": round(current_clock().wall(), 3),
                "event": event.name,
                "level": event.severity.value,
                **event.fields(),
            }
            self._entries.append(entry)
            feeds = list(self._feeds)
        for feed in feeds:
            feed.put(entry)

    def entries(self, after: int = 0) -> list[Entry]:
        """Return the events kept, oldest first, that came *after* the one of that number."""
        with self._lock:
            return [entry for entry in self._entries if int(str(entry["number"])) > after]

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

    def close(self) -> None:
        """Unsubscribe."""
        self._subscription()
