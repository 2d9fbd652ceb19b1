"""Who listens to events. Apart from the event classes, so that a program nobody listens to never loads them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from resilience._undo import Undo
from resilience.trouble import RUNNING, is_running, refuse_coroutine, report_trouble

if TYPE_CHECKING:
    from resilience.events import Event

__all__ = ["Subscription", "emit", "listened", "subscribe"]

Listener = Callable[["Event"], object]

# Replaced as a whole, never changed in place: emit reads it without a lock.
_listeners: tuple[Listener, ...] = ()
_lock = threading.Lock()


class Subscription(Undo):
    """A listener on the list: call it, or leave its ``with`` block, to take the listener off again."""

    def __init__(self, listener: Listener) -> None:
        self._listener: Listener | None = listener

    def __call__(self) -> None:
        """Take the listener off. Doing it twice is fine."""
        global _listeners
        with _lock:
            if self._listener is not None:
                listeners = list(_listeners)
                listeners.remove(self._listener)
                _listeners = tuple(listeners)
                self._listener = None


def subscribe(listener: Listener) -> Subscription:
    """Have *listener* called with every event, in the thread or task that caused it, until undone.

    A listener that raises is reported once on the ``resilience`` logger and never changes a call's outcome. It may make
    guarded calls itself: their events go to the other listeners.
    Keep it quick: it runs on the failing call's road. A coroutine function is refused with TypeError, since
    nobody would await it.

    >>> from resilience.events import CircuitClosed
    >>> seen = []
    >>> with subscribe(seen.append):
    ...     emit(CircuitClosed(target="shop.search", policy="catalogue"))
    >>> seen
    [CircuitClosed(target='shop.search', policy='catalogue')]
    """
    import inspect

    if not callable(listener) or inspect.iscoroutinefunction(listener):
        raise TypeError(
            f"subscribe(listener={listener!r}): give a callable, not a coroutine function, that takes one event"
        )
    global _listeners
    with _lock:
        _listeners = (*_listeners, listener)
    return Subscription(listener)


def listened() -> bool:
    """Whether anybody listens: build an event only then."""
    return bool(_listeners)


def emit(event: Event) -> None:
    """Hand *event* to every listener but those that run in this context: they have made the call it tells of."""
    for listener in _listeners:
        if is_running(listener):
            continue
        running = RUNNING.get()
        try:
            RUNNING.set((*running, listener))
            refuse_coroutine(listener(event))
        except Exception as trouble:
            report_trouble("event listener", listener, trouble)
        finally:
            RUNNING.set(running)
