"""`Arrival`: the deadline of a request as the server puts it in force, and `within`, which does so for sync code.

A client may say anything. So a time is capped by the server's own maximum, and one that makes no sense is ignored, with
an event that does not repeat it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from resilience._deadline_context import ActiveDeadline, DeadlineScope, deadline_or_inf
from resilience._listeners import emit, has_listeners
from resilience._validation import optional, parse_duration
from resilience.categories import ErrorCategory
from resilience.classification.classifier import classify
from resilience.clock import current_clock
from resilience.errors.base import DeadlineExceededError
from resilience.events import DeadlineIgnored, TimedOut
from resilience.integrations.deadlines.header import DeadlineHeader

__all__ = ["Arrival", "active_deadline", "late_errors", "report_expired", "within"]

_SLACK = 0.05  # seconds: limits of clients are rounded


class Arrival:
    """The limits of a server: *default* seconds for a request that brings no deadline, and *maximum* for each.

    None: no limit of that kind. A *default* above the *maximum* is the *maximum*.
    """

    __slots__ = ("default", "maximum")

    def __init__(self, default: float | timedelta | None, maximum: float | timedelta | None) -> None:
        self.default: float | None = optional(parse_duration, "default", default)
        self.maximum: float | None = optional(parse_duration, "maximum", maximum)

    def seconds(self, asked: float | None) -> float | None:
        """Return the seconds for a request whose client has *asked* for so many; None: no limit.

        >>> limits = Arrival(default=None, maximum=60)
        >>> limits.seconds(5), limits.seconds(1e9), limits.seconds(None)
        (5, 60.0, None)
        """
        given = asked
        if asked is None:
            given = self.default
        if given is None or self.maximum is None:
            return given
        return min(given, self.maximum)

    def read(self, header: DeadlineHeader, text: str | None, target: str) -> float | None:
        """Return the seconds for a request to *target* whose *header* is *text*; None: no limit."""
        asked: float | None = None
        if text is not None:
            asked = header.decode(text)
            if asked is None and has_listeners():
                emit(DeadlineIgnored(target=target, policy="deadline", header=header.name))
        return self.seconds(asked)


def report_expired(target: str) -> None:
    """Emit the event for a request whose deadline had passed when it arrived: *target* was not called."""
    if has_listeners():
        emit(TimedOut(target=target, policy="deadline", limit=0.0))


def active_deadline(seconds: float) -> ActiveDeadline:
    """Return the deadline that comes in so many *seconds*, or the one in force where that is earlier."""
    clock = current_clock()
    return ActiveDeadline(min(clock.now() + seconds, deadline_or_inf(clock)), clock)


@contextmanager
def within(due: ActiveDeadline, target: str) -> Generator[None]:
    """Put *due* in force for the block, which may be one step of several: of a request whose body is made piecewise.

    Errors of the block are those of `late_errors`.
    """
    scope = DeadlineScope(due)
    try:
        try:
            scope.begin()
            with late_errors(due, target):
                yield
        finally:
            scope.end()
    finally:
        scope.end()


@contextmanager
def late_errors(due: ActiveDeadline, target: str) -> Generator[None]:
    """Raise `DeadlineExceededError` in place of a time-out that comes with the deadline.

    A client below *target* whose time limit was cut to what is left raises its own error then, a moment before or
    after the deadline.
    """
    try:
        yield
    except DeadlineExceededError:
        raise
    except Exception as error:
        if due.moment - due.clock.now() > _SLACK or classify(error) is not ErrorCategory.TIMEOUT:
            raise
        raise DeadlineExceededError(target) from error
