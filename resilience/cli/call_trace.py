"""What describe_error, attempt by attempt, from the events of one call."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import cast

from resilience.categories import ErrorCategory
from resilience.classification import explain
from resilience.clock import current_clock
from resilience.errors import CallTimeoutError
from resilience.events import AttemptFailed, CircuitTransition, Event, RetriesExhausted, RetryScheduled

__all__ = ["CallTrace", "describe_error"]


class CallTrace:
    """Listens to the events of one call; says each attempt to *write* as soon as it is over."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.attempts: list[dict[str, object]] = []
        self.circuit: str = "closed"
        self.started_at: float = current_clock().now()
        self._write = write

    def on_event(self, event: Event) -> None:
        """Take note of one event. An attempt is told when it is known what follows from it."""
        if isinstance(event, CircuitTransition):
            self.circuit = event.state
        elif isinstance(event, AttemptFailed):
            found = explain(event.error)
            self._record_attempt(
                event.attempt, describe_error(event.error), found.category.label, found.rule, found.reason
            )
            if not _another_event_follows(event):
                self._write_attempt()
        elif isinstance(event, RetryScheduled):
            self.attempts[-1]["waited"] = round(event.wait, 4)
            self._write_attempt(f"; next in {event.wait:.2f} s")
        elif isinstance(event, RetriesExhausted):
            self._write_attempt(f"; no more: {event.reason}" if event.reason != "attempts" else "; that was the last")

    def record_response(self, status: int, reason: str) -> None:
        """Take note of the attempt that worked: no event tells of it."""
        self._record_attempt(len(self.attempts) + 1, f"status {status} {reason}".rstrip(), None, None, None)
        self._write_attempt()

    def _record_attempt(
        self, number: int, what: str, category: str | None, rule: str | None, reason: str | None
    ) -> None:
        self.attempts.append(
            {
                "number": number,
                "outcome": what,
                "category": category,
                "rule": rule,
                "reason": reason,
                "waited": None,
                "circuit": self.circuit,
            }
        )

    def _write_attempt(self, next_step: str = "") -> None:
        last = self.attempts[-1]
        why = "" if last["category"] is None else f" [{last['category']}: {last['reason']}]"
        self._write(f"  {last['number']}. {last['outcome']}{why}; circuit {last['circuit']}{next_step}")


def _another_event_follows(event: AttemptFailed) -> bool:
    """Whether another event follows: the retry's, or the one that says why there is none."""
    return event.category in ErrorCategory.TRANSIENT


def describe_error(error: Exception) -> str:
    """Say what *error* is, never in its own words: a message may hold the URL, and with it its secrets.

    >>> describe_error(ConnectionRefusedError(111, "secret"))
    'ConnectionRefusedError: Connection refused'
    """
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return f"status {status} {_phrase(status)}".rstrip()
    if isinstance(error, CallTimeoutError):
        return f"no answer within {error.limit:g} s"
    kind = type(error)
    library = kind.__module__.partition(".")[0]
    name = kind.__qualname__ if library == "builtins" else f"{library}.{kind.__qualname__}"
    detail = next((said for said in map(_system_message, _causes(error)) if said), None)
    return f"{name}: {detail}" if detail else name


def _phrase(status: int) -> str:
    import http

    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _system_message(error: BaseException) -> str | None:
    """Return what the system calls *error*: fixed words for a number, so that they cannot hold a secret."""
    if isinstance(error, socket.gaierror):
        return "the host's name is not known"
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno > 0:
        return os.strerror(error.errno)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, what it came from, and the members of groups on the way."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [next_ for next_ in (current.__cause__, current.__context__) if next_ is not None]
        if isinstance(current, BaseExceptionGroup):
            waiting += cast("tuple[BaseException, ...]", current.exceptions)
