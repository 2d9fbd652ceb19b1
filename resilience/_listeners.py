"""Delivery of events: the listeners of this process, `subscribe` and `emit`.

Policies ask here whether there are listeners before they build an event. `resilience.events` has the event classes and
offers `subscribe` and `emit` too; applications import them from there or from `resilience`. The two are apart for the
time of an import alone: the event classes are dataclasses, which take nearly as long to load as all of
`import resilience`, and a program without listeners never needs them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from sys import is_finalizing
from typing import TYPE_CHECKING

from resilience._callback_errors import RUNNING, is_running, log_callback_error, refuse_coroutine
from resilience._forks import fork_safe
from resilience._undo import Undo
from resilience.settings import MUTED

if TYPE_CHECKING:
    from resilience._event_type import Event

__all__ = ["Subscription", "emit", "has_listeners", "subscribe"]

Listener = Callable[["Event"], object]

# Replaced as a whole, never changed in place: emit reads it without a lock.
_listeners: tuple[Listener, ...] = ()
_lock = fork_safe(threading.Lock())


class Subscription(Undo):
    """A subscribed listener: call it, or leave its ``with`` block, to unsubscribe."""

    def __init__(self, listener: Listener) -> None:
        self._listener: Listener | None = listener

    def __call__(self) -> None:
        """Unsubscribe the listener. Doing it twice is fine."""
        global _listeners
        with _lock:
            if self._listener is not None:
                listeners = list(_listeners)
                listeners.remove(self._listener)
                _listeners = tuple(listeners)
                self._listener = None


def subscribe(listener: Listener) -> Subscription:
    """Call *listener* with every event, in the thread or task that caused it, until undone.

    A listener that raises is logged once on the ``resilience`` logger and never changes a call's outcome. It may make
    guarded calls itself: their events go to the other listeners. Keep it quick: the failing call waits for it.

    Raises TypeError for a coroutine function, whose coroutine would never be awaited.

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


def has_listeners() -> bool:
    """Whether there is a listener. Build an event only then: it costs more than the question.

    None is there while the interpreter finalizes: the classes of events cannot be imported any more.
    """
    return bool(_listeners) and not is_finalizing() and not (MUTED.active_count and MUTED.is_on())


def emit(event: Event) -> None:
    """Call every listener with *event*.

    Listeners that run in this context are left out: the event belongs to a call that one of them makes, and would come
    back to it without end. An exception of a listener is logged and goes no further.
    """
    if MUTED.active_count and MUTED.is_on():
        return
    for listener in _listeners:
        if is_running(listener):
            continue
        running = RUNNING.get()
        try:
            RUNNING.set((*running, listener))
            refuse_coroutine(listener(event))
        except Exception as error:
            log_callback_error("event listener", listener, error)
        finally:
            RUNNING.set(running)
