"""Attempts of one call, reconstructed from its events and printed as they end.

Messages of exceptions are never printed, since they may hold the URL and its secrets: an attempt is described by the
class of its error, its status, or the operating system's own words.
"""

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


_LAST = {"attempts": "; that was the last"}


class CallTrace:
    """Listens to the events of one call, and passes a line for each attempt to *write* as soon as it has ended."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.attempts: list[dict[str, object]] = []
        self.circuit: str = "closed"
        self.started_at: float = current_clock().now()
        #: Why a line could not be written: the reader has left, or the disk is full. No further line is written then.
        self.write_error: OSError | None = None
        self._write = write

    def on_event(self, event: Event) -> None:
        """Record an event. The line of an attempt is written when it is known whether another attempt follows."""
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
            self._write_attempt(_LAST.get(event.reason, f"; no more: {event.reason}"))

    def record_response(self, status: int, reason: str) -> None:
        """Record the attempt that succeeded, for which there is no event."""
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
        why = ""
        if last["category"] is not None:
            why = f" [{last['category']}: {last['reason']}]"
        if self.write_error is not None:
            return
        try:
            self._write(f"  {last['number']}. {last['outcome']}{why}; circuit {last['circuit']}{next_step}")
        except OSError as error:  # a listener's error goes no further than into the log
            self.write_error = error


def _another_event_follows(event: AttemptFailed) -> bool:
    """Whether another event follows: the retry's, or the one that says why there is none."""
    return event.category in ErrorCategory.TRANSIENT


def describe_error(error: Exception) -> str:
    """Describe an error without its message, which may hold the URL and its secrets.

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
    name = f"{library}.{kind.__qualname__}".removeprefix("builtins.")
    detail = next((said for said in map(_system_message, _causes(error)) if said), None)
    return ": ".join(filter(None, [name, detail]))


def _phrase(status: int) -> str:
    import http

    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _system_message(error: BaseException) -> str | None:
    """Return the operating system's words for the number of *error*: they are fixed, and hold no secret."""
    if isinstance(error, socket.gaierror):
        return "the host's name is not known"
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno > 0:
        return os.strerror(error.errno)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, its causes, and the members of exception groups among them."""
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
