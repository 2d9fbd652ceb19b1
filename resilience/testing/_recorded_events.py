"""`record_events`: the events that guarded calls emit, in order, for assertions.

A subscription that keeps what it receives. Like every subscription it holds for the whole process: events of threads
and of tasks are recorded too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, overload

from resilience._listeners import subscribe
from resilience._undo import Undo

if TYPE_CHECKING:
    from resilience._event_type import Event

__all__ = ["RecordedEvents", "record_events"]

E = TypeVar("E", bound="Event")


class RecordedEvents(Undo, Sequence["Event"]):
    """The events recorded so far, the oldest first, as a read-only sequence.

    Call it, or leave its ``with`` block, to record no more; what was recorded stays.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._subscription = subscribe(self._events.append)

    @property
    def names(self) -> list[str]:
        """The dotted names of the events, such as ``retry.scheduled``."""
        return [event.name for event in self._events]

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one class.

        >>> from resilience.events import CircuitClosed, CircuitOpened, emit
        >>> with record_events() as events:
        ...     emit(CircuitClosed(target="shop.search", policy="catalogue"))
        >>> len(events.of(CircuitClosed)), len(events.of(CircuitOpened))
        (1, 0)
        """
        return [event for event in self._events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self._events.clear()

    def __call__(self) -> None:
        """Record no more. Doing it twice is fine."""
        self._subscription()

    @overload
    def __getitem__(self, position: int) -> Event: ...

    @overload
    def __getitem__(self, position: slice) -> list[Event]: ...

    def __getitem__(self, position: int | slice) -> Event | list[Event]:
        return self._events[position]

    def __iter__(self) -> Iterator[Event]:
        return iter([*self._events])  # another thread may add to them meanwhile

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"RecordedEvents({self._events!r})"


def record_events() -> RecordedEvents:
    """Record the events of all guarded calls from now on, until the result is called or its ``with`` block is left.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=2, base_delay=0)
    ... def down() -> None:
    ...     raise ConnectionRefusedError
    >>> with record_events() as events:
    ...     try:
    ...         down()
    ...     except ConnectionRefusedError:
    ...         pass
    >>> events.names
    ['attempt.failed', 'retry.scheduled', 'attempt.failed', 'retry.exhausted']
    """
    return RecordedEvents()
