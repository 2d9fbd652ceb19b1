"""What one call's attempts came to: kept as they go, and as a report for whoever asks afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, NamedTuple

from resilience.category import ErrorCategory
from resilience.policy.give_ups import GIVE_UPS
from resilience.policy.stop import StopReason

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = [
    "AttemptReport",
    "CallReport",
    "History",
    "attach",
    "last_call",
    "remember",
    "remember_as",
    "report_of",
]

_SHOWN = 5  # categories in a note
_KEPT = 100  # attempts in a report: some calls are tried for days
_NAME = "resilience"


class AttemptReport(NamedTuple):
    """One attempt that failed, or whose result was one to try again: *number* from 1, in seconds *wait* and *duration*.

    *wait* is what came before it. *duration* is None where nobody looked at a clock when it began: the first attempt
    of a call that goes the happy path. *error* is the name of its type.
    """

    number: int
    category: ErrorCategory
    error: str | None
    wait: float
    duration: float | None


class History:
    """What one call's attempts came to so far. Of bounded size."""

    __slots__ = (
        "alike",
        "began",
        "given",
        "kinds",
        "last_look",
        "last_wait",
        "made",
        "paid",
        "recent",
        "revisions",
        "since",
        "slept",
        "state",
        "target",
        "unmade",
    )

    def __init__(
        self, target: str, began: float | None = None, since: int = 0, state: RetryCallState | None = None
    ) -> None:
        self.target: str = target
        #: What tenacity's strategies are asked with, where there are any.
        self.state: RetryCallState | None = state
        #: How many attempts failed.
        self.made: int = 0
        self.revisions: int = 0
        #: The arguments before the first revision.
        self.given: tuple[tuple[object, ...], Mapping[str, object]] | None = None
        #: Category, type of the error, wait before it and duration of the last attempts that failed.
        self.recent: list[tuple[ErrorCategory, type[Exception] | None, float, float | None]] = []
        self.last_wait: float = 0.0
        self.slept: float = 0.0
        #: When the present attempt began, where somebody looked.
        self.began: float | None = began
        #: What had been given up when the present attempt began, see `give_ups`.
        self.since: int = since
        #: What the last retry took from the budget.
        self.paid: float = 0.0
        #: Whether that retry is still waited for.
        self.unmade: bool = False
        #: How many failures of each category there were, by its bit, where that is limited.
        self.kinds: dict[int, int] | None = None
        #: What the last failure looked like, and how many in a row look like it, where anybody asks.
        self.last_look: object = None
        self.alike: int = 0

    def failed(self, category: ErrorCategory, error: Exception | None, now: float) -> None:
        """Note an attempt that ended *now*, and is none to be content with."""
        self.made += 1
        began, recent = self.began, self.recent
        duration = None if began is None else now - began
        recent.append((category, None if error is None else type(error), self.last_wait, duration))
        if self.made > _KEPT:
            del recent[0]
        self.began = now

    def attempts(self) -> tuple[AttemptReport, ...]:
        """Return the attempts that failed, the last 100 of them."""
        return tuple(
            AttemptReport(number, category, None if kind is None else kind.__name__, wait, duration)
            for number, (category, kind, wait, duration) in enumerate(self.recent, self.made - len(self.recent) + 1)
        )

    def copy(self) -> History:
        """Return this as it stands, for somebody who is told before it ends."""
        other = History(self.target)
        other.made, other.revisions, other.slept = self.made, self.revisions, self.slept
        other.recent = list(self.recent)
        return other


class CallReport:
    """What was tried for one call of *target*, and the *reason* why it was not tried further.

    Found as ``error.resilience`` on an error that a retry has seen, and by `last_call`. Plain values throughout: it can
    be pickled, and keeps nothing alive.
    """

    __slots__ = ("_history", "circuits", "error", "given_up", "inner", "reason", "time_left")

    def __init__(
        self,
        history: History,
        reason: StopReason,
        *,
        circuits: tuple[str, ...] = (),
        time_left: float | None = None,
        inner: CallReport | None = None,
        error: Exception | None = None,
    ) -> None:
        self._history = history
        self.reason: StopReason = reason
        # A retry of one attempt tried nothing again: that is left to one further out.
        alone = reason is StopReason.ATTEMPTS and history.made == 1
        #: Its number among those that tell of a retry that has given up; else 0.
        self.given_up: int = GIVE_UPS.next() if reason.gave_up and not alone else 0
        #: What the circuits around the call, or inside, had to say.
        self.circuits: tuple[str, ...] = circuits
        #: Seconds that were left of the deadline when it ended; None without one.
        self.time_left: float | None = time_left
        #: The report of a retry further in that had given up.
        self.inner: CallReport | None = inner
        #: The failure at hand, for a callback that is told of it; None in what is kept.
        self.error: Exception | None = error

    @property
    def target(self) -> str:
        """The name of what was called."""
        return self._history.target

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The failed attempts in order, the last 100 of them."""
        return self._history.attempts()

    @property
    def made(self) -> int:
        """How many attempts were made in all, the successful one included."""
        return self._history.made + (self.reason is StopReason.SUCCESS)

    @property
    def revisions(self) -> int:
        """How many of them followed a revision of the arguments."""
        return self._history.revisions

    @property
    def slept(self) -> float:
        """Seconds waited between attempts."""
        return self._history.slept

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
        return self  # nothing in it changes; and a new one would have been given up now

    def __deepcopy__(self, memo: object) -> CallReport:
        return self

    def __reduce__(self) -> tuple[Callable[..., CallReport], tuple[object, ...]]:
        kept = self._history
        numbers = (kept.target, kept.made, kept.revisions, kept.slept)
        recent = tuple((each.category.value, each.error, each.wait, each.duration) for each in self.attempts)
        return _again, (numbers, recent, self.reason.value, self.circuits, self.time_left, self.inner)


def _shown(seconds: float) -> str:
    if seconds <= 0:
        return "0 s"
    return "less than 1 ms" if seconds < 0.001 else f"{seconds:.3g} s"


def _again(
    numbers: tuple[str, int, int, float],
    recent: Sequence[tuple[int, str | None, float, float | None]],
    reason: str,
    circuits: tuple[str, ...],
    time_left: float | None,
    inner: CallReport | None,
) -> CallReport:
    """Return a report that was pickled."""
    history = History(numbers[0])
    _, history.made, history.revisions, history.slept = numbers
    history.recent = [
        # Of the type only the name has come along, which is all that is asked of it.
        (ErrorCategory(category), None if error is None else type(error, (Exception,), {}), wait, duration)
        for category, error, wait, duration in recent
    ]
    return CallReport(history, StopReason(reason), circuits=circuits, time_left=time_left, inner=inner)


def attach(error: Exception, report: CallReport, *, noted: bool) -> None:
    """Hang *report* on *error*, and say it in a note for whoever reads its traceback; once, however often it is raised.

    In its `__dict__`: an exception may forbid to set attributes, as one that is a frozen dataclass does.
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
    """Return the report that hangs on *error*, if one does."""
    try:
        found: object = error.__dict__.get(_NAME)
    except Exception:  # a __dict__ of the user's own making
        return None
    return found if isinstance(found, CallReport) else None


_last: ContextVar[CallReport | History | None] = ContextVar("resilience.last_call", default=None)


remember: Callable[[CallReport | History], object] = _last.set
"""Have `last_call` answer with a call: with its history if it succeeded."""


def remember_as(context: Context) -> None:
    """Have `last_call` answer here as it does in *context*, in which a part of the call was made."""
    found = context.get(_last)
    if found is not None and found is not _last.get():
        _last.set(found)


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
    return CallReport(found, StopReason.SUCCESS) if isinstance(found, History) else found
