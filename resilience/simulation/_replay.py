"""`replay`: the calls of a trace once more, in virtual time, through the same policies or through others.

Each call begins when it did, and each of its attempts takes as long and ends as it did. What the policies make of that
is decided again. With the policies that were traced the decisions are the same; with others the difference is what
would have happened.

A replay has to invent what the trace does not hold. An attempt that was not made ends as the attempt that began nearest
to it. One that a time limit cut off has no known end: it never answers. And the server does not feel the difference: a
configuration that would have overloaded it, or spared it, does not change its answers. That is what `simulate` is for.
"""

from __future__ import annotations

import asyncio
import bisect
import contextvars
import dataclasses
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from resilience._listeners import subscribe
from resilience._runtime.decorate import Guarded
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.classification.classifier import classify
from resilience.clock import using_clock
from resilience.errors.base import ResilienceError
from resilience.events import Event, RetryScheduled
from resilience.policies.retry import Retry
from resilience.simulation._copies import SUBSTITUTE, Copies
from resilience.simulation._trace import CUT_OFF, OK, TracedAttempt, TracedCall, TracingPolicy, event_fields
from resilience.simulation._variants import record_of
from resilience.simulation._virtual_loop import VirtualLoop, VirtualLoopClock

__all__ = ["Replay", "Tally", "replay"]

_MAX_SHOWN = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of a run of calls: *outcomes* and *events* by name, the *attempts*, and latencies in seconds."""

    calls: int
    attempts: int
    outcomes: Mapping[str, int]
    events: Mapping[str, int]
    p50: float
    p99: float

    @classmethod
    def of(cls, calls: Sequence[TracedCall]) -> Tally:
        """Return the numbers of *calls*."""
        durations = sorted(call.seconds for call in calls) or [0.0]
        return cls(
            len(calls),
            sum(len(call.attempts) for call in calls),
            dict(Counter(call.outcome for call in calls).most_common()),
            dict(Counter(str(event["event"]) for call in calls for event in call.events).most_common()),
            durations[int(0.5 * (len(durations) - 1))],
            durations[int(0.99 * (len(durations) - 1))],
        )

    def rows(self) -> Mapping[str, float]:
        """Return the numbers by the names under which people read them."""
        outcomes = {_OUTCOME.get(name, f"failed: {name}"): number for name, number in self.outcomes.items()}
        return {
            "calls": self.calls,
            "attempts": self.attempts,
            **outcomes,
            **self.events,
            "p50 (ms)": round(self.p50 * 1000, 1),
            "p99 (ms)": round(self.p99 * 1000, 1),
        }


_OUTCOME = {OK: "answered"}


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """The *recorded* calls and what became of them in the replay, *replayed*, call by call in the same order."""

    target: str
    recorded: Sequence[TracedCall]
    replayed: Sequence[TracedCall]

    @property
    def differing(self) -> Sequence[tuple[TracedCall, TracedCall]]:
        """The calls of which the policies have decided otherwise, as they were and as they would have been."""
        pairs = zip(self.recorded, self.replayed, strict=True)
        return [(before, after) for before, after in pairs if before.decisions != after.decisions]

    @property
    def conclusion(self) -> str:
        """The sentence that sums up the replay."""
        number = len(self.differing)
        if not number:
            return f"The policies decide the same about all {len(self.recorded)} calls of {self.target}."
        before, after = self._answered(self.recorded), self._answered(self.replayed)
        sent = sum(len(call.attempts) for call in self.recorded), sum(len(call.attempts) for call in self.replayed)
        return (
            f"{number} of {len(self.recorded)} calls of {self.target} go otherwise: {after} are answered instead of"
            f" {before}, with {sent[1]} attempts instead of {sent[0]}."
        )

    def _answered(self, calls: Sequence[TracedCall]) -> int:
        """Return how many *calls* were answered."""
        return sum(call.outcome == OK for call in calls)

    def __str__(self) -> str:
        before, after = Tally.of(self.recorded).rows(), Tally.of(self.replayed).rows()
        names = list(dict.fromkeys([*before, *after]))
        width = max(map(len, names))
        table = [f"{'':{width}}  {'recorded':>10}  {'replayed':>10}"]
        table += [f"{name:{width}}  {before.get(name, 0):>10g}  {after.get(name, 0):>10g}" for name in names]
        return "\n".join([self.conclusion, "", *table, *self._examples()])

    def _examples(self) -> Sequence[str]:
        """Return the lines of the first calls that differ."""
        differing = self.differing
        if not differing:
            return []
        shown = [
            f"  at {before.at:.3f} s: {_course(before)} -> {_course(after)}" for before, after in differing[:_MAX_SHOWN]
        ]
        more = [f"  and {len(differing) - _MAX_SHOWN} more"] * (len(differing) > _MAX_SHOWN)
        return ["", "calls that go otherwise:", *shown, *more]

    def to_dict(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return {
            "target": self.target,
            "conclusion": self.conclusion,
            "calls": len(self.recorded),
            "differing": len(self.differing),
            "recorded": dataclasses.asdict(Tally.of(self.recorded)),
            "replayed": dataclasses.asdict(Tally.of(self.replayed)),
        }


def _course(call: TracedCall) -> str:
    """Return the outcome of a *call* with the number of its attempts."""
    noun = "attempt" if len(call.attempts) == 1 else "attempts"
    return f"{call.outcome} after {len(call.attempts)} {noun}"


def replay(
    function: Callable[..., object],
    calls: Sequence[TracedCall],
    stack: Sequence[Policy] | None = None,
    *,
    seed: int = 0,
) -> Replay:
    """Replay the *calls* of a trace through the policies of *function*, or through *stack*, and return both courses.

    *calls* of other targets than *function* are left out. The policies are fresh copies: circuits are closed at the
    beginning, as budgets are full. Waits are the recorded ones where the backoff is the same, else drawn with *seed*.

    A replay invents what the trace does not hold: an attempt that was not made ends as the one that began nearest to
    it, one that a time limit cut off never answers, and the share of calls that a circuit sheds is drawn anew. The
    server does not feel the difference: it answers as it did, however many requests are sent.

    Raises TypeError for a function without policies, ValueError where no call is one of *function*.
    """
    record = record_of(function)
    own = [policy for policy in record.policies if not isinstance(policy, TracingPolicy)]
    chosen = own if stack is None else list(stack)
    recorded = [call for call in calls if call.target == record.target]
    if not recorded:
        targets = ", ".join(sorted({call.target for call in calls})) or "no call at all"
        raise ValueError(f"the trace has no call of {record.target}; it has {targets}")
    run = _Run(recorded, keeps_waits=_backoffs_of(own) == _backoffs_of(chosen), seed=seed)
    context = contextvars.Context()
    return Replay(record.target, recorded, context.run(run.run, record.target, Copies().of_stack(chosen)))


def _backoffs_of(stack: Sequence[Policy]) -> Sequence[object]:
    """Return the backoffs of the retries in *stack*, to compare: of the same ones the recorded waits hold."""
    return [(policy.backoff, policy.waits) for policy in stack if isinstance(policy, Retry)]


@dataclasses.dataclass(slots=True)
class _Course:
    """A call in the replay: what was *recorded* of it, what becomes of it *now*, and the wait that begins next.

    *next_wait* is set by the event of a retry, and taken by the clock when the policy waits: a moment later, in the
    same task. Any other wait finds None, and takes its own time.
    """

    recorded: TracedCall
    now: TracedCall
    next_wait: float | None = None


_course_here: contextvars.ContextVar[_Course | None] = contextvars.ContextVar("resilience.replayed", default=None)


class _ReplayClock(VirtualLoopClock):
    """The clock of a replay, whose waits between attempts are the recorded ones."""

    __slots__ = ()

    def sleep_async(self, seconds: float) -> Awaitable[None]:
        """Wait in this task for *seconds*, or where it is the wait before a retry, for as long as was recorded."""
        course = _course_here.get()
        if course is not None and course.next_wait is not None:
            seconds, course.next_wait = course.next_wait, None
        return asyncio.sleep(seconds)


class _Run:
    """One replay, in a loop and by a clock of its own. It is used once.

    Each call runs in a task, whose context holds its course: the attempts, waits and events of the call find it there.
    Waits between attempts are the recorded ones only where the backoff is the same: *keeps_waits*. A wait that was
    drawn at random is then drawn no second time, and the same policies come to the same decisions.
    """

    def __init__(self, recorded: Sequence[TracedCall], *, keeps_waits: bool, seed: int) -> None:
        self._recorded = recorded
        self._keeps_waits = keeps_waits
        self._seed = seed
        #: All attempts by the moment at which they began.
        self._attempts: list[TracedAttempt] = sorted(
            (attempt for call in recorded for attempt in call.attempts), key=lambda attempt: attempt.at
        )
        self._moments: list[float] = [attempt.at for attempt in self._attempts]

    def run(self, target: str, stack: Sequence[Policy]) -> Sequence[TracedCall]:
        """Return the calls as they go through *stack*."""
        loop = VirtualLoop()
        self._loop = loop
        guarded: Callable[..., Any] = Guarded(target, self._request, tuple(stack)).wrap()
        clock = _ReplayClock(loop, random.Random(self._seed))
        with (
            subscribe(self._note),
            using_clock(clock),
            asyncio.Runner(loop_factory=lambda: loop) as runner,
        ):
            return runner.run(self._main(guarded))

    async def _main(self, guarded: Callable[..., Awaitable[object]]) -> Sequence[TracedCall]:
        """Begin each call at its moment, wait until all have ended, and return them in the order of the trace."""
        courses = [_Course(call, TracedCall(call.target, call.at)) for call in self._recorded]
        tasks: list[asyncio.Task[None]] = []
        done: asyncio.Future[None] = self._loop.create_future()

        def begin(course: _Course) -> None:
            tasks.append(self._loop.create_task(self._call(guarded, course)))

        for course in courses:
            self._loop.at(course.recorded.at, begin, course)
        self._loop.at(max(call.at for call in self._recorded), lambda _: done.set_result(None))
        await done
        await asyncio.wait(tasks, timeout=_MAX_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return [course.now for course in courses]

    async def _call(self, guarded: Callable[..., Awaitable[object]], course: _Course) -> None:
        """Make one call, and note its outcome and its duration."""
        _course_here.set(course)
        now = course.now
        try:
            await guarded()
            now.outcome = OK
        except Exception as error:
            now.outcome = classify(error).label
        finally:
            now.seconds = self._loop.time() - now.at

    async def _request(self) -> object:
        """Stand for the function: take as long as the recorded attempt, and end as it did."""
        course = _course_here.get()
        assert course is not None, "each call has its course"
        number = len(course.now.attempts)
        attempt = TracedAttempt(self._loop.time())
        course.now.attempts.append(attempt)
        model = self._nearest(attempt.at)
        if number < len(course.recorded.attempts):
            model = course.recorded.attempts[number]
        try:
            if model.outcome == CUT_OFF:
                await asyncio.sleep(_MAX_SECONDS)
            await asyncio.sleep(model.seconds)
            attempt.outcome, attempt.error, attempt.retry_after = model.outcome, model.error, model.retry_after
            if model.outcome != OK:
                raise ResilienceError(
                    model.error or "", category=_CATEGORIES.get(model.outcome), retry_after=model.retry_after
                )
            return SUBSTITUTE
        finally:
            attempt.seconds = self._loop.time() - attempt.at

    def _nearest(self, moment: float) -> TracedAttempt:
        """Return the recorded attempt that began nearest to *moment*; one that succeeds at once where there is none."""
        place = bisect.bisect_left(self._moments, moment)
        near = self._attempts[max(0, place - 1) : place + 1]
        return min(near, key=lambda attempt: abs(attempt.at - moment), default=TracedAttempt(moment, outcome=OK))

    def _note(self, event: Event) -> None:
        """Note an *event* of the call that this task makes; before a retry, have it wait as long as was recorded."""
        course = _course_here.get()
        if course is None:
            return
        course.now.events.append(event_fields(event))
        if isinstance(event, RetryScheduled) and self._keeps_waits:
            waits, number = course.recorded.waits, len(course.now.waits) - 1
            if number < len(waits):
                course.next_wait = waits[number]


_CATEGORIES: Mapping[str, ErrorCategory] = {leaf.label: leaf for leaf in ErrorCategory}
_MAX_SECONDS = 86_400.0
"""Longer than any call waits: the end of an attempt of which the trace does not know one."""
