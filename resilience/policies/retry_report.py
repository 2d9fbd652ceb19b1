"""State of one retried call while it runs, and the report on it that the error and `last_call` keep afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from resilience._runtime.carried_context import carried_back
from resilience._runtime.exhaustion import GIVE_UPS
from resilience.category import ErrorCategory
from resilience.policies.stop_reason import StopReason

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.policies.retry_rule import RetryRule

__all__ = [
    "AttemptReport",
    "CallReport",
    "RetryState",
    "attach_report",
    "last_call",
    "report_of",
    "set_last_call",
]

_SHOWN = 5  # categories in a note
_KEPT = 100  # attempts in a report: some calls are tried for days
_NAME = "resilience"
_UNKNOWN = ErrorCategory.UNKNOWN


class AttemptReport(NamedTuple):
    """One attempt that failed, or whose result was one to try again: *number* from 1, in seconds *wait* and *duration*.

    *wait* is what came before it. *duration* is None where its start time is unknown: the first attempt of a call on
    the fast path. *error* is the name of its type.
    """

    number: int
    category: ErrorCategory
    error: str | None
    wait: float
    duration: float | None


class RetryState:
    """State of one call in a retry, from its first failure on. Of bounded size, however often the call is retried.

    A `CallReport` reads `target`, `attempts`, `revisions`, `failures` and `total_wait`. The rest serves the next
    decision; `forget_call` drops what would keep the call's arguments and errors alive.
    """

    __slots__ = (
        "attempts",
        "base_delay",
        "category",
        "exhaustions_at_start",
        "failures",
        "failures_by_category",
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
        #: How many of them were followed by a revision of the arguments.
        self.revisions: int = 0
        #: The arguments before the first revision.
        self.original_arguments: tuple[tuple[object, ...], Mapping[str, object]] | None = None
        #: Category, type of the error, wait before it and duration of the last failed attempts.
        self.failures: list[tuple[ErrorCategory, type[Exception] | None, float, float | None]] = []
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
        #: The exhaustion counter when the present attempt began, see `give_ups`.
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
        """Record that the present attempt failed, by *error* or, without one, by its result.

        *rule* is the one for the category of the failure; *base_delay* is None where it is not retryable.
        """
        self.attempts += 1
        self.rule = rule
        self.category = category = rule.row.category
        self.base_delay = base_delay
        self.inner = None
        kind = duration = None
        if error is not None:
            kind = type(error)
        if self.started_at is not None:
            duration = now - self.started_at
        self.failures.append((category, kind, self.last_wait, duration))
        if self.attempts > _KEPT:
            del self.failures[0]

    def count_failure(self) -> int:
        """Count the last failure among those of its category, and return their number."""
        if self.failures_by_category is None:
            self.failures_by_category = {}
        bit = self.category._value_
        number = self.failures_by_category[bit] = self.failures_by_category.get(bit, 0) + 1
        return number

    def record_fingerprint(self, fingerprint: object) -> None:
        """Count how many failures in a row have the same *fingerprint*."""
        if fingerprint != self.last_fingerprint:
            self.repeated_failures = 0
        self.repeated_failures += 1
        self.last_fingerprint = fingerprint

    def schedule_retry(self, tokens_spent: float) -> None:
        """Record that another attempt follows after `next_wait` seconds, paid for with *tokens_spent*."""
        self.tokens_spent = tokens_spent
        self.retry_pending = True
        self.last_wait = wait = self.next_wait
        self.total_wait += wait

    def unschedule_retry(self) -> None:
        """Record that the attempt just scheduled is not made after all."""
        self.retry_pending = False
        self.total_wait -= self.next_wait

    def start_attempt(self, now: float) -> None:
        """Record that another attempt begins."""
        self.started_at = now
        self.exhaustions_at_start = GIVE_UPS.count
        self.retry_pending = False

    def forget_call(self) -> None:
        """Drop what would keep the call's arguments, result and errors alive in a report."""
        self.tenacity_state = None
        self.original_arguments = None

    def attempt_reports(self) -> tuple[AttemptReport, ...]:
        """Return the attempts that failed, the last 100 of them."""
        return tuple(
            AttemptReport(number, category, None if kind is None else kind.__name__, wait, duration)
            for number, (category, kind, wait, duration) in enumerate(
                self.failures, self.attempts - len(self.failures) + 1
            )
        )

    def copy(self) -> RetryState:
        """Return what a report reads of this, as it stands: for a callback that runs before the call has ended."""
        other = RetryState(self.target)
        other.attempts, other.revisions, other.total_wait = self.attempts, self.revisions, self.total_wait
        other.failures = list(self.failures)
        return other


class CallReport:
    """What was tried for one call of *target*, and the *reason* why it was not tried further.

    Found as ``error.resilience`` on an error that a retry has seen, and by `last_call`. Plain values throughout: it can
    be pickled, and keeps nothing alive.
    """

    __slots__ = ("_state", "circuits", "error", "exhaustion_number", "inner", "reason", "time_left")

    def __init__(
        self,
        state: RetryState,
        reason: StopReason,
        *,
        circuits: tuple[str, ...] = (),
        time_left: float | None = None,
        inner: CallReport | None = None,
        error: Exception | None = None,
    ) -> None:
        self._state = state
        self.reason: StopReason = reason
        # A retry of one attempt retried nothing: that is left to an enclosing one.
        alone = reason is StopReason.ATTEMPTS and state.attempts == 1
        #: Its exhaustion number, from 1, see `give_ups`; 0 where no limit of the retry was exhausted.
        self.exhaustion_number: int = GIVE_UPS.next() if reason.gave_up and not alone else 0
        #: The states of the circuits in the same stack.
        self.circuits: tuple[str, ...] = circuits
        #: Seconds that were left of the deadline when it ended; None without one.
        self.time_left: float | None = time_left
        #: The report of a nested retry that was exhausted.
        self.inner: CallReport | None = inner
        #: The failure, in the report that a callback gets; None in reports that are kept.
        self.error: Exception | None = error

    @property
    def target(self) -> str:
        """The name of what was called."""
        return self._state.target

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The failed attempts in order, the last 100 of them."""
        return self._state.attempt_reports()

    @property
    def made(self) -> int:
        """How many attempts were made in all, the successful one included."""
        return self._state.attempts + (self.reason is StopReason.SUCCESS)

    @property
    def revisions(self) -> int:
        """How many of them followed a revision of the arguments."""
        return self._state.revisions

    @property
    def slept(self) -> float:
        """Seconds waited between attempts."""
        return self._state.total_wait

    @property
    def categories(self) -> tuple[ErrorCategory, ...]:
        """The categories of the failed attempts, in order."""
        return tuple(attempt.category for attempt in self.attempts)

    def to_dict(self) -> dict[str, object]:
        """Return this as JSON takes it."""
        return {
            "target": self.target,
            "reason": self.reason.value,
            "made": self.made,
            "revisions": self.revisions,
            "slept": self.slept,
            "time_left": self.time_left,
            "circuits": list(self.circuits),
            "attempts": [{**each._asdict(), "category": each.category.label} for each in self.attempts],
            "inner": None if self.inner is None else self.inner.to_dict(),
        }

    def __str__(self) -> str:
        attempts, made = self.attempts, self.made
        shown = ["..."] * (len(attempts) > _SHOWN) + [each.category.label for each in attempts[-_SHOWN:]]
        times = "1 time" if made == 1 else f"{made} times"
        what = f"failed {times} ({', '.join(shown)})"
        if self.reason is StopReason.SUCCESS:
            what = f"succeeded at attempt {made}" + (f" ({', '.join(shown)} before)" if attempts else "")
        if made > 1:
            what += f", {_shown(self.slept)} waited in between"
        more = [f"stopped: {self.reason.text}"]
        if self.revisions:
            more.append(f"{self.revisions} of them after a revision")
        if attempts and attempts[-1].duration is not None:
            more.append(f"the last failure took {_shown(attempts[-1].duration)}")
        if self.time_left is not None:
            more.append(f"{_shown(self.time_left)} of the deadline left")
        return f"{self.target} {what}\n  {'; '.join([*more, *self.circuits])}"

    def __repr__(self) -> str:
        return f"<CallReport {self.target}: {self.made} made, {self.reason.value}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CallReport) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.target, self.reason, self.made))

    def __copy__(self) -> CallReport:
        return self  # immutable; and a new one would have a new exhaustion number

    def __deepcopy__(self, memo: object) -> CallReport:
        return self

    def __reduce__(self) -> tuple[Callable[..., CallReport], tuple[object, ...]]:
        state = self._state
        numbers = (state.target, state.attempts, state.revisions, state.total_wait)
        recent = tuple((each.category.value, each.error, each.wait, each.duration) for each in self.attempts)
        return _unpickled, (numbers, recent, self.reason.value, self.circuits, self.time_left, self.inner)


def _shown(seconds: float) -> str:
    if seconds <= 0:
        return "0 s"
    return "less than 1 ms" if seconds < 0.001 else f"{seconds:.3g} s"


def _unpickled(
    numbers: tuple[str, int, int, float],
    recent: Sequence[tuple[int, str | None, float, float | None]],
    reason: str,
    circuits: tuple[str, ...],
    time_left: float | None,
    inner: CallReport | None,
) -> CallReport:
    """Return a report that was pickled."""
    state = RetryState(numbers[0])
    _, state.attempts, state.revisions, state.total_wait = numbers
    state.failures = [
        # Only the name of the type was pickled, and only its name is read.
        (ErrorCategory(category), None if error is None else type(error, (Exception,), {}), wait, duration)
        for category, error, wait, duration in recent
    ]
    return CallReport(state, StopReason(reason), circuits=circuits, time_left=time_left, inner=inner)


def attach_report(error: Exception, report: CallReport, *, noted: bool) -> None:
    """Set *report* as the attribute ``resilience`` of *error*; if *noted*, add a note, in place of an earlier one.

    Written to its `__dict__`: an exception may forbid to set attributes, as one that is a frozen dataclass does.
    """
    with contextlib.suppress(Exception):  # __notes__ or a __dict__ of the user's own making must not hide the error
        error.__dict__[_NAME] = report
        if noted:
            opening = f"{_NAME}: {report.target} "
            notes: list[object] | None = getattr(error, "__notes__", None)
            if notes is None:
                notes = error.__dict__["__notes__"] = []
            kept = [old for old in notes if not (isinstance(old, str) and old.startswith(opening))]
            notes[:] = [*kept, f"{_NAME}: {report}"]


def report_of(error: BaseException) -> CallReport | None:
    """Return the report that *error* carries, if any."""
    try:
        found: object = error.__dict__.get(_NAME)
    except Exception:  # a __dict__ of the user's own making
        return None
    return found if isinstance(found, CallReport) else None


_last: ContextVar[CallReport | RetryState | None] = carried_back(ContextVar("resilience.last_call", default=None))


set_last_call: Callable[[CallReport | RetryState], object] = _last.set
"""Set what `last_call` returns in this context: the report of a call, or its state if it succeeded."""


def last_call() -> CallReport | None:
    """Return what was tried for the last call in this task or thread that took more than one attempt, or failed.

    None where there was none. A call that succeeds at once leaves no trace, which is what makes it cheap: look at
    *target*, or have every call reported by ``on_success=``.

    >>> from resilience import last_call, retry_on_category
    >>> @retry_on_category(base_delay=0)
    ... def flaky(answers=iter([ConnectionResetError(), "hello"])):
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> flaky(), last_call().made, [category.label for category in last_call().categories]
    ('hello', 2, ['network'])
    """
    found = _last.get()
    return CallReport(found, StopReason.SUCCESS) if isinstance(found, RetryState) else found
