"""State of one retried call while it runs.

It is made at the first failure and belongs to one call, so nothing in it is locked. When the call has ended, the
`CallReport` of `retry_report` keeps it.

An attempt goes through these steps, each a method: `RetryState.record_failure`, then `schedule_retry` where another
attempt follows (or `revise`, where it follows with other arguments), then `start_attempt`. Between the last two the
retry waits: a cancellation finds `retry_pending` set, and the tokens are refunded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from resilience._runtime.exhaustion import exhaustion_counter
from resilience.categories import ErrorCategory

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.policies._retry_rule import RetryRule
    from resilience.policies.retry_report import CallReport

__all__ = ["Failure", "RetryState"]

_MAX_FAILURES = 100  # in a report: some calls are tried for days
_UNKNOWN = ErrorCategory.UNKNOWN

Failure: TypeAlias = tuple[ErrorCategory, type[Exception] | str | None, float, float | None]
"""A failed attempt: category, type of the error, the wait before it and its duration, both in seconds.

The type is None where a result was retried, and the name alone in a report that was pickled. The duration is None where
the start of the attempt is unknown.
"""


class RetryState:
    """State of one call in a retry, from its first failure on. Of bounded size, however often the call is retried.

    The loop of the retry owns it and passes it to each decision, which reads it and writes `next_wait`. A `CallReport`
    reads `target`, `attempts`, `revisions`, `failures` and `total_wait` of it. `forget_call` drops what would keep the
    call's arguments and errors alive in the report.
    """

    __slots__ = (
        "attempts",
        "attempts_before_restart",
        "base_delay",
        "category",
        "counted",
        "exhaustions_at_start",
        "failures",
        "failures_by_category",
        "first_error",
        "inner",
        "last_fingerprint",
        "last_wait",
        "next_wait",
        "original_arguments",
        "repeated_failures",
        "retry_pending",
        "revisions",
        "rule",
        "started_at",
        "target",
        "tenacity_state",
        "tokens_spent",
        "total_wait",
    )

    def __init__(
        self,
        target: str,
        started_at: float | None = None,
        exhaustions_at_start: int = 0,
        tenacity_state: RetryCallState | None = None,
    ) -> None:
        self.target: str = target
        #: What tenacity's strategies are called with; None without strategies.
        self.tenacity_state: RetryCallState | None = tenacity_state
        #: The number of failed attempts.
        self.attempts: int = 0
        #: How many of them were followed by a revision of the arguments, which have a limit of their own.
        self.revisions: int = 0
        #: How many of them count for the limit of attempts.
        self.counted: int = 0
        #: How many failed before the count began anew, see ``reset_after``.
        self.attempts_before_restart: int = 0
        #: The arguments before the first revision.
        self.original_arguments: tuple[tuple[object, ...], Mapping[str, object]] | None = None
        #: The last failed attempts.
        self.failures: list[Failure] = []
        #: The type of the first failure, its name in a report that was pickled; None of a result.
        self.first_error: type[Exception] | str | None = None
        #: The category of the last failure, and how its failures are retried. Set by the first failure.
        self.category: ErrorCategory = _UNKNOWN
        self.rule: RetryRule
        #: The first wait after the last failure; None: it is not retryable.
        self.base_delay: float | None = None
        #: The report of a nested retry that the last failure has exhausted.
        self.inner: CallReport | None = None
        #: Seconds waited before the present attempt, before the one that follows, and in all.
        self.last_wait: float = 0.0
        self.next_wait: float = 0.0
        self.total_wait: float = 0.0
        #: When the present attempt began; None where it is unknown.
        self.started_at: float | None = started_at
        #: The exhaustion counter when the present attempt began, see `exhaustion`.
        self.exhaustions_at_start: int = exhaustions_at_start
        #: The tokens that the last retry took from the budget.
        self.tokens_spent: float = 0.0
        #: Whether that retry is decided on and not yet made.
        self.retry_pending: bool = False
        #: The number of failures of each category, by its bit, where ``max_attempts`` limits it.
        self.failures_by_category: dict[int, int] | None = None
        #: What the last failure looked like, and how many in a row looked the same; kept only where that is limited.
        self.last_fingerprint: object = None
        self.repeated_failures: int = 0

    def record_failure(self, rule: RetryRule, base_delay: float | None, error: Exception | None, now: float) -> None:
        """Record that the present attempt failed, by *error* or, without one, by its result; *now* is when.

        *rule* is the one for the category of the failure; *base_delay* is None where it is not retryable.
        """
        self.attempts += 1
        self.counted += 1
        self.rule = rule
        self.category = category = rule.row.category
        self.base_delay = base_delay
        self.inner = None
        kind = duration = None
        if error is not None:
            kind = type(error)
        if self.attempts == 1:
            self.first_error = kind
        if self.started_at is not None:
            duration = now - self.started_at
        self.failures.append((category, kind, self.last_wait, duration))
        if self.attempts > _MAX_FAILURES:
            del self.failures[0]

    def count_failure(self) -> int:
        """Count the last failure among those of its category, and return their number.

        Counted only where ``max_attempts`` limits it, so a call without such a limit has no dict.
        """
        if self.failures_by_category is None:
            self.failures_by_category = {}
        bit = self.category._value_
        number = self.failures_by_category[bit] = self.failures_by_category.get(bit, 0) + 1
        return number

    def record_fingerprint(self, fingerprint: object) -> None:
        """Count how many failures in a row have the same *fingerprint*, see `failure_fingerprint`."""
        if fingerprint != self.last_fingerprint:
            self.repeated_failures = 0
        self.repeated_failures += 1
        self.last_fingerprint = fingerprint

    def restart_count(self) -> None:
        """Forget the failures so far, but for the report: the attempt that now ends is the first of a new count.

        tenacity's strategies measure from the start of that attempt.
        """
        self.attempts_before_restart = self.attempts
        self.counted = self.repeated_failures = 0
        self.last_fingerprint = self.failures_by_category = None
        self.tokens_spent = 0.0
        if self.tenacity_state is not None and self.started_at is not None:
            self.tenacity_state.start_time = self.started_at

    def schedule_retry(self) -> None:
        """Record that another attempt, which is paid for, follows after `next_wait` seconds."""
        self.retry_pending = True
        self.last_wait = wait = self.next_wait
        self.total_wait += wait

    def unschedule_retry(self) -> None:
        """Record that the attempt just scheduled is not made after all."""
        self.retry_pending = False
        self.total_wait -= self.next_wait

    def revise(self, arguments: tuple[tuple[object, ...], Mapping[str, object]]) -> None:
        """Record that an attempt with other *arguments* than these follows at once."""
        self.original_arguments = self.original_arguments or arguments
        self.revisions += 1
        self.counted -= 1
        self.last_wait = self.next_wait = 0.0

    def start_attempt(self, now: float) -> None:
        """Record that another attempt begins at *now*.

        A retry that is exhausted from here on, while the attempt runs, is nested in it.
        """
        self.started_at = now
        self.exhaustions_at_start = exhaustion_counter.count
        self.retry_pending = False

    def forget_call(self) -> None:
        """Drop what would keep the call's arguments, result and errors alive in a report."""
        self.tenacity_state = None
        self.original_arguments = None

    def copy(self) -> RetryState:
        """Return what a report reads of this, as it stands: for a callback that runs before the call has ended."""
        other = RetryState(self.target)
        other.attempts, other.revisions, other.total_wait = self.attempts, self.revisions, self.total_wait
        other.attempts_before_restart = self.attempts_before_restart
        other.failures, other.first_error = list(self.failures), self.first_error
        return other
