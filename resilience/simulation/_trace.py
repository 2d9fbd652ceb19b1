"""`CallTrace`: a record of the calls of a function, one line of JSON each, which `replay` can run again.

A line has all that the function's policies had to decide by, and what they decided: when the call began, each attempt
with its duration and the category of its failure, the events of the policies, and the outcome. It has no arguments, no
results and no messages of errors: these may carry secrets.

The trace needs two places in a stack: outside of all policies it sees the calls, and inside of them the attempts. It is
written as the outermost decorator, and puts its inner half there by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO, TypeVar

from resilience._forks import fork_safe
from resilience._listeners import Subscription, subscribe
from resilience._outcome import Outcome
from resilience._runtime.decorate import Guarded
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.worst_case import WorstCase
from resilience.classification.classifier import classify
from resilience.classification.retry_hints import retry_after
from resilience.events import Event, RetryScheduled
from resilience.policies.base import Policy, Steps
from resilience.simulation._variants import record_of

__all__ = ["CUT_OFF", "OK", "CallTrace", "TracedAttempt", "TracedCall", "TracingPolicy", "event_fields", "read_trace"]

F = TypeVar("F", bound=Callable[..., object])

OK = "ok"
"""The outcome of a call or attempt that returned."""
CUT_OFF = "cut off"
"""The outcome of an attempt that was ended before it returned or failed: by a time limit, or as its caller left."""


@dataclasses.dataclass(slots=True)
class TracedAttempt:
    """An attempt: its function was called *at* so many seconds of the trace and took *seconds*.

    *outcome* is "ok", "cut off" or the label of a category; *error* the name of the exception's type, *retry_after* the
    server's hint in seconds.
    """

    at: float
    seconds: float = 0.0
    outcome: str = CUT_OFF
    error: str | None = None
    retry_after: float | None = None


@dataclasses.dataclass(slots=True)
class TracedCall:
    """A call of *target*: when it began, how long it took, its attempts, and the events of its policies, in order."""

    target: str
    at: float
    seconds: float = 0.0
    outcome: str = CUT_OFF
    attempts: list[TracedAttempt] = dataclasses.field(default_factory=list[TracedAttempt])
    events: list[Mapping[str, object]] = dataclasses.field(default_factory=list[Mapping[str, object]])

    @property
    def decisions(self) -> list[tuple[object, ...]]:
        """What the policies decided, without how long anything took: two runs that decide the same have the same."""
        decided: list[tuple[object, ...]] = [
            tuple(sorted((name, str(value)) for name, value in event.items() if name not in _MEASURED))
            for event in self.events
        ]
        return [*decided, ("attempts", len(self.attempts)), ("outcome", self.outcome)]

    @property
    def waits(self) -> list[float]:
        """The seconds between its attempts, as its retries have chosen them."""
        waits = [event.get("wait") for event in self.events if event["event"] == "retry.scheduled"]
        return [float(wait) for wait in waits if isinstance(wait, int | float)]

    @classmethod
    def from_line(cls, line: str) -> TracedCall:
        """Return the call that a *line* of a trace describes. Raises ValueError for another line."""
        try:
            document = json.loads(line)
            attempts = [TracedAttempt(**attempt) for attempt in document.pop("attempts")]
            return cls(**document, attempts=attempts)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{line[:60]!r} is no line of a trace: CallTrace(path) writes them") from error


_MEASURED = frozenset({"at", "wait", "retry_after", "error", "target", "share", "seconds"})
"""The fields of events that are measured or chosen by chance, and no decisions."""

current_call: ContextVar[TracedCall | None] = ContextVar("resilience.traced_call", default=None)
"""The traced call that runs in this context."""


class TracingPolicy(Policy):
    """Base of both halves of a trace: they decide nothing."""

    supports_generators = False
    guards_local_methods = False

    def worst(self, inside: WorstCase) -> WorstCase:
        return inside

    def __str__(self) -> str:
        return "trace"


class _OuterHalf(TracingPolicy):
    """Sees each call: makes its `TracedCall`, and hands it over when the call has ended."""

    def __init__(self, trace: CallTrace) -> None:
        self._trace = trace

    def run(self, call: Call) -> Steps:
        """Return the outcome of the call, unchanged."""
        traced = TracedCall(call.target, self._trace.moment(call))
        token = current_call.set(traced)
        try:
            outcome: Outcome = yield Proceed()
            traced.outcome = _label_of(outcome)
            return outcome
        finally:
            with contextlib.suppress(ValueError):  # closed by the garbage collector, in another context
                current_call.reset(token)
            self._trace.write(traced, self._trace.moment(call))


class _InnerHalf(TracingPolicy):
    """Sees each attempt, and notes it on the call that it belongs to."""

    def __init__(self, trace: CallTrace) -> None:
        self._trace = trace

    def run(self, call: Call) -> Steps:
        """Return the outcome of the attempt, unchanged."""
        traced = current_call.get()
        attempt = TracedAttempt(self._trace.moment(call))
        if traced is not None:
            traced.attempts.append(attempt)
        try:
            outcome: Outcome = yield Proceed()
            attempt.outcome = _label_of(outcome)
            if outcome.error is not None:
                attempt.error, attempt.retry_after = type(outcome.error).__name__, retry_after(outcome.error)
            return outcome
        finally:
            attempt.seconds = self._trace.moment(call) - attempt.at


def event_fields(event: Event) -> Mapping[str, object]:
    """Return *event* as a trace has it: its fields, and the wait of a retry to the last digit."""
    exact: dict[str, object] = {}
    if isinstance(event, RetryScheduled):
        exact = {"wait": event.wait}
    return {"event": event.name, **event.fields(), **exact}


def _label_of(outcome: Outcome) -> str:
    if outcome.error is None:
        return OK
    return classify(outcome.error).label


class CallTrace:
    """A trace of calls in a file: a decorator, above the policies of each function that is to be traced.

    Args:
        path: The file. Lines are added at its end; one line for each call, when the call has ended.

    A traced function takes the slow path: some ten microseconds for each call. What a trace cannot hold: streams,
    results that a policy judges, and calls that have not ended. The lines of `log_events` are no trace: they do not say
    which call they belong to. Close it, or leave its ``with`` block, at the end.

    Raises OSError where the file cannot be written, and TypeError for a function that no policy guards.

    >>> import tempfile
    >>> from resilience import retry_on_category
    >>> path = Path(tempfile.mkdtemp(), "events.jsonl")
    >>> with CallTrace(path) as trace:
    ...     @trace
    ...     @retry_on_category(attempts=2)
    ...     def search(query: str) -> str:
    ...         return query
    ...     search("lamp")
    'lamp'
    >>> [(call.outcome, len(call.attempts)) for call in read_trace(path)]
    [('ok', 1)]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file: TextIO | None = Path(path).open("a", encoding="utf-8")  # noqa: SIM115  # closed by `close`
        self._lock = fork_safe(threading.Lock())
        self._began: float | None = None
        self._subscription: Subscription = subscribe(self._note)

    def __call__(self, function: F, /) -> F:
        """Return the guarded *function* traced."""
        record = record_of(function)
        stack = (_OuterHalf(self), *record.policies, _InnerHalf(self))
        traced: Any = Guarded(record.target, record.function, stack, keepers=record.keepers).wrap()
        result: F = traced
        return result

    def moment(self, call: Call) -> float:
        """Return the seconds since the first call of the trace, by the clock of *call*."""
        now = call.clock.now()
        if self._began is None:
            self._began = now
        return now - self._began

    def write(self, traced: TracedCall, now: float) -> None:
        """Write the line of a call that has ended *now*."""
        traced.seconds = now - traced.at
        for attempt in traced.attempts:
            if attempt.outcome == CUT_OFF and not attempt.seconds:  # its thread still runs
                attempt.seconds = now - attempt.at
        line = json.dumps(dataclasses.asdict(traced), default=str)
        with self._lock:
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()

    def _note(self, event: Event) -> None:
        traced = current_call.get()
        if traced is not None:
            traced.events.append(event_fields(event))

    def close(self) -> None:
        """Write no further lines. Doing it twice is fine."""
        self._subscription()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> CallTrace:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def read_trace(path: str | os.PathLike[str]) -> list[TracedCall]:
    """Return the calls of the trace at *path*, in the order in which they began.

    Raises OSError where it cannot be read, ValueError with the number of a line that is not one of a trace.
    """
    return sorted(_calls_in(Path(path)), key=lambda call: call.at)


def _calls_in(path: Path) -> Generator[TracedCall]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield TracedCall.from_line(line)
                except ValueError as error:
                    raise ValueError(f"{path}, line {number}: {error}") from None
