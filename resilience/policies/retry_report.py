"""The report on a retried call: its attempts, and the reason for which no other followed.

The error of the call carries it as ``error.resilience`` and in a note, `last_call` returns it, and callbacks are called
with it. It reads the `RetryState` of the call, which does not change any more when the call has ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import NamedTuple

from resilience._runtime.carried_context import carried_back
from resilience._runtime.exhaustion import exhaustion_counter
from resilience.categories import ErrorCategory
from resilience.policies._retry_state import RetryState
from resilience.policies.stop_reason import StopReason

__all__ = ["AttemptReport", "CallReport", "attach_report", "last_call", "note_declined", "report_of", "set_last_call"]

_SHOWN = 5  # categories in a note
_NAME = "resilience"
_TIMES = {1: "1 time"}


class AttemptReport(NamedTuple):
    """One attempt that failed, or whose result was retried: *number* from 1, *wait* and *duration* in seconds.

    *wait* is what came before it. *duration* is None where its start time is unknown: the first attempt of a call on
    the fast path. *error* is the name of its type.
    """

    number: int
    category: ErrorCategory
    error: str | None
    wait: float
    duration: float | None


class CallReport:
    """The attempts of one call of *target*, and the *reason* for which no other followed.

    Found as ``error.resilience`` on an error that a retry has seen, and by `last_call`. Plain values throughout: it can
    be pickled, and keeps neither the arguments of the call nor its errors alive. Seconds throughout.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=2, base_delay=0)
    ... def down() -> None:
    ...     raise ConnectionRefusedError("port 5432")
    >>> try:
    ...     down()
    ... except ConnectionRefusedError as error:
    ...     report = error.resilience
    >>> report.made, report.reason.text, [attempt.error for attempt in report.attempts]
    (2, 'no attempt left', ['ConnectionRefusedError', 'ConnectionRefusedError'])
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
        #: Its exhaustion number, from 1, see `exhaustion`; 0 where no limit of the retry was exhausted.
        self.exhaustion_number: int = 0
        # A retry of one attempt retried nothing: that is left to an enclosing one.
        if reason.gave_up and not (reason is StopReason.ATTEMPTS and state.attempts == 1):
            self.exhaustion_number = exhaustion_counter.next()
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
        failures = self._state.failures
        first = self._state.attempts - len(failures) + 1
        return tuple(
            AttemptReport(number, category, _name_of(kind), wait, duration)
            for number, (category, kind, wait, duration) in enumerate(failures, first)
        )

    @property
    def made(self) -> int:
        """How many attempts were made in all, the successful one included; those in `attempts` failed."""
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
        """Return this as JSON takes it: categories and the reason as their labels, times in seconds.

        Messages of errors are left out, since they may hold secrets: of an error there is the name of its type.
        """
        return {
            "target": self.target,
            "reason": self.reason.value,
            "made": self.made,
            "revisions": self.revisions,
            "slept": self.slept,
            "time_left": self.time_left,
            "circuits": list(self.circuits),
            "attempts": [{**each._asdict(), "category": each.category.label} for each in self.attempts],
            "inner": self.inner and self.inner.to_dict(),
        }

    def __str__(self) -> str:
        """Return two lines, as they stand in the note on an error: what was tried; why it ended, and circumstances."""
        return f"{self.target} {self._result()}\n  {'; '.join([*self._circumstances(), *self.circuits])}"

    def _result(self) -> str:
        made = self.made
        categories = [category.label for category in self.categories]
        hidden = ["..."] * (len(categories) > _SHOWN)
        failures = ", ".join(hidden + categories[-_SHOWN:])
        if self.reason is not StopReason.SUCCESS:
            result = f"failed {_TIMES.get(made, f'{made} times')} ({failures})"
        elif failures:
            result = f"succeeded at attempt {made} ({failures} before)"
        else:
            result = f"succeeded at attempt {made}"
        if made > 1:
            result += f", {_duration(self.slept)} waited in between"
        return result

    def _circumstances(self) -> list[str]:
        found = [f"stopped: {self.reason.text}"]
        found += [f"the first failure was {name}" for name in self._other_first_error()]
        if self.revisions:
            found.append(f"{self.revisions} of them after a revision")
        if self._state.attempts_before_restart:
            found.append(f"{self._state.attempts_before_restart} of them before it last worked for a while")
        last = self.attempts[-1:]
        found += [f"the last failure took {_duration(each.duration)}" for each in last if each.duration is not None]
        if self.time_left is not None:
            found.append(f"{_duration(self.time_left)} of the deadline left")
        return found

    def _other_first_error(self) -> set[str]:
        """Return the type of the first failure where the last one is of another type: it may have led to that."""
        first, last = self._state.first_error, self._state.failures[-1:]
        if first is None or not last or self.reason is StopReason.SUCCESS:
            return set()
        return {str(_name_of(first))} - {str(_name_of(kind)) for _, kind, _, _ in last}

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
        numbers = (state.target, state.attempts, state.revisions, state.total_wait, state.attempts_before_restart)
        first = _name_of(state.first_error)
        recent = tuple((each.category.value, each.error, each.wait, each.duration) for each in self.attempts)
        return _unpickled, (numbers, recent, first, self.reason.value, self.circuits, self.time_left, self.inner)


def _name_of(kind: type[Exception] | str | None) -> str | None:
    """Return the name of a type of errors, or what stands in its place in a report that was pickled."""
    if isinstance(kind, type):
        return kind.__name__
    return kind


def _duration(seconds: float) -> str:
    if seconds <= 0:
        return "0 s"
    if seconds < 0.001:
        return "less than 1 ms"
    return f"{seconds:.3g} s"


def _unpickled(
    numbers: tuple[str, int, int, float, int],
    recent: Sequence[tuple[int, str | None, float, float | None]],
    first: str | None,
    reason: str,
    circuits: tuple[str, ...],
    time_left: float | None,
    inner: CallReport | None,
) -> CallReport:
    """Return a report that was pickled."""
    state = RetryState(numbers[0])
    _, state.attempts, state.revisions, state.total_wait, state.attempts_before_restart = numbers
    state.first_error = first
    state.failures = [(ErrorCategory(bit), name, wait, duration) for bit, name, wait, duration in recent]
    return CallReport(state, StopReason(reason), circuits=circuits, time_left=time_left, inner=inner)


def attach_report(error: Exception, report: CallReport, *, noted: bool) -> None:
    """Set *report* as the attribute ``resilience`` of *error*; if *noted*, add a note, in place of an earlier one.

    An error that is raised again and again, as an instance kept by a client, has the report of its last call.
    Written to its `__dict__`: an exception may forbid to set attributes, as one that is a frozen dataclass does.
    """
    with contextlib.suppress(Exception):  # __notes__ or a __dict__ of the user's own making must not hide the error
        error.__dict__[_NAME] = report
        if noted:
            _add_note(error, report)


def _add_note(error: Exception, report: CallReport) -> None:
    """Add *report* to the notes of *error*, in place of an earlier report on the same function."""
    _replace_note(error, report.target, f"{_NAME}: {report}")


def _replace_note(error: Exception, target: str, text: str) -> None:
    """Add the note *text* to *error*, in place of an earlier one on *target*."""
    opening = f"{_NAME}: {target} "
    notes: list[object] | None = getattr(error, "__notes__", None)
    if notes is None:
        notes = error.__dict__["__notes__"] = []
    kept = [note for note in notes if not (isinstance(note, str) and note.startswith(opening))]
    notes[:] = [*kept, text]


def note_declined(error: Exception | None, target: str, inner: CallReport | None) -> None:
    """Note on *error* that the retry of *target* did not retry it, since the nested retry of *inner* was exhausted.

    Where both guard one function, this is a line of the note that is there. Without either there is nothing to note.
    """
    if error is None or inner is None:
        return
    said = f"did not retry: a nested retry of {inner.target} is exhausted; retry_exhausted=True retries it all the same"
    with contextlib.suppress(Exception):  # __notes__ or a __dict__ of the user's own making must not hide the error
        if target == inner.target and report_of(error) is inner:
            _extend_note(error, inner, f"\n  an enclosing retry {said}")
        else:
            _replace_note(error, target, f"{_NAME}: {target} {said}")


def _extend_note(error: Exception, report: CallReport, line: str) -> None:
    """Add *line* to the note of *report*, once."""
    notes: list[object] = getattr(error, "__notes__", [])
    note = f"{_NAME}: {report}"
    notes[:] = [each if each != note else note + line for each in notes]


def report_of(error: BaseException) -> CallReport | None:
    """Return the report that *error* carries as its attribute ``resilience``, if a retry has seen it.

    The attribute is the same object; a type checker knows that of this function. An attribute of that name which the
    user has set is no report.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=2, base_delay=0)
    ... def fail() -> None:
    ...     raise TimeoutError
    >>> try:
    ...     fail()
    ... except TimeoutError as error:
    ...     report_of(error).made
    2
    """
    try:
        found: object = error.__dict__.get(_NAME)
    except Exception:  # a __dict__ of the user's own making
        return None
    return found if isinstance(found, CallReport) else None


_last: ContextVar[CallReport | RetryState | None] = carried_back(ContextVar("resilience.last_call", default=None))


set_last_call: Callable[[CallReport | RetryState], object] = _last.set
"""Set what `last_call` returns in this context: the report of a call, or its state if it succeeded."""


def last_call() -> CallReport | None:
    """Return the report of the last call in this task or thread that took more than one attempt, or failed.

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
    if isinstance(found, RetryState):
        return CallReport(found, StopReason.SUCCESS)
    return found
