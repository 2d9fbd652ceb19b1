"""The scenarios that the test suites of other circuit breakers play, played by ours: sync, on asyncio and on trio.

A scenario is a row: a sentence, the equivalent options of `circuit_breaker`, and its steps, each with the expected
outcome. The libraries are pybreaker, circuitbreaker, gobreaker, failsafe-go, resilience4j and interlock-cb. The rows
are written in the words of this toolkit; no code is copied.

Where our circuit differs on purpose, `decided` gives the reason and quotes the sentence of the documentation that
promises our behaviour. The steps of such a row expect our behaviour, and a test looks the quotation up.

Calls in flight are permits by hand, as in the suites of gobreaker, resilience4j and interlock-cb; calls in flight in
threads and tasks are the subject of `test_half_open_bugs`. What pybreaker tests of Redis is in `test_redis_storage` and
`test_storage`.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pybreaker
import pytest

import resilience
from resilience import CircuitBreaker, CircuitOpenError, ErrorCategory, circuit_breaker, fallback, retry_on_category
from resilience.circuits import CircuitMode, Permit
from resilience.circuits._snapshot import snapshot_of
from resilience.testing import VirtualClock, virtual_time
from tests.runners import Runner

ROOT = Path(__file__).parents[2]

down = ConnectionResetError("down")  # network: weight 1
late = TimeoutError("late")  # timeout: weight 1
bug = TypeError("a bug of the caller's")  # internal: counts for nothing


class Told(Exception):
    """An error that says its category, and perhaps a Retry-After."""

    def __init__(self, category: ErrorCategory, retry_after: float | None = None) -> None:
        super().__init__(category.label)
        self.category = category
        self.retry_after = retry_after


missing = Told(ErrorCategory.NOT_FOUND)  # the dependency answered: as a probe a success
not_sent = Told(ErrorCategory.REJECTED)  # the call did not reach the dependency


# -- steps ------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Stage:
    """The circuit of one scenario, its time, its permits by hand, and the events so far."""

    breaker: CircuitBreaker
    clock: VirtualClock
    permits: dict[str, Permit] = dataclasses.field(default_factory=dict)
    events: list[str] = dataclasses.field(default_factory=list)
    call: Call | None = None
    reached: int = 0

    def respond(self) -> object:
        """Act as the dependency: take the time of the present call, and raise or return what it ends with."""
        assert self.call is not None
        self.reached += 1
        self.clock.advance(self.call.takes)
        if isinstance(self.call.ends, BaseException):
            raise self.call.ends
        return self.call.ends

    @contextlib.contextmanager
    def making(self, call: Call) -> Iterator[Callable[[object], None]]:
        """Make *call* in this block, and check its outcome: what it raised, or the answer that is handed over."""
        self.call, before = call, self.reached
        answers: list[object] = []
        try:
            yield answers.append
        except Exception as error:
            answers.append(error)
        call.check(*answers, self.reached - before)


@dataclasses.dataclass(frozen=True)
class Call:
    """A step: one call through the circuit, which reaches the dependency and ends as the dependency does."""

    ends: object = "done"
    takes: float = 0.0

    def check(self, answer: object, reached: int) -> None:
        """The caller gets the very object that the dependency returned or raised."""
        assert (answer, reached) == (self.ends, 1)
        assert answer is self.ends


@dataclasses.dataclass(frozen=True)
class Rejected(Call):
    """A step: one call that the circuit rejects. The dependency is not reached."""

    retry_after: float | None = None
    text: str = "circuit 'other' is "

    def check(self, answer: object, reached: int) -> None:
        """The caller gets a `CircuitOpenError`."""
        assert isinstance(answer, CircuitOpenError)
        assert reached == 0
        assert self.text in str(answer)
        if self.retry_after is not None:
            assert answer.retry_after == pytest.approx(self.retry_after)


Step = Call | Callable[[Stage], object]

passes = Call()
fails = Call(down)
ignored = Call(bug)
answered = Call(missing)
unreachable = Call(not_sent)
rejected = Rejected()


def slow(seconds: float, ends: object = "done") -> Call:
    """A call that takes so many seconds."""
    return Call(ends, seconds)


def after(seconds: float) -> Step:
    """Let so much time pass."""
    return lambda stage: stage.clock.advance(seconds)


def by_hand(method: str) -> Step:
    """Call a method of the circuit without arguments."""
    return lambda stage: getattr(stage.breaker, method)()


def shows(**attributes: object) -> Step:
    """The circuit has these attributes."""

    def step(stage: Stage) -> None:
        assert {name: getattr(stage.breaker, name) for name in attributes} == attributes

    return step


def snapshot(**fields: object) -> Step:
    """The circuit's snapshot has these fields."""

    def step(stage: Stage) -> None:
        (entry,) = snapshot_of(stage.breaker)
        assert {name: entry[name] for name in fields} == fields  # type: ignore[literal-required]

    return step


def counts(failures: int) -> Step:
    """So many failures in a row are counted."""
    return shows(fail_counter=failures)


def window(calls: int, failed: int, slow: int = 0) -> Step:
    """The window holds so many calls."""
    return snapshot(calls=calls, failed=failed, slow=slow)


def next_probe_in(seconds: float | None) -> Step:
    """The open circuit admits a probe in so many seconds; None where it is not open."""
    return snapshot(next_probe=None if seconds is None else pytest.approx(seconds))


def next_probe_within(least: float, most: float) -> Step:
    """The open circuit admits a probe in so many seconds, by chance."""

    def step(stage: Stage) -> None:
        (entry,) = snapshot_of(stage.breaker)
        assert entry["next_probe"] is not None
        assert least <= entry["next_probe"] <= most

    return step


def begins(*names: str) -> Step:
    """Calls of these names are admitted, and stay in flight."""

    def step(stage: Stage) -> None:
        for name in names:
            stage.permits[name] = stage.breaker.acquire()

    return step


def refused(stage: Stage) -> None:
    """Another call would be rejected, and is."""
    assert not stage.breaker.would_admit()
    with pytest.raises(CircuitOpenError):
        stage.breaker.acquire()


def admits(stage: Stage) -> None:
    """Another call would be admitted. None is made."""
    assert stage.breaker.would_admit()


def ends(name: str, error: Exception | None = None) -> Step:
    """A call in flight succeeds, or fails with *error*."""

    def step(stage: Stage) -> None:
        permit = stage.permits.pop(name)
        if error is None:
            permit.succeeded()
        else:
            permit.failed(error)

    return step


def cancelled(name: str) -> Step:
    """A call in flight is cancelled: it has no outcome."""
    return lambda stage: stage.permits.pop(name).release()


def happened(*events: str) -> Step:
    """These events were emitted since the last look."""

    def step(stage: Stage) -> None:
        assert tuple(stage.events) == events
        stage.events.clear()

    return step


is_closed = shows(current_state="closed")
is_open = shows(current_state="open")
is_half_open = shows(current_state="half-open")


# -- scenarios --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Decision:
    """A documented difference: its reason, and the sentence of the documentation or a docstring that promises it."""

    why: str
    page: str
    quote: str


def decided(why: str, quote: str, page: str = "docs/circuit-breaker.md") -> Decision:
    """Mark a scenario whose outcome differs here, with the reason and the documented sentence."""
    return Decision(why, page, quote)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One row: a sentence, the options, the steps, and the decision where our outcome differs."""

    title: str
    options: dict[str, object]
    steps: tuple[Step, ...]
    decision: Decision | None = None


def row(title: str, options: dict[str, object], *steps: Step | Decision) -> Scenario:
    """Make a scenario; a `Decision` may stand among the steps."""
    decisions = [step for step in steps if isinstance(step, Decision)]
    plain = tuple(step for step in steps if not isinstance(step, Decision))
    return Scenario(title, options, plain, *decisions)


def play(scenario: Scenario, runner: Runner) -> None:
    """Play the steps in virtual time, each call by *runner*."""
    breaker = circuit_breaker("other", **scenario.options)  # type: ignore[arg-type]

    @breaker
    def dependency() -> object:
        return stage.respond()

    @breaker
    async def async_dependency() -> object:
        return stage.respond()

    def play_sync() -> None:
        for step in scenario.steps:
            if isinstance(step, Call):
                with stage.making(step) as note:
                    note(dependency())
            else:
                step(stage)

    async def play_async() -> None:
        for step in scenario.steps:
            if isinstance(step, Call):
                with stage.making(step) as note:
                    note(await async_dependency())
            else:
                step(stage)

    with virtual_time() as clock, resilience.subscribe(lambda event: stage.events.append(event.name)):
        stage = Stage(breaker, clock)
        runner.run(play_sync, play_async)


THREE = {"failure_threshold": 3, "reset_timeout": 30}

OWN_ERROR = decided(
    "pybreaker raises CircuitBreakerError from the call whose failure opens the circuit. That call was made, and its"
    " caller needs its error.",
    "raises its own error",
    "docs/migrating.md",
)
FAILED_PROBE_OPENS = decided(
    "failsafe-go lets the failure threshold decide about probes too. Here the first failed probe is enough, and"
    " close_rate is how to let some fail.",
    "half_open --> closed: success_threshold probes succeed half_open --> open: a probe fails",
)
OPENS_AT_A_FAILURE = decided(
    "resilience4j looks at the rate after a success too. Here a success opens nothing: the circuit opens at the"
    " failure by which the rate is reached, and the next one would be that.",
    "opens at the failure by which half of the window's calls have failed",
)
NO_TIMER = decided(
    "The others have a timer that makes the circuit half-open. Here the next call does, and the state is shown"
    " accordingly, so nothing has to be scheduled, cancelled or shut down.",
    "No timer runs: the probe is the first call after the open time, though `current_state` and"
    " [`circuits.snapshot()`](#look-at-all-of-them) say half-open as soon as that time is over.",
)
AT_A_TIME = decided(
    "The others count the calls of a half-open round. Here probes is how many may be in flight at a time, and"
    " success_threshold how many have to succeed.",
    "While `probes` probes are in flight, all other calls are rejected.",
)
BY_CATEGORY = decided(
    "The others take the exception types that count. Here the category of an exception decides.",
    "**What counts is decided by category.**",
    "docs/migrating.md",
)
NOTHING_CHANGES = decided(
    "In the other library an excluded exception is a success, and starts the count again. Here an error that says"
    " nothing about the dependency leaves the count as it is.",
    "What counts for nothing is not in the window.",
)
SHADOW_STATE = decided(
    "The others have a state of their own for it. Here the state goes on as it would, and the mode says that no call"
    " is rejected.",
    "`shadow()`: all calls pass and are recorded.",
)

PYBREAKER = [
    row("a success leaves it closed and counts nothing", {}, passes, counts(0), is_closed),
    row("a failure is counted and leaves it closed", {}, fails, counts(1), is_closed),
    row("a success starts the count again", {}, fails, counts(1), passes, counts(0), is_closed),
    row("it opens at the threshold", THREE, fails, fails, is_closed, fails, is_open, counts(3), rejected, OWN_ERROR),
    row(
        "the tripping call raises its own error, as with throw_new_error_on_trip=False",
        THREE,
        *(*[fails] * 3, counts(3), rejected, counts(3), is_open),
    ),
    row(
        "a rejection names the type of the last failure",
        {"failure_threshold": 1},
        *(fails, Rejected(text="after 1 failure (last: ConnectionResetError)")),
        decided(
            "pybreaker chains the tripping call's exception. That belongs to another caller: here a rejection carries"
            " its type and category, not its frames and message.",
            "`CircuitOpenError`, `error.retry_after`, `error.last_error_type`",
            "docs/migrating.md",
        ),
    ),
    row("a failed probe opens it again", THREE, *[fails] * 3, after(30), fails, counts(4), is_open, rejected),
    row("a successful probe closes it", THREE, *[fails] * 3, rejected, after(30), passes, counts(0), is_closed),
    row("half-open by hand, a failure opens it", {}, by_hand("half_open"), is_half_open, fails, counts(1), is_open),
    row("half-open by hand, a success closes it", {}, by_hand("half_open"), passes, counts(0), is_closed),
    row(
        "closed by hand it counts from 0", THREE, *[fails] * 3, is_open, by_hand("close"), counts(0), is_closed, passes
    ),
    row(
        "each transition by hand is one event",
        {},
        *map(by_hand, ("open", "half_open", "close")),
        happened("circuit.opened", "circuit.half_opened", "circuit.closed"),
    ),
    row("it has pybreaker's defaults", {}, shows(fail_max=5, reset_timeout=60, fail_counter=0, current_state="closed")),
    row("it excludes nothing and notifies no listener", {}, shows(excluded_exceptions=(), listeners=())),
    row("reset_timeout may be given", {"reset_timeout": 30}, shows(reset_timeout=30, fail_max=5, fail_counter=0)),
    row("the threshold may be given", {"failure_threshold": 10}, shows(reset_timeout=60, fail_max=10)),
    row("a type that does not count leaves the count", {}, fails, counts(1), ignored, counts(1), NOTHING_CHANGES),
    row("an answer that refuses leaves the count", {}, fails, answered, counts(1), fails, counts(2), NOTHING_CHANGES),
    row("half-open, an answer that refuses is a success", {}, by_hand("half_open"), answered, is_closed),
    row(
        "half-open, an error that says nothing about the dependency decides nothing",
        {},
        *(by_hand("half_open"), ignored, is_half_open, admits),
        decided(
            "pybreaker closes at an excluded exception. Here only an answer of the dependency closes it.",
            "| other categories: `rate_limit`, `rejected`, `internal`, ..., or outside `trip_on` | nothing | decides"
            " nothing |",
        ),
    ),
    row(
        "errors of one type count by what they say",
        {},
        *(Call(Told(ErrorCategory.SERVER_ERROR)), counts(1), answered, counts(1)),
        *(Call(Told(ErrorCategory.TIMEOUT)), counts(2)),
        BY_CATEGORY,
    ),
    row(
        "one success closes it by default", THREE, *[fails] * 3, after(30), passes, is_closed, shows(success_counter=0)
    ),
    row(
        "several successes close it when success_threshold says so",
        {**THREE, "success_threshold": 3},
        *(*[fails] * 3, after(30), passes, is_half_open, shows(success_counter=1), passes, is_half_open),
        *(shows(success_counter=2), passes, is_closed, shows(success_counter=0)),
    ),
    row(
        "a failed probe discards the successes before it",
        {**THREE, "success_threshold": 3},
        *(*[fails] * 3, after(30), *[passes] * 2, shows(success_counter=2), fails, is_open),
        *(shows(success_counter=0), after(30), passes, is_half_open, shows(success_counter=1)),
    ),
    row("success_threshold can be read", {"success_threshold": 5}, shows(success_threshold=5)),
]

CIRCUITBREAKER = [
    row("it returns what the function returns", {}, Call("value")),
    row("after one failure of one, the function is not called", {"failure_threshold": 1}, fails, is_open, rejected),
    row(
        "it opens, rejects, half-opens, opens again",
        {"failure_threshold": 3, "reset_timeout": 1},
        *(passes, fails, is_closed, counts(1), fails, is_closed, counts(2), fails, is_open, counts(3)),
        *(next_probe_in(1), *[rejected] * 2, counts(3), after(1), is_half_open, fails, is_open, counts(4)),
        *(next_probe_in(1), rejected),
    ),
    row(
        "it opens again after it had recovered",
        {"failure_threshold": 2, "reset_timeout": 1},
        *(passes, fails, counts(1), fails, is_open, counts(2), after(1), passes, is_closed, counts(0), passes),
        *(fails, is_closed, counts(1), fails, is_open, counts(2), rejected),
    ),
    row(
        "the time left is shown while it is open",
        {"failure_threshold": 1, "reset_timeout": 30},
        *(fails, after(10), next_probe_in(20), Rejected(retry_after=20)),
    ),
    row(
        "a rejection says name, failures, time left and type",
        {"failure_threshold": 1, "reset_timeout": 30},
        fails,
        Rejected(text="circuit 'other' is open after 1 failure (last: ConnectionResetError); next probe in 30.0 s"),
    ),
    row("any error that is not the caller's fault counts by default", {}, Call(Exception("what?")), counts(1)),
    row("expected_exception is trip_on", {"trip_on": "network"}, Call(late), counts(0), fails, counts(1), BY_CATEGORY),
    row(
        "a list of expected exceptions is a union of categories",
        {"trip_on": "network|timeout"},
        *(Call(late), counts(1), fails, counts(2), Call(Told(ErrorCategory.SERVER_ERROR)), counts(2)),
        BY_CATEGORY,
    ),
    row("the last failure is remembered by its category", {}, fails, snapshot(last_category="network")),
]

SIX = {"failure_threshold": 6, "reset_timeout": 60}
INTERVAL = {"failure_threshold": None, "failure_rate": 0.6, "minimum_calls": 3, "window_seconds": 30}
SUCCESSFUL = {"profiles": {"network": {"weight": 0}}}

GOBREAKER = [
    row(
        "more than five failures in a row open it",
        SIX,
        *(*[fails] * 5, is_closed, counts(5), passes, counts(0), fails, counts(1), *[fails] * 5, is_open),
        *(rejected, rejected),
    ),
    row(
        "five failures open it by default",
        {},
        *(*[fails] * 4, is_closed, fails, is_open),
        decided(
            "gobreaker's default opens at the sixth failure.",
            "| `failure_threshold` | failures in a row that open it, by [weight](#what-counts); `None`, with a rate:"
            " off | `5` |",
        ),
    ),
    row("it is open until its time is over", SIX, by_hand("open"), after(59.999), is_open, rejected, after(1), admits),
    row("it is shown half-open once its time is over", SIX, by_hand("open"), after(60), is_half_open, NO_TIMER),
    row("half-open, a failure opens it", SIX, by_hand("open"), after(60), fails, is_open, rejected, next_probe_in(60)),
    row("half-open, a success closes it", SIX, by_hand("open"), after(60), passes, is_closed, counts(0)),
    row("a circuit that closed starts with nothing counted", SIX, *[fails] * 6, after(60), passes, fails, counts(1)),
    row(
        "two of three failed, of the last 30 seconds, open it",
        INTERVAL,
        *(fails, is_closed, window(1, 1), passes, window(2, 1), fails, is_open),
    ),
    row(
        "what is older than the window does not count",
        INTERVAL,
        *(*(passes, fails, ignored) * 3, window(6, 3), after(31), window(0, 0), fails, is_closed, window(1, 1)),
    ),
    row("an excluded error is no call of the window", INTERVAL, *[ignored] * 5, window(0, 0), fails, window(1, 1)),
    row(
        "the window slides by tenths",
        INTERVAL,
        *(passes, fails, ignored) * 5,
        window(10, 5),
        *(after(3), passes, window(11, 5)),
        *(after(2), passes, ignored, window(12, 5)),
        *(after(2), ignored, passes, window(13, 5)),
        *(after(2), fails, window(14, 6)),
        *(after(3), passes, fails) * 6,
        window(26, 12),
        *(after(3), fails, window(17, 8)),
        *[fails] * 5,
        *(window(22, 13), is_closed),
        *(fails, is_open),  # 14 of 23
    ),
    row(
        "excluded probes are neutral",
        {"failure_threshold": 1, "reset_timeout": 90, "success_threshold": 3},
        *(fails, after(90), *[ignored] * 4, is_half_open, fails, is_open),
    ),
    row(
        "it closes when enough probes have succeeded",
        {"failure_threshold": 1, "reset_timeout": 90, "success_threshold": 3, "probes": 3},
        *(fails, after(90), passes, passes, is_half_open, shows(success_counter=2), begins("third")),
        *(shows(probes_in_flight=1), ends("third"), is_closed, shows(success_counter=0)),
    ),
    row(
        "with one call in flight, another one is admitted, though two have succeeded",
        {"failure_threshold": 1, "reset_timeout": 90, "success_threshold": 3, "probes": 3},
        *(fails, after(90), passes, passes, begins("third"), admits, begins("fourth", "fifth"), refused),
        AT_A_TIME,
    ),
    row(
        "an outcome of an earlier generation has no effect",
        {},
        *(begins("old"), by_hand("reset"), ends("old", down), counts(0)),
    ),
    row("a late success does not close an open circuit", {}, begins("old"), by_hand("open"), ends("old"), is_open),
    row(
        "a late failure does not reopen a closed circuit",
        THREE,
        *(begins("old"), *[fails] * 3, after(30), passes, ends("old", down), counts(0)),
    ),
    row("errors may be declared successes", SUCCESSFUL, *[fails] * 5, counts(0), is_closed),
    row(
        "excluded, successful and failed calls each do what they should",
        {},
        *(*[ignored] * 3, counts(0), *[passes] * 3, counts(0), *[fails] * 2, counts(2)),
    ),
    row(
        "in two steps, six failures in a row open it",
        SIX,
        *(*(begins("a"), ends("a", down)) * 5, is_closed, begins("a"), ends("a"), counts(0)),
        *(*(begins("a"), ends("a", down)) * 6, is_open, refused, refused, refused),
    ),
    row(
        "in two steps, calls that are excluded give their place back",
        {**SIX, "probes": 2, "success_threshold": 2},
        *(by_hand("open"), after(60), begins("a", "b"), refused, refused, ends("a", bug), ends("b", bug)),
        *(is_half_open, begins("c"), ends("c"), is_half_open, begins("d"), ends("d", down), is_open),
    ),
    row(
        "in two steps, two successes close it",
        {**SIX, "probes": 2, "success_threshold": 2},
        *(by_hand("open"), after(60), begins("a", "b"), ends("a"), is_half_open, ends("b"), is_closed, counts(0)),
    ),
]

ONE = {"failure_threshold": 1}
SHARE = {"failure_threshold": None}
HALF_OPEN = by_hand("half_open")

FAILSAFE_GO = [
    row("with a threshold of one, a failure opens it", ONE, by_hand("close"), is_closed, fails, is_open),
    row("three failures in a row open it", THREE, fails, passes, fails, fails, is_closed, fails, is_open),
    row(
        "two failures of three open it",
        {**SHARE, "failure_rate": 2 / 3, "window": 3, "minimum_calls": 3},
        *(fails, passes, is_closed, fails, is_open),
    ),
    row("a success leaves it closed", ONE, passes, is_closed),
    row(
        "a share that is never reached leaves it closed",
        {**SHARE, "failure_rate": 3 / 4, "window": 4},
        *(passes, fails, is_closed) * 20,
    ),
    row("failures that are never in a row leave it closed", {"failure_threshold": 2}, *(passes, fails, is_closed) * 20),
    row("half-open, a failure opens it", ONE, HALF_OPEN, is_half_open, fails, is_open),
    row(
        "half-open, the first failure opens it, whatever the threshold",
        THREE,
        *(HALF_OPEN, fails, is_open),
        FAILED_PROBE_OPENS,
    ),
    row(
        "half-open, the first failure opens it, whatever the rate",
        {**SHARE, "failure_rate": 2 / 3, "window": 3},
        *(HALF_OPEN, fails, is_open),
        FAILED_PROBE_OPENS,
    ),
    row(
        "half-open, close_rate says how many may fail before it opens",
        {**THREE, "success_threshold": 2, "close_rate": 0.5},
        *(HALF_OPEN, fails, passes, is_half_open, fails, is_half_open, fails, is_open),
    ),
    row(
        "half-open, a failure after successes opens it",
        {"failure_threshold": 2, "success_threshold": 3},
        *(HALF_OPEN, passes, passes, is_half_open, fails, is_open),
    ),
    row(
        "half-open, three of four can no longer succeed: it opens",
        {"success_threshold": 3, "close_rate": 3 / 4},
        *(HALF_OPEN, passes, fails, passes, is_half_open, fails, is_open),
    ),
    row(
        "half-open, two of three can no longer succeed: it opens",
        {"success_threshold": 2, "close_rate": 2 / 3},
        *(HALF_OPEN, fails, passes, is_half_open, fails, is_open),
    ),
    row(
        "half-open, two of four can no longer succeed: it opens",
        {"failure_threshold": 1, "success_threshold": 2, "close_rate": 1 / 2},
        *(HALF_OPEN, passes, fails, fails, is_half_open, fails, is_open),
    ),
    row("half-open, one failure of three needed opens it", {"success_threshold": 3}, HALF_OPEN, passes, fails, is_open),
    row(
        "half-open, the rate of the closed circuit does not matter",
        {"failure_rate": 3 / 5, "window": 5, "success_threshold": 3},
        *(HALF_OPEN, fails, is_open),
    ),
    row("half-open, a success closes it", ONE, HALF_OPEN, is_half_open, passes, is_closed),
    row(
        "half-open, two of three succeed: it closes",
        {"success_threshold": 2, "close_rate": 2 / 3},
        *(HALF_OPEN, fails, passes, is_half_open, passes, is_closed),
    ),
    row("half-open, a success closes it, whatever the threshold", THREE, HALF_OPEN, passes, is_closed),
    row(
        "half-open, three of four succeed: it closes",
        {"success_threshold": 3, "close_rate": 3 / 4},
        *(HALF_OPEN, passes, fails, passes, is_half_open, passes, is_closed),
    ),
    row(
        "half-open, three of four succeed, the failure last but one: it closes",
        {"failure_threshold": 2, "success_threshold": 3, "close_rate": 3 / 4},
        *(HALF_OPEN, passes, passes, fails, is_half_open, passes, is_closed),
    ),
    row(
        "half-open, three successes close it",
        {"success_threshold": 3},
        *(HALF_OPEN, passes, is_half_open, passes, is_half_open, passes, is_closed),
    ),
    row(
        "half-open, two successes close it, whatever the rate",
        {"failure_rate": 3 / 5, "window": 5, "success_threshold": 2},
        *(HALF_OPEN, passes, is_half_open, passes, is_closed),
    ),
    row("half-open, no time is left", {"reset_timeout": 1}, HALF_OPEN, next_probe_in(None), admits),
    row(
        "open, no permit is to be had until the time is over",
        {"reset_timeout": 0.1},
        *(by_hand("open"), refused, after(0.11), begins("a"), is_half_open),
    ),
    row(
        "open, the time left shrinks",
        {"reset_timeout": 1},
        *(by_hand("open"), next_probe_in(1), after(0.11), next_probe_in(0.89)),
    ),
    row("closed, no time is left", {"reset_timeout": 1}, next_probe_in(None)),
    row(
        "open, no time is left once it is over",
        {"reset_timeout": 1},
        *(by_hand("open"), after(5), next_probe_in(0), admits),
    ),
    row("open by hand, it rejects the first call", {}, by_hand("open"), rejected, is_open),
    row(
        "half-open, calls beyond the probes in flight are rejected",
        {"success_threshold": 3, "probes": 3},
        *(HALF_OPEN, begins("a", "b", "c"), *[rejected] * 5),
    ),
    row(
        "results may be failures",
        {"failure_threshold": 2, "failure_if": lambda result: result is False, "reset_timeout": 10},
        *(Call(False), Call(False), is_open, rejected),
    ),
    row(
        "a share of the calls of some time opens it, what is older does not count",
        {**SHARE, "failure_rate": 0.5, "minimum_calls": 3, "window_seconds": 0.2, "reset_timeout": 1},
        *(fails, passes, after(0.21), fails, passes, after(0.05), passes, is_closed, fails, is_open, after(1)),
        *(fails, is_open, after(1), passes, is_closed),
    ),
    row(
        "failures within some time open it as a share of the calls",
        {**SHARE, "failure_rate": 0.5, "minimum_calls": 2, "window_seconds": 0.2, "reset_timeout": 1},
        *(passes, fails, is_open),
        decided(
            "failsafe-go can also count failures within a time, whatever succeeded meanwhile. Here it is a share, so"
            " that a busy client does not open at the few failures that any dependency has.",
            "rates are of the last so many calls (20 unless given), or seconds",
        ),
    ),
    row("opening is an event", ONE, passes, fails, happened("circuit.opened")),
    row(
        "closing is an event",
        {"success_threshold": 3, "close_rate": 3 / 5},
        *(HALF_OPEN, fails, fails, passes, passes, passes, happened("circuit.half_opened", "circuit.closed")),
    ),
    row(
        "the window says how many calls failed, and their share",
        {**SHARE, "failure_rate": 0.9, "window": 10, "minimum_calls": 10},
        *(*(passes, fails) * 3, passes, snapshot(calls=7, failed=3, failure_rate=3 / 7)),
        *(*(fails, passes, passes, passes) * 3, fails, passes, passes),
        snapshot(calls=10, failed=2, failure_rate=0.2),
    ),
]

R4J = {
    "failure_threshold": None,
    "failure_rate": 0.5,
    "slow_call_rate": 0.5,
    "slow_call_seconds": 4,
    "window_seconds": 100,
    "minimum_calls": 5,
    "reset_timeout": 5,
    "probes": 4,
    "success_threshold": 3,
    "close_rate": 3 / 4,
    "probe_timeout": 1,
}
REOPENED = (by_hand("open"), by_hand("half_open"), is_half_open)
FOUR = ("a", "b", "c", "d")

RESILIENCE4J = [
    row("it has the name it was given", R4J, shows(name="other")),
    row("open, it rejects", R4J, by_hand("open"), refused, rejected),
    row("isolated, it rejects", R4J, by_hand("isolate"), refused, rejected),
    row(
        "a permit that is given back admits another call",
        R4J,
        *(*REOPENED, begins(*FOUR), refused, refused, cancelled("a"), begins("e"), refused),
    ),
    row("half-open, no more than the probes are admitted", R4J, *REOPENED, begins(*FOUR), rejected),
    row(
        "half-open again by hand, as many probes are admitted again",
        R4J,
        *(*REOPENED, begins(*FOUR), refused, *REOPENED, begins("e", "f", "g", "h"), refused),
    ),
    row(
        "half of the calls of some time have failed: it opens",
        {**R4J, "window_seconds": 20},
        *(*(passes, after(1)) * 3, fails, after(1), fails, is_closed, after(1), is_closed, fails, is_open),
    ),
    row(
        "a success by which enough calls are seen does not open it, the next failure does",
        {**R4J, "failure_rate": 0.6},
        *(fails, window(1, 1), fails, window(2, 2), fails, window(3, 3), passes, window(4, 3), passes),
        *(window(5, 3), is_closed, fails, is_open, refused),
        OPENS_AT_A_FAILURE,
    ),
    row(
        "slow calls open it",
        {**R4J, "failure_rate": None},
        *(slow(5), window(1, 0, 1), slow(5), window(2, 0, 2), slow(1), slow(1), window(4, 0, 2), is_closed),
        *(slow(5), is_open),
    ),
    row(
        "a call that fails slowly is a failure, and no slow call",
        {**R4J, "failure_rate": None},
        *(slow(5, down), slow(5), slow(0.1, down), slow(0.1), slow(5), window(5, 2, 2), is_closed),
        decided(
            "resilience4j counts a slow failure among the slow calls too. Here it is a failure, once.",
            "A slow failure counts as a failure only.",
        ),
    ),
    row(
        "open, it rejects until its time is over",
        R4J,
        *(by_hand("open"), rejected, after(3), is_open, rejected, after(3), passes, is_half_open),
    ),
    row(
        "it stays open for as long as a server asks",
        {**R4J, "open_for": "rate_limit"},
        *(Call(Told(ErrorCategory.RATE_LIMIT, 7200)), is_open, rejected, after(3600), is_open, rejected),
        *(after(3601), passes, is_half_open),
        decided(
            "resilience4j opens by hand for a time. Here open() is for reset_timeout, and a time of its own comes with"
            " the server's answer.",
            "opens the circuit at once, for exactly that long",
        ),
    ),
    row(
        "the open time grows with each opening in a row, jittered",
        {**R4J, "max_reset_timeout": 100},
        *(by_hand("open"), next_probe_within(2.5, 5), after(5), begins("a"), is_half_open, by_hand("open")),
        *(next_probe_within(5, 10), after(10), begins("b"), is_half_open, by_hand("open")),
        next_probe_within(10, 20),
    ),
    row(
        "half-open, too many failed: it opens as soon as that is certain",
        R4J,
        *(*REOPENED, fails, is_half_open, fails, is_open),
        decided(
            "resilience4j waits for all four probes. Here the second failure decides: three successes could no longer"
            " be three quarters.",
            "the circuit opens again once the `success_threshold`-th success could no longer give that share",
        ),
    ),
    row(
        "half-open, slow probes are failed ones",
        R4J,
        *(*REOPENED, slow(5), is_half_open, slow(5), is_open),
        decided(
            "resilience4j waits for all four probes, and opens at the rate of the slow ones. Here a slow probe counts"
            " as failed, and the second decides.",
            "A probe that succeeds after `slow_call_seconds` counts as failed.",
        ),
    ),
    row(
        "half-open, one of four failed: it closes",
        R4J,
        *(*REOPENED, fails, *[passes] * 3, is_closed, window(0, 0), passes, window(1, 0)),
    ),
    row("reset forgets what was recorded", R4J, passes, fails, window(2, 1), by_hand("reset"), window(0, 0)),
    row(
        "disabled, it admits all and records nothing",
        R4J,
        *(by_hand("disable"), passes, *[fails] * 6, window(0, 0), passes, happened("circuit.mode_changed")),
    ),
    row(
        "isolated, it stays so whatever the time",
        R4J,
        *(by_hand("isolate"), rejected, after(6), rejected, is_open, shows(mode=CircuitMode.ISOLATED)),
        next_probe_in(None),
    ),
    row(
        "an ignored probe gives its permit back and decides nothing",
        {**R4J, "success_threshold": 4, "close_rate": 4 / 5},
        *(*REOPENED, passes, passes, passes, is_half_open, ignored, is_half_open, shows(success_counter=3)),
        *(fails, is_half_open, passes, is_closed),
    ),
    row(
        "after any number of ignored probes the others decide",
        {**R4J, "success_threshold": 4},
        *(*REOPENED, *(ignored, is_half_open, shows(success_counter=0)) * 4, *(passes, is_half_open) * 3),
        *(passes, is_closed),
    ),
    row(
        "a closed circuit may be made half-open by hand",
        R4J,
        *(HALF_OPEN, is_half_open),
        decided(
            "resilience4j refuses that transition. Here any may be made.",
            "billing.half_open() # let the next call decide",
        ),
    ),
    row("reset closes an open circuit", R4J, by_hand("open"), by_hand("reset"), is_closed, passes),
    row(
        "reset forgets the calls of a closed circuit",
        R4J,
        *(passes, passes, window(2, 0), by_hand("reset"), is_closed, window(0, 0)),
    ),
    row(
        "in shadow mode it records, opens and rejects nothing",
        {**R4J, "minimum_calls": 3},
        *(by_hand("shadow"), happened("circuit.mode_changed"), fails, window(1, 1), fails, window(2, 2), fails),
        *(happened("circuit.opened"), is_open, shows(mode=CircuitMode.SHADOW), passes),
        *(happened("call.rejected"), fails, happened("call.rejected")),
        SHADOW_STATE,
    ),
    row(
        "going to shadow mode keeps what was recorded",
        R4J,
        *(passes, passes, by_hand("shadow"), window(2, 0)),
        decided(
            "resilience4j starts its metrics again. Here shadow only stops rejecting.",
            "Record, open and close, and notify of it, but reject no call, until `reset`.",
            "resilience/circuits/breaker.py",
        ),
    ),
    row(
        "any state may go to shadow mode",
        R4J,
        *(by_hand("open"), by_hand("shadow"), passes, HALF_OPEN, passes, by_hand("close"), passes),
    ),
    row(
        "a transition to its own state is no event",
        R4J,
        *(*[by_hand("open")] * 2, happened("circuit.opened"), *[HALF_OPEN] * 2),
        happened("circuit.half_opened"),
    ),
    row("a mode that it has already is no event", R4J, *[by_hand("disable")] * 2, happened("circuit.mode_changed")),
    row("closing a closed circuit is no event", R4J, *[by_hand("close")] * 2, happened()),
    row(
        "half-open, a probe that does not come back is replaced",
        R4J,
        *(*REOPENED, begins(*FOUR), refused, after(1), is_half_open, admits, begins("e")),
        decided(
            "resilience4j leaves half-open after a maximum time, for open or closed. Here a probe's permit is a lease,"
            " and the next call decides.",
            "A probe that has not returned after `probe_timeout` seconds loses its permit to the next call.",
        ),
    ),
    row("it may begin closed", R4J, is_closed, by_hand("open"), is_open),
    row("it may begin open, by hand", R4J, by_hand("open"), is_open, HALF_OPEN, is_half_open),
    row("it may begin in shadow mode, by hand", R4J, by_hand("shadow"), shows(mode=CircuitMode.SHADOW), is_closed),
    row(
        "the last ten calls are counted",
        {**SHARE, "failure_rate": 0.8, "window": 10, "minimum_calls": 10},
        *(passes, passes, fails, fails, window(4, 2), *[fails] * 4, *[passes] * 4, window(10, 6), passes),
        *(passes, passes, window(10, 3), is_closed),
    ),
    row(
        "results are counted as failures by a predicate",
        {**R4J, "failure_if": lambda result: result == ("left", "failure")},
        *(Call(("left", "accepted")), window(1, 0), Call(("left", "failure")), window(2, 1), Call("right")),
        window(3, 1),
    ),
    row("an error counts as a failure by default", R4J, Call(RuntimeError("?")), passes, window(2, 1)),
    row(
        "only what is recorded counts", {**R4J, "trip_on": "network"}, fails, Call(late), window(1, 1), NOTHING_CHANGES
    ),
    row("an ignored error is no call", R4J, fails, ignored, window(1, 1)),
    row(
        "no timer runs, and the state shows it half-open",
        R4J,
        *(by_hand("open"), after(2), is_open, after(3), is_half_open, happened("circuit.opened")),
        NO_TIMER,
    ),
    row(
        "isolated meanwhile, it does not half-open",
        R4J,
        *(by_hand("open"), by_hand("isolate"), after(60), is_open, refused),
    ),
]

LOCK = {
    "failure_threshold": None,
    "failure_rate": 0.5,
    "minimum_calls": 2,
    "window": 10,
    "reset_timeout": 5,
    "probes": 2,
    "success_threshold": 2,
}
SLOW = {**LOCK, "slow_call_rate": 0.5, "slow_call_seconds": 3}
WAITED = (fails, fails, is_open, after(5))
GROWING = {"failure_threshold": 1, "reset_timeout": 5, "max_reset_timeout": 160}

INTERLOCK = [
    row("it begins closed", LOCK, is_closed),
    row("closed, it admits any number of calls", LOCK, begins("a", "b"), admits),
    row("fewer calls than the minimum say nothing", LOCK, fails, is_closed),
    row("a failure rate at the threshold opens it", LOCK, passes, fails, is_open),
    row(
        "a failure rate below the threshold does not",
        {**LOCK, "minimum_calls": 4},
        *(fails, passes, passes, passes, is_closed),
    ),
    row("a rate of slow calls at the threshold opens it", SLOW, passes, slow(3), is_open),
    row("a call of just the slow time is slow", SLOW, slow(3), window(1, 0, 1)),
    row("open, it rejects before its time is over", LOCK, fails, fails, after(4), refused, is_open),
    row("open, its time over, it is half-open with the next call", LOCK, *WAITED, begins("a"), is_half_open),
    row("half-open, one probe at a time", {**LOCK, "probes": 1}, *WAITED, begins("a"), refused),
    row("half-open, no more probes than permitted", LOCK, *WAITED, begins("a", "b"), refused),
    row("half-open, all probes succeed: it closes", LOCK, *WAITED, begins("a", "b"), ends("a"), ends("b"), is_closed),
    row(
        "half-open, a failure opens it",
        LOCK,
        *(*WAITED, begins("a", "b"), ends("a", down), is_open, ends("b"), is_open),
        FAILED_PROBE_OPENS,
    ),
    row("half-open, a slow probe opens it", SLOW, *WAITED, slow(3), is_open),
    row("reopened, its time starts again", LOCK, *WAITED, fails, after(4), refused, is_open, after(1), admits),
    row("closed again, its window is empty", LOCK, *WAITED, passes, passes, is_closed, window(0, 0), fails, is_closed),
    row("isolated, it never recovers", LOCK, by_hand("isolate"), after(500), refused, shows(mode=CircuitMode.ISOLATED)),
    row("disabled, it records nothing", LOCK, by_hand("disable"), fails, fails, window(0, 0), admits),
    row(
        "in shadow mode it records and admits",
        LOCK,
        *(by_hand("shadow"), *[fails] * 4, passes, shows(mode=CircuitMode.SHADOW), is_open),
        SHADOW_STATE,
    ),
    row("reset closes an open circuit", LOCK, fails, fails, by_hand("reset"), is_closed, window(0, 0), admits),
    row("reset ends isolation", LOCK, by_hand("isolate"), by_hand("reset"), is_closed, shows(mode=CircuitMode.NORMAL)),
    row("a window of time opens it too", {**LOCK, "window": None, "window_seconds": 10}, fails, fails, is_open),
    row("the time left is what is left", LOCK, passes, fails, after(2), next_probe_in(3), Rejected(retry_after=3)),
    row("closed, there is no time left", LOCK, next_probe_in(None)),
    row("half-open, there is no time left", LOCK, *WAITED, begins("a"), is_half_open, next_probe_in(None)),
    row("isolated, there is no time left", LOCK, by_hand("isolate"), next_probe_in(None)),
    row("the time left is counted from the opening", LOCK, after(10), fails, fails, after(2), next_probe_in(3)),
    row("the time left is 0 once it is over", LOCK, fails, fails, after(10), next_probe_in(0)),
    row("its time over, the state is half-open with no call made", LOCK, *WAITED, is_half_open, NO_TIMER),
    row("its time not over, it is open", LOCK, fails, fails, after(4), is_open),
    row("closed, no time makes it anything else", LOCK, after(500), is_closed),
    row(
        "to look at the state takes no probe",
        {**LOCK, "probes": 1},
        *(*WAITED, is_half_open, admits, begins("a"), refused),
    ),
    row(
        "a call wins the transition, and there is no second one",
        LOCK,
        *(*WAITED, begins("a"), is_half_open, happened("circuit.opened", "circuit.half_opened")),
    ),
    row(
        "calls admitted while it was closed are no probes",
        LOCK,
        *(begins("old", "older"), *WAITED, begins("probe"), ends("old"), ends("older"), is_half_open),
    ),
    row("probes of the present round decide", LOCK, *WAITED, begins("a", "b"), ends("a"), ends("b"), is_closed),
    row(
        "a probe that ends after a reset leaves the window empty",
        LOCK,
        *(*WAITED, begins("a"), by_hand("reset"), ends("a", down), window(0, 0)),
    ),
    row(
        "a call of before the circuit was disabled is not recorded after",
        LOCK,
        *(begins("a"), by_hand("disable"), by_hand("reset"), ends("a", down), window(0, 0)),
    ),
    row("a cancelled probe frees its place", LOCK, *WAITED, begins("a", "b"), refused, cancelled("a"), admits),
    row(
        "a cancelled probe is not a success",
        LOCK,
        *(*WAITED, begins("a", "b"), cancelled("a"), ends("b"), is_half_open, passes, is_closed),
    ),
    row(
        "a probe cancelled after a reset changes nothing",
        LOCK,
        *(*WAITED, begins("a"), by_hand("reset"), cancelled("a"), is_closed, admits),
    ),
    row("a call cancelled while closed changes nothing", LOCK, begins("a"), cancelled("a"), is_closed, window(0, 0)),
    row(
        "a probe of an earlier round keeps its place until it comes back or its lease is over",
        {**LOCK, "probe_timeout": 60},
        *(*WAITED, begins("a", "b"), ends("b", down), is_open, after(5), begins("c"), refused, cancelled("a")),
        *(begins("d"), refused),
        decided(
            "In interlock-cb the new round is full whatever is still in flight. Here a dependency that hangs is not"
            " sent more probes each round.",
            "are among the probes of the next time, until they return or *probe_timeout* is over.",
            "resilience/policies/_circuit_breaker_config.py",
        ),
    ),
    row(
        "a probe of an earlier round that succeeds in the present one does not count",
        {**LOCK, "probe_timeout": 60, "success_threshold": 1},
        *(*WAITED, begins("a", "b"), ends("b", down), is_open, after(5), begins("c"), ends("a"), is_half_open),
        *(shows(success_counter=0), ends("c"), is_closed),
    ),
    row(
        "a probe of an earlier round that fails in the present one does not open it",
        {**LOCK, "probe_timeout": 60},
        *(*WAITED, begins("a", "b"), ends("b", down), is_open, after(5), begins("c"), ends("a", down), is_half_open),
    ),
    row(
        "a cancelled probe frees one place",
        {**LOCK, "probes": 1},
        *(*WAITED, begins("a"), cancelled("a"), begins("b"), refused),
    ),
    row(
        "a probe that has succeeded frees its place, though two are enough",
        LOCK,
        *(*WAITED, passes, begins("a"), admits, begins("b"), refused),
        AT_A_TIME,
    ),
    row(
        "a probe that has ended frees one place",
        {**LOCK, "probes": 1, "success_threshold": 4},
        *(*WAITED, passes, begins("a"), refused),
    ),
    row(
        "one bad probe of three is borne where close_rate says so",
        {**SLOW, "close_rate": 0.6},
        *(*WAITED, slow(3, down), is_half_open, passes, passes, is_closed),
    ),
    row(
        "an outcome of any earlier state counts for nothing",
        LOCK,
        *(begins("closed"), *WAITED, begins("probe"), fails, by_hand("isolate"), by_hand("disable")),
        *(by_hand("shadow"), by_hand("reset"), ends("closed", down), ends("probe", down), window(0, 0)),
        is_closed,
    ),
    row(
        "a window of time is new after a reset",
        {**LOCK, "window": None, "window_seconds": 10},
        *(fails, fails, by_hand("reset"), passes, window(1, 0)),
    ),
    row("the open time stays as it is by default", {**LOCK, **ONE}, *(fails, next_probe_in(5), after(5)) * 4),
    row(
        "the open time doubles, jittered",
        GROWING,
        *(fails, next_probe_within(2.5, 5), after(5), fails, next_probe_within(5, 10), after(10), fails),
        *(next_probe_within(10, 20), after(20), fails, next_probe_within(20, 40)),
    ),
    row(
        "the open time is bounded",
        {**GROWING, "max_reset_timeout": 8},
        *(fails, next_probe_within(2.5, 8), after(8)) * 6,
    ),
    row(
        "a circuit that closed starts with the shortest time",
        GROWING,
        *(fails, after(5), fails, after(10), passes, is_closed, fails, next_probe_within(2.5, 5)),
    ),
    row(
        "no probe before a grown time is over",
        GROWING,
        *(fails, after(5), fails, after(4.999), refused, after(5.001), admits),
    ),
    row(
        "reset forgets how often it opened",
        GROWING,
        *(fails, after(5), fails, by_hand("reset"), fails, next_probe_within(2.5, 5)),
    ),
    row(
        "after a thousand openings in a row the open time is still finite",
        {**GROWING, "max_reset_timeout": 20},
        *(*(fails, after(20)) * 1100, fails, next_probe_within(10, 20)),
    ),
    row("a probe that did not reach the dependency decides nothing", LOCK, *WAITED, unreachable, is_half_open, admits),
    row("after such a probe the others decide", LOCK, *WAITED, unreachable, passes, passes, is_closed),
    row(
        "such a probe frees one place",
        {**LOCK, "probes": 1},
        *(*WAITED, begins("a"), refused, ends("a", not_sent), begins("b"), refused),
    ),
    row(
        "such a probe of an earlier round changes nothing",
        LOCK,
        *(*WAITED, begins("a"), by_hand("open"), HALF_OPEN, ends("a", not_sent), is_half_open),
    ),
    row(
        "any number of such probes leave it half-open",
        LOCK,
        *(*WAITED, *[unreachable] * 10, is_half_open),
        decided(
            "interlock-cb opens when no probe of a round reached the dependency. Here what says nothing decides"
            " nothing.",
            "| other categories: `rate_limit`, `rejected`, `internal`, ..., or outside `trip_on` | nothing | decides"
            " nothing |",
        ),
    ),
    row(
        "closed, calls that did not reach the dependency count for nothing",
        LOCK,
        *(*[unreachable] * 10, is_closed, window(0, 0)),
        decided(
            "interlock-cb counts them while closed. Here a full bulkhead of the caller's own opens no circuit.",
            "circuit breakers do not count it as a failure of the dependency",
            "docs/extending.md",
        ),
    ),
    row("a call returns what the function returns and is recorded", LOCK, Call("value"), window(1, 0)),
    row("a call raises what the function raises and is recorded", LOCK, fails, window(1, 1)),
    row("open, the function is not called", LOCK, fails, fails, rejected),
    row("a rejection names the circuit and the time left", LOCK, fails, fails, Rejected(retry_after=5, text="'other'")),
    row("a rejection names the last failure", LOCK, Call(late), fails, Rejected(text="last: ConnectionResetError")),
    row(
        "isolated, a rejection names no failure, and no time",
        LOCK,
        *(by_hand("isolate"), Rejected(retry_after=float("inf"))),
        decided(
            "interlock-cb says None. Here the time is infinite: no retry waits for it.",
            "all calls are rejected, and `retry_after` is infinite.",
        ),
    ),
    row(
        "a result may be a failure",
        {**LOCK, "failure_if": lambda result: result == 503},
        *(Call(503), window(1, 1), Call(200), is_closed),
    ),
    row("reset forgets the last failure", LOCK, fails, by_hand("reset"), snapshot(last_category=None)),
    row(
        "an error that counts for nothing is not the last failure",
        LOCK,
        *(fails, ignored, snapshot(last_category="network")),
    ),
    row("an error of unknown meaning is a verdict about the probe", LOCK, *WAITED, Call(Exception("?")), is_open),
    row(
        "each rejection is an event",
        LOCK,
        *(fails, fails, rejected, rejected, happened("circuit.opened", "call.rejected", "call.rejected")),
    ),
    row("resetting a closed circuit is no event", LOCK, by_hand("reset"), happened()),
    row(
        "isolation is an event of a transition and of the mode",
        LOCK,
        *(by_hand("isolate"), rejected, happened("circuit.mode_changed", "circuit.opened", "call.rejected")),
    ),
    row(
        "a disabled circuit that was open closes",
        LOCK,
        *(fails, fails, by_hand("disable"), is_closed, fails, fails, fails, is_closed),
    ),
    row(
        "an opened circuit whose probe fails starts its next round with all places",
        {**LOCK, "probes": 1, "success_threshold": 1, "minimum_calls": 1},
        *(fails, after(5), begins("a"), is_half_open, ends("a", down), is_open, after(5), begins("b")),
        *(is_half_open, refused),
    ),
]

SUITES = {
    "pybreaker": PYBREAKER,
    "circuitbreaker": CIRCUITBREAKER,
    "gobreaker": GOBREAKER,
    "failsafe-go": FAILSAFE_GO,
    "resilience4j": RESILIENCE4J,
    "interlock-cb": INTERLOCK,
}


ROWS = [pytest.param(row, id=f"{library}: {row.title}") for library, rows in SUITES.items() for row in rows]


@pytest.mark.parametrize("scenario", ROWS)
def test_the_outcome_is_that_of_the_library_or_the_documented_one(scenario: Scenario, runner: Runner):
    play(scenario, runner)


def test_each_library_has_its_scenarios_and_each_title_stands_once():
    assert sum(map(len, SUITES.values())) >= 200
    for rows in SUITES.values():
        assert len({scenario.title for scenario in rows}) == len(rows)


def words(text: str) -> str:
    """Return *text* with single spaces, however its lines are broken and its comments are aligned."""
    return " ".join(text.split())


@pytest.mark.parametrize("scenario", [param for param in ROWS if param.values[0].decision is not None])
def test_each_decision_has_a_reason_and_is_documented(scenario: Scenario):
    decision = scenario.decision
    assert decision is not None
    assert decision.why
    assert words(decision.quote) in words((ROOT / decision.page).read_text("utf-8"))


# -- what fits no row: pybreaker --------------------------------------------------------------------------------------


class Listener(pybreaker.CircuitBreakerListener):
    """A listener that records its notifications."""

    def __init__(self) -> None:
        self.notified: list[str] = []

    def before_call(self, cb: object, func: object, *args: object, **kwargs: object) -> None:
        self.notified.append("call")

    def success(self, cb: object) -> None:
        self.notified.append("success")

    def failure(self, cb: object, exc: object) -> None:
        self.notified.append(f"failure: {exc}")

    def state_change(self, cb: object, old_state: pybreaker.CircuitBreakerState, new_state: object) -> None:
        self.notified.append(f"{old_state.name} -> {new_state.name}")


def fail(error: BaseException = down) -> None:
    raise error


def attempt(function: Callable[..., object], *args: object) -> object:
    """Return what a call returns, or the exception it raises."""
    try:
        return function(*args)
    except Exception as error:
        return error


def in_threads(*functions: Callable[[], object]) -> None:
    """Call each function in a thread of its own, by the same clock as here, and wait for all."""
    threads = [threading.Thread(target=contextvars.copy_context().run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_pybreaker_a_listener_is_notified_of_each_transition_by_hand():
    listener = Listener()
    breaker = circuit_breaker("b", listeners=[listener])
    breaker.open()
    breaker.half_open()
    breaker.close()
    assert listener.notified == ["closed -> open", "open -> half-open", "half-open -> closed"]


def test_pybreaker_a_listener_is_notified_of_each_call_and_its_outcome(runner: Runner):
    listener = Listener()
    runner.play(circuit_breaker("b", listeners=[listener]), "done", down, pauses=(0,))
    assert listener.notified == ["call", "success", "call", "failure: down"]


def test_pybreaker_listeners_are_added_and_removed():
    breaker = circuit_breaker("b")
    first, second, third = Listener(), Listener(), Listener()
    breaker.add_listener(first)
    breaker.add_listeners(second, third)
    assert breaker.listeners == (first, second, third)
    breaker.remove_listener(second)
    assert breaker.listeners == (first, third)


def test_pybreaker_a_generator_counts_when_it_ends():
    breaker = circuit_breaker("b")

    @breaker
    def items(error: Exception | None) -> Iterator[int]:
        yield 1
        if error is not None:
            raise error

    failing, succeeding = items(down), items(None)
    assert (next(failing), breaker.fail_counter) == (1, 0)
    assert attempt(next, failing) is down
    assert breaker.fail_counter == 1
    assert list(succeeding) == [1]
    assert breaker.fail_counter == 0


def test_pybreaker_an_async_generator_counts_when_it_ends(backend: str):
    breaker = circuit_breaker("b")

    @breaker
    async def items() -> AsyncIterator[int]:
        yield 1
        raise down

    async def main() -> None:
        with pytest.raises(ConnectionResetError):
            async for item in items():
                assert (item, breaker.fail_counter) == (1, 0)

    anyio.run(main, backend=backend)
    assert breaker.fail_counter == 1


def test_pybreaker_a_context_manager_made_of_a_guarded_generator_sees_the_error_of_its_block():
    breaker = circuit_breaker("b")

    @contextlib.contextmanager
    @breaker
    def translated() -> Iterator[None]:
        try:
            yield
        except ConnectionResetError:
            raise late from None

    with pytest.raises(TimeoutError), translated():
        raise down
    assert breaker.fail_counter == 1


@pytest.mark.parametrize("state", ["closed", "open", "half-open"])
def test_pybreaker_a_circuit_begins_in_the_state_of_its_storage(state: str):
    storage = pybreaker.CircuitMemoryStorage(state)
    breaker = circuit_breaker("b", storage=storage)
    assert (breaker.current_state, storage.state) == (state, state)


def test_pybreaker_a_listener_is_notified_when_a_new_circuit_follows_its_storage():
    # pybreaker notifies of nothing while a circuit is made. Here a circuit begins closed, and to follow what the store
    # says is a transition as any later one: a listener that counts open circuits has to be notified of it.
    listener = Listener()
    circuit_breaker("b", storage=pybreaker.CircuitMemoryStorage("open"), listeners=[listener])
    assert listener.notified == ["closed -> open"]


def test_pybreaker_to_make_a_circuit_leaves_the_counter_and_the_time_of_its_storage():
    storage = pybreaker.CircuitMemoryStorage("open")
    storage.increment_counter()
    storage.opened_at = opened_at = datetime.now(UTC)
    circuit_breaker("b", storage=storage)
    assert (storage.counter, storage.opened_at) == (1, opened_at)


def test_pybreaker_a_circuit_counts_on_from_the_counter_of_its_storage():
    storage = pybreaker.CircuitMemoryStorage("closed")
    storage.increment_counter()
    breaker = circuit_breaker("b", storage=storage, failure_threshold=2)
    attempt(breaker.call, fail)
    assert breaker.current_state == "open"


def test_pybreaker_a_state_of_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="state='foo': give one of 'closed', 'open', 'half-open'"):
        circuit_breaker("b").state = "foo"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("attribute", "before", "value"),
    [("fail_max", 5, 10), ("reset_timeout", 60, 30), ("success_threshold", 1, 10), ("name", "b", "breaker_test")],
)
def test_pybreaker_settings_change_at_run_time(attribute: str, before: object, value: object):
    breaker = circuit_breaker("b")
    assert getattr(breaker, attribute) == before
    setattr(breaker, attribute, value)
    assert getattr(breaker, attribute) == value


def test_pybreaker_arguments_reach_the_function(runner: Runner):
    breaker = circuit_breaker("b")

    def function(*args: object, **kwargs: object) -> object:
        return args, kwargs

    async def async_function(*args: object, **kwargs: object) -> object:
        return args, kwargs

    answer = runner.run(
        lambda: breaker.call(function, 42, "abc", a=1, b=2),
        functools.partial(breaker.call_async, async_function, 42, "abc", a=1, b=2),
    )
    assert answer == ((42, "abc"), {"a": 1, "b": 2})


@pytest.mark.parametrize("method", ["add_excluded_exception", "add_excluded_exceptions", "remove_excluded_exception"])
def test_pybreaker_to_exclude_an_exception_is_refused_as_the_category_decides(method: str):
    with pytest.raises(TypeError, match="what counts is decided by category"):
        getattr(circuit_breaker("b"), method)(LookupError)


def test_pybreaker_a_decorated_function_keeps_its_name_and_docstring():
    @circuit_breaker("b")
    def documented(value: object) -> object:
        """The docstring."""
        return value

    assert (documented.__name__, documented.__doc__, documented(True)) == ("documented", "The docstring.", True)


def test_pybreaker_a_block_counts_its_error():
    breaker = circuit_breaker("b")
    with pytest.raises(ConnectionResetError), breaker.calling():
        raise down
    assert breaker.fail_counter == 1


def test_pybreaker_failures_of_many_threads_are_all_counted():
    breaker = circuit_breaker("b", failure_threshold=3000)
    guarded = breaker(fail)
    in_threads(*[lambda: [attempt(guarded) for _ in range(500)]] * 3)
    assert breaker.fail_counter == 1500


def test_pybreaker_a_listener_is_notified_of_the_successes_of_many_threads():
    listener = Listener()
    breaker = circuit_breaker("b", listeners=[listener])
    in_threads(*[lambda: [breaker.call(int) for _ in range(500)]] * 3)
    assert listener.notified.count("success") == 1500


def test_pybreaker_of_many_threads_one_makes_the_circuit_half_open():
    listener = Listener()
    with virtual_time() as clock:
        breaker = circuit_breaker("b", failure_threshold=1, reset_timeout=1, listeners=[listener])
        breaker.open()
        clock.advance(1)
        in_threads(*[lambda: attempt(breaker.call, fail)] * 10)
    assert listener.notified.count("open -> half-open") == 1
    assert listener.notified.count("half-open -> open") == 1


def test_pybreaker_failures_of_many_threads_do_not_exceed_the_threshold():
    breaker = circuit_breaker("b", failure_threshold=3)
    in_threads(*[lambda: [attempt(breaker.call, fail) for _ in range(20)]] * 10)
    assert (breaker.fail_counter, breaker.current_state) == (3, "open")


# -- what fits no row: circuitbreaker ---------------------------------------------------------------------------------


def test_circuitbreaker_all_circuits_can_be_looked_at():
    first, second = circuit_breaker("first of two", failure_threshold=1), circuit_breaker("second of two")
    attempt(first.call, fail)
    states = {circuit["name"]: circuit["state"] for circuit in resilience.circuits.snapshot()}
    assert (states["first of two"], states["second of two"]) == ("open", "closed")
    assert resilience.circuits.get("second of two") is second


@pytest.mark.parametrize(
    "kind",
    [
        inspect.isgeneratorfunction,
        inspect.iscoroutinefunction,
        inspect.isasyncgenfunction,
    ],
)
def test_circuitbreaker_a_guarded_function_is_of_the_same_kind(kind: Callable[[object], bool]):
    def plain() -> None: ...

    def generator() -> Iterator[None]:
        yield

    async def coroutine() -> None: ...

    async def async_generator() -> AsyncIterator[None]:
        yield

    breaker = circuit_breaker("b")
    for function in (plain, generator, coroutine, async_generator):
        assert kind(breaker(function)) == kind(function)


def test_circuitbreaker_an_open_circuit_calls_the_fallback_with_the_arguments_and_not_the_function(runner: Runner):
    breaker = circuit_breaker("b")
    breaker.open()

    def function(*args: object, **kwargs: object) -> object:
        raise AssertionError("called")

    async def async_function(*args: object, **kwargs: object) -> object:
        raise AssertionError("called")

    def instead(*args: object, **kwargs: object) -> object:
        return args, kwargs

    covered = fallback(chain={"rejected": instead})
    answer = runner.run(
        lambda: covered(breaker(function))("test2", test="test"),
        functools.partial(covered(breaker(async_function)), "test2", test="test"),
    )
    assert answer == (("test2",), {"test": "test"})


def test_circuitbreaker_a_decorator_without_parentheses_is_refused():
    with pytest.raises(TypeError, match="@circuit_breaker without a name"):
        circuit_breaker(fail)  # type: ignore[arg-type]


def test_circuitbreaker_a_circuit_without_a_name_is_called_after_its_function():
    breaker = circuit_breaker(failure_threshold=10)
    breaker(fail)
    assert (breaker.name.rpartition(".")[2], breaker.fail_max) == ("fail", 10)


@pytest.mark.parametrize("name", [b"binary", 5, ""])
def test_circuitbreaker_a_name_that_is_no_text_is_refused(name: object):
    with pytest.raises((TypeError, ValueError), match="name="):
        circuit_breaker(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("expected", [Listener, 5, "widget"])
def test_circuitbreaker_what_is_no_category_is_refused_as_what_counts(expected: object):
    with pytest.raises((TypeError, ValueError), match="trip_on"):
        circuit_breaker("b", trip_on=expected)  # type: ignore[arg-type]


def test_circuitbreaker_a_circuit_with_settings_of_ones_own_is_a_partial_not_a_subclass():
    nervous = functools.partial(circuit_breaker, failure_threshold=1, reset_timeout=10)
    breaker = nervous("nervous")
    assert (breaker.fail_max, breaker.reset_timeout, str(breaker.name)) == (1, 10, "nervous")


# -- what fits no row: gobreaker --------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["reset_timeout", "window_seconds", "probe_timeout"])
def test_gobreaker_a_negative_duration_is_refused_where_it_is_written(option: str):
    with pytest.raises(ValueError, match=f"{option}=-1"):
        circuit_breaker("b", failure_rate=0.5, **{option: -1})  # type: ignore[arg-type]


def test_gobreaker_what_is_no_ordinary_error_counts_for_nothing():
    class Panic(BaseException):
        pass

    breaker = circuit_breaker("b", failure_threshold=1)
    with pytest.raises(Panic):
        breaker.call(fail, Panic())
    assert (breaker.fail_counter, breaker.current_state) == (0, "closed")


def test_gobreaker_calls_of_many_threads_are_all_in_the_window():
    breaker = circuit_breaker("b", failure_threshold=None, failure_rate=0.5, window=10_000, minimum_calls=10_000)
    guarded = breaker(fail)

    def calls() -> None:
        for _ in range(100):
            breaker.call(int)
            attempt(guarded)
            attempt(guarded, bug)

    in_threads(*[calls] * 12)
    (entry,) = snapshot_of(breaker)
    assert entry["failed"] == 1200
    assert entry["calls"] is not None
    assert entry["calls"] <= 2400


# -- what fits no row: failsafe-go ------------------------------------------------------------------------------------


def test_failsafe_a_retry_outside_ends_at_the_rejection_and_the_function_is_not_called_again(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=3)
    retry = retry_on_category(ErrorCategory.NETWORK, attempts=7)
    story = runner.play(lambda function: retry(breaker(function)), *[down] * 7)
    assert story.reached == 3
    assert (breaker.state.name, breaker.fail_counter) == ("open", 3)


def test_failsafe_a_retry_outside_succeeds_before_the_circuit_opens(runner: Runner):
    breaker = circuit_breaker("b", failure_threshold=3)
    retry = retry_on_category(ErrorCategory.NETWORK, attempts=3)
    story = runner.play(lambda function: retry(breaker(function)), down, down, "done")
    assert (story.answer, story.reached, breaker.current_state, breaker.fail_counter) == ("done", 3, "closed", 0)


@pytest.mark.parametrize("error", [down, late])
@pytest.mark.parametrize("order", [1, -1])
def test_failsafe_of_two_circuits_the_one_that_counts_the_error_opens_in_either_order(
    order: int, error: Exception, runner: Runner
):
    network = circuit_breaker("network", failure_threshold=1, trip_on="network")
    hanging = circuit_breaker("hanging", failure_threshold=1, trip_on="timeout")
    outer, inner = (network, hanging)[::order]
    story = runner.play(lambda function: outer(inner(function)), error)
    assert story.answer is error
    assert (network.state.name == "open", hanging.state.name == "open") == (error is down, error is late)


# -- what fits no row: interlock-cb -----------------------------------------------------------------------------------


def test_interlock_a_block_records_success_failure_and_slowness():
    with virtual_time() as clock:
        breaker = circuit_breaker("b", failure_rate=1, slow_call_rate=1, slow_call_seconds=2)
        with breaker:
            pass
        with pytest.raises(ConnectionResetError), breaker:
            raise down
        with breaker:
            clock.advance(2)
        (entry,) = snapshot_of(breaker)
        assert (entry["calls"], entry["failed"], entry["slow"]) == (3, 1, 1)


def test_interlock_an_async_block_records_success_and_failure(backend: str):
    breaker = circuit_breaker("b", failure_rate=1)

    async def main() -> None:
        async with breaker:
            pass
        with pytest.raises(ConnectionResetError):
            async with breaker:
                raise down

    anyio.run(main, backend=backend)
    (entry,) = snapshot_of(breaker)
    assert (entry["calls"], entry["failed"]) == (2, 1)


def test_interlock_an_open_circuit_rejects_a_block_at_its_entry():
    breaker = circuit_breaker("b")
    breaker.open()
    with pytest.raises(CircuitOpenError), breaker:
        raise AssertionError("entered")


@pytest.mark.parametrize("half_open", [True, False])
def test_interlock_an_interrupted_block_records_nothing_and_frees_its_place(half_open: bool):
    breaker = circuit_breaker("b", failure_threshold=1)
    if half_open:
        breaker.half_open()
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt
    assert breaker.current_state == ("half-open" if half_open else "closed")
    assert breaker.would_admit()


def test_interlock_a_cancelled_probe_frees_its_place(backend: str):
    breaker = circuit_breaker("b")
    breaker.half_open()

    @breaker
    async def hang() -> None:
        await anyio.sleep_forever()

    async def main() -> None:
        with anyio.move_on_after(0):
            await hang()

    anyio.run(main, backend=backend)
    assert (breaker.current_state, breaker.probes_in_flight) == ("half-open", 0)


def test_interlock_overlapping_blocks_keep_their_own_times(backend: str):
    async def block(seconds: float) -> None:
        async with breaker:
            await clock.sleep_async(seconds)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(block, 10)
            tasks.start_soon(block, 1)

    with virtual_time() as clock:
        breaker = circuit_breaker("b", slow_call_rate=1, slow_call_seconds=5)
        anyio.run(main, backend=backend)
        (entry,) = snapshot_of(breaker)
    assert (entry["calls"], entry["slow"]) == (2, 1)


def test_interlock_overlapping_blocks_of_threads_keep_their_own_times():
    both = threading.Barrier(2, timeout=30)

    def first() -> None:
        with breaker:
            clock.advance(10)
            both.wait()
            both.wait()  # the second one has begun
        both.wait()

    def second() -> None:
        both.wait()
        with breaker:
            both.wait()
            both.wait()  # the first one has ended
            clock.advance(1)

    with virtual_time() as clock:
        breaker = circuit_breaker("b", slow_call_rate=1, slow_call_seconds=5)
        in_threads(first, second)
        (entry,) = snapshot_of(breaker)
    assert (entry["calls"], entry["slow"]) == (2, 1)


def test_interlock_a_call_within_a_call_neither_blocks_nor_counts_for_its_probe():
    breaker = circuit_breaker("b", success_threshold=2)
    breaker.half_open()
    breaker.call(lambda: breaker.call(int))
    assert (breaker.current_state, breaker.success_counter) == ("half-open", 1)


def test_interlock_threads_never_get_more_probes_than_there_may_be():
    breaker = circuit_breaker("b", probes=3, success_threshold=100)
    breaker.half_open()
    permits: list[Permit] = []

    def acquire() -> None:
        with contextlib.suppress(CircuitOpenError):
            permits.append(breaker.acquire())

    in_threads(*[acquire] * 12)
    assert (len(permits), breaker.probes_in_flight) == (3, 3)


def test_interlock_failures_of_threads_open_it_once():
    breaker = circuit_breaker("b", failure_threshold=5)
    opened: list[str] = []
    with resilience.subscribe(lambda event: opened.append(event.name)):
        in_threads(*[lambda: attempt(breaker.call, fail)] * 12)
    assert opened.count("circuit.opened") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"failure_rate": 0},
        {"failure_rate": 1.5},
        {"failure_rate": 0.5, "window": 0},
        {"failure_rate": 0.5, "window": 5, "minimum_calls": 6},
        {"reset_timeout": 0},
        {"probes": 0},
        {"success_threshold": 0},
        {"slow_call_rate": 0.5, "slow_call_seconds": 0},
        {"reset_timeout": 10, "max_reset_timeout": 5},
        {"close_rate": 0},
    ],
    ids=str,
)
def test_interlock_an_invalid_setting_is_refused(options: dict[str, object]):
    with pytest.raises(ValueError, match=f"{list(options)[-1]}="):
        circuit_breaker("b", **options)  # type: ignore[arg-type]


def test_interlock_a_duration_may_be_a_timedelta():
    assert circuit_breaker("b", reset_timeout=timedelta(minutes=1)).reset_timeout == 60


def test_interlock_a_name_without_a_circuit_makes_none():
    with pytest.raises(LookupError, match="no circuit is called 'never made'"):
        resilience.circuits.get("never made")


class Fleet:
    """Two circuits of one dependency, in two processes as it were: they share nothing but a storage."""

    def __init__(self) -> None:
        self.storage = pybreaker.CircuitMemoryStorage("closed")
        self.first, self.second = (
            circuit_breaker("fleet", failure_threshold=2, reset_timeout=30, storage=self.storage) for _ in range(2)
        )

    def trip(self) -> None:
        for _ in range(2):
            attempt(self.first.call, fail)


def test_interlock_what_opens_in_one_process_is_open_in_the_store_and_in_the_others():
    with virtual_time():
        fleet = Fleet()
        fleet.trip()
        assert fleet.storage.state == "open"
        assert isinstance(attempt(fleet.second.call, int), CircuitOpenError)
        assert fleet.second.current_state == "open"


def test_interlock_failures_of_all_processes_add_up():
    with virtual_time():
        fleet = Fleet()
        attempt(fleet.first.call, fail)
        attempt(fleet.second.call, fail)
        assert (fleet.second.current_state, fleet.storage.state) == ("open", "open")


def test_interlock_a_probe_that_succeeds_closes_it_in_all_processes():
    with virtual_time() as clock:
        fleet = Fleet()
        fleet.trip()
        attempt(fleet.second.call, int)
        clock.advance(31)
        assert fleet.first.call(int) == 0
        assert fleet.second.call(int) == 0
        assert (fleet.first.current_state, fleet.second.current_state) == ("closed", "closed")
        assert fleet.storage.state == "closed"


def test_interlock_a_probe_that_fails_opens_it_in_all_processes():
    with virtual_time() as clock:
        fleet = Fleet()
        fleet.trip()
        clock.advance(31)
        assert attempt(fleet.first.call, fail) is down
        assert isinstance(attempt(fleet.second.call, int), CircuitOpenError)
        assert fleet.storage.state == "open"


@pytest.mark.parametrize(("mode", "admitted"), [("isolate", False), ("disable", True), ("shadow", True)])
def test_interlock_a_mode_by_hand_governs_this_process_alone(mode: str, admitted: bool):
    with virtual_time():
        fleet = Fleet()
        fleet.trip()
        getattr(fleet.second, mode)()
        assert (attempt(fleet.second.call, int) == 0) is admitted
        assert isinstance(attempt(fleet.first.call, int), CircuitOpenError)
        assert fleet.storage.state == "open"


def test_interlock_without_its_store_a_circuit_opens_by_itself():
    class Gone(pybreaker.CircuitMemoryStorage):
        @property
        def state(self) -> str:
            raise ConnectionResetError("no store")

        @state.setter
        def state(self, state: str) -> None:
            raise ConnectionResetError("no store")

    with virtual_time():
        breaker = circuit_breaker("alone", failure_threshold=2, storage=Gone("closed"))
        for _ in range(2):
            assert attempt(breaker.call, fail) is down
        assert isinstance(attempt(breaker.call, int), CircuitOpenError)
