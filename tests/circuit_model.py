"""A model of the circuit that predicts every answer, event and number of a program of overlapping calls.

The model keeps every call there was and counts anew each time; it shares no line with what it predicts. `Player` plays
a program to the model and to the circuit itself, and compares them after each step.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import NamedTuple

import pybreaker

from resilience import ErrorCategory, circuit_breaker, subscribe
from resilience._outcome import Outcome
from resilience._runtime.cut_off import CutOff
from resilience.clock import using_clock
from resilience.testing import VirtualClock
from tests.manual_call import ManualBlock, ManualCall, ManualPermit, ManualStream

CUT = 2
"""Of a call that was cut off when it had become slow: it is no success, and no failure."""


class Failed(Exception):
    def __init__(self, label: str, retry_after: float | None = None) -> None:
        self.category = ErrorCategory[label.upper()]
        self.retry_after = retry_after


# The outcomes of a call, and the weight of each failure: a number; "answered"; or nothing.
ENDS: dict[str, object] = {
    "ok": "answered",
    "bad": 1,  # a result that failure_if takes for a failure
    "network": 1,
    "timeout": 2,
    "unavailable": 1,
    "not_found": "answered",
    "validation": "answered",
    "rejected": None,
    "internal": None,
    "rate_limit": None,
    "rate_limit for 7 s": None,
    "unavailable for 3 s": 1,
    "unavailable for 0 s": 1,
    "unavailable for ever": 1,
}
HINTS = {
    "rate_limit for 7 s": 7.0,
    "unavailable for 3 s": 3.0,
    "unavailable for 0 s": 0.0,
    "unavailable for ever": math.inf,
}


def outcome_of(what: str) -> Outcome:
    if what in ("ok", "bad"):
        return Outcome(what)
    return Outcome(None, Failed(what.split()[0], HINTS.get(what)))


@dataclasses.dataclass(frozen=True)
class Config:
    """The options of a circuit, with the defaults that the model needs spelled out; None is never."""

    failure_threshold: int | None = 3
    failure_rate: float | None = None
    slow_call_rate: float | None = None
    slow_call_seconds: float | None = None
    window: int | None = None
    window_seconds: float | None = None
    minimum_calls: int | None = None
    trip_on: str | None = None
    open_for: str | None = None
    reset_timeout: float = 10.0
    max_reset_timeout: float | None = None
    probes: int = 1
    success_threshold: int = 1
    close_rate: float = 1.0
    probe_timeout: float | None = None
    ramp_up: float = 0.0
    partial: bool = False
    judged: bool = False
    heard: bool = True
    watched: bool = False
    angry: bool = False  # its listener raises each time

    def given(self) -> dict[str, object]:
        ours = ("judged", "heard", "watched", "angry")
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in ours}


CONFIGS = {
    "in a row": Config(),
    "unheard": Config(heard=False),
    "watched": Config(watched=True, heard=False, failure_threshold=2, probes=2),
    "watched by one that raises": Config(watched=True, angry=True, reset_timeout=2.0, success_threshold=2),
    "rate by count": Config(failure_threshold=None, failure_rate=0.5, window=6, minimum_calls=4),
    "rate by count and in a row": Config(failure_threshold=4, failure_rate=0.4, window=8, minimum_calls=5),
    "rate by time": Config(failure_threshold=None, failure_rate=0.5, window_seconds=20.0, minimum_calls=3),
    "both windows": Config(failure_threshold=5, failure_rate=0.6, window=5, window_seconds=10.0, minimum_calls=3),
    "slow calls": Config(
        failure_threshold=3, slow_call_rate=0.5, slow_call_seconds=2.0, window=6, minimum_calls=2, heard=False
    ),
    "slow calls by time": Config(
        failure_threshold=None, slow_call_rate=0.4, slow_call_seconds=5.0, window_seconds=40.0, minimum_calls=3
    ),
    "slow probes": Config(
        failure_threshold=2,
        slow_call_rate=0.5,
        slow_call_seconds=1.0,
        window=6,
        minimum_calls=2,
        reset_timeout=1.0,
        probes=2,
        success_threshold=2,
        close_rate=0.6,
        watched=True,
    ),
    "probes": Config(failure_threshold=1, probes=2, success_threshold=2),
    "many probes": Config(failure_threshold=1, probes=3, success_threshold=5, reset_timeout=2.0),
    "some probes may fail": Config(
        failure_threshold=1, probes=2, success_threshold=2, close_rate=0.5, reset_timeout=2.0, trip_on="network"
    ),
    "few probes may fail": Config(
        failure_threshold=2, probes=3, success_threshold=4, close_rate=0.8, max_reset_timeout=20.0, watched=True
    ),
    "one of three": Config(
        failure_threshold=1, close_rate=0.3, reset_timeout=2.0, probe_timeout=3.0, open_for="infrastructure"
    ),
    "short lease": Config(failure_threshold=1, probes=2, success_threshold=2, probe_timeout=3.0),
    "long lease": Config(failure_threshold=1, reset_timeout=2.0, probe_timeout=5.0),
    "open for less than a lease": Config(
        failure_threshold=1,
        reset_timeout=2.0,
        probe_timeout=30.0,
        probes=3,
        success_threshold=2,
        open_for="infrastructure",
    ),
    "growing": Config(failure_threshold=1, reset_timeout=2.0, max_reset_timeout=16.0),
    "ramp": Config(failure_threshold=2, reset_timeout=2.0, ramp_up=8.0),
    "ramp, watched": Config(
        failure_threshold=2, reset_timeout=2.0, ramp_up=8.0, watched=True, failure_rate=0.5, window=4
    ),
    "narrow": Config(failure_threshold=2, trip_on="timeout"),
    "judged, watched": Config(failure_threshold=2, judged=True, watched=True),
    "judged": Config(failure_threshold=2, judged=True, failure_rate=0.5, window=4),
    "asked": Config(failure_threshold=2, open_for="infrastructure", max_reset_timeout=40.0),
    "partial": Config(failure_threshold=5, partial=True, reset_timeout=2.0, probe_timeout=5.0),
    "partial, watched": Config(
        failure_threshold=None, partial=True, reset_timeout=1.0, watched=True, probes=2, success_threshold=2
    ),
    "partial, ramp": Config(failure_threshold=8, partial=True, reset_timeout=0.5, ramp_up=8.0),
    "partial, slow": Config(
        failure_threshold=6, partial=True, reset_timeout=1.0, slow_call_rate=0.6, slow_call_seconds=2.0, heard=False
    ),
}

# Of the partial circuit: its window, the failing share and the chance of a streak at which it opens, what is usual.
RECENT, SECONDS, NEARLY_ALL, ONE_IN_A_MILLION = 200, 10.0, Fraction(9, 10), 1e-6
LEAST_USUAL, MOST_USUAL, LEARNED = 0.05, 0.1, 5000

# -- the model ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Period:
    """The circuit in one state, from one transition to the next; it admits calls."""

    kind: str
    failures: int = 0  # that opened it
    until: float = 0.0  # open
    opened_at: float = 0.0
    openings: int = 0
    ended: list[tuple[float, int, int]] = dataclasses.field(default_factory=list)  # closed: when, weight, slow
    ramp_from: float | None = None
    leases: list[Lease] = dataclasses.field(default_factory=list)  # half-open; out since then, open
    successes: int = 0
    probes: list[bool] = dataclasses.field(default_factory=list)  # half-open: of those that decided, which succeeded
    share: float = 0.0  # closed, partial: that is shed
    before: float | None = None  # what failed before the last failures in a row
    learned: int = 0  # up to that call

    @property
    def selective(self) -> bool:
        return self.ramp_from is not None or self.share > 0


@dataclasses.dataclass(eq=False)
class Lease:
    by: Period
    since: float
    until: float

    def holds(self, now: float) -> bool:
        return self.since <= now < self.until


@dataclasses.dataclass(eq=False)
class Entry:
    """A call in flight; *part* of another one, or one of its own, of which others may be parts."""

    by: Period | Lease | None
    began: float
    part: bool = False
    whole: bool = False
    running: bool = True


class Model:
    def __init__(self, config: Config, name: str = "", events: list[tuple[object, ...]] | None = None) -> None:
        self.config = config
        self.name = name
        self.now = 0.0
        self.mode = "normal"
        self.period = Period("closed")
        self.category: str | None = None
        self.usual = LEAST_USUAL
        self.reported = 0.0
        self.events = [] if events is None else events
        self.notifications: list[str] = []

    # what can be asked

    @property
    def fail_counter(self) -> int:
        if self.period.kind != "closed":
            return self.period.failures
        streak = 0
        for _, weight, slow in reversed(self.period.ended):
            if not weight and slow != CUT:
                break
            streak += weight
        return streak

    def shares(self) -> list[tuple[int, int, int]]:
        """Calls, what failed, what was slow: of the last calls, of the last seconds, where they are looked at."""
        config, ended = self.config, self.period.ended
        if config.partial:
            return [self.recent()]
        if config.failure_rate is None and config.slow_call_rate is None:
            return []
        looked_at = []
        if config.window is not None:
            looked_at.append(ended[-config.window :])
        if config.window_seconds is not None:
            tenths: list[list[tuple[float, int, int]]] = []
            for call in ended:
                if not tenths or call[0] >= tenths[-1][0][0] + config.window_seconds / 10:
                    tenths.append([])
                tenths[-1].append(call)
            kept = [tenth for tenth in tenths if tenth[0][0] > self.now - config.window_seconds]
            looked_at.append([call for tenth in kept for call in tenth])
        return [(len(calls), sum(w for _, w, _ in calls), sum(bool(s) for _, _, s in calls)) for calls in looked_at]

    # of a partial circuit

    def recent(self) -> tuple[int, int, int]:
        """Calls, what failed, what was slow: after the last failure that is too old."""
        ended = self.period.ended
        old = [number for number, (when, weight, slow) in enumerate(ended, 1) if (weight or slow) and self.is_old(when)]
        calls = ended[max([*old, len(ended) - RECENT, 0]) :]
        return len(calls), sum(weight for _, weight, _ in calls), sum(bool(slow) for _, _, slow in calls)

    def is_old(self, when: float) -> bool:
        return when <= self.now - SECONDS

    def failing(self) -> float:
        calls, failed, _ = self.recent()
        return min(failed / calls, 1.0) if calls else 0.0

    def share(self) -> float:
        """The share that is to be shed now."""
        calls, usual, failing = self.recent()[0], self.usual, self.failing()
        if calls < 10 or (not self.period.share and failing <= usual + 3 * math.sqrt(usual * (1 - usual) / calls)):
            return 0.0
        deviation = max(failing - 1.25 * usual, 0.0)
        return min(deviation / (1 - deviation), 0.9) if deviation < 0.5 else 0.9

    def set_share(self) -> None:
        period = self.period
        if period.share:
            period.learned = len(period.ended)
        if period.ramp_from is not None and not 0 <= self.now - period.ramp_from < self.config.ramp_up:
            period.ramp_from = None
        period.share = self.share()

    def fails_partly(self, weight: int) -> bool:
        """Whether a failure opens the closed circuit, by a streak that is no chance."""
        period = self.period
        last = max((number for number, (_, heavy, _) in enumerate(period.ended) if heavy), default=-1)
        if any(not heavy and slow != CUT for _, heavy, slow in period.ended[last + 1 :]) or period.before is None:
            enough = self.recent()[0] >= 10 and bool(period.ended)
            period.before = max(self.failing(), self.usual) if enough else self.usual
        period.ended.append((self.now, weight, False))
        if not period.share and self.failing() <= MOST_USUAL:
            calls = len(period.ended) - period.learned
            average = self.usual * math.exp(-calls / LEARNED) + weight / LEARNED
            self.usual = min(max(average, LEAST_USUAL), MOST_USUAL)
        period.learned = len(period.ended)
        self.set_share()
        threshold, streak = self.config.failure_threshold, self.fail_counter
        return threshold is not None and streak >= threshold and period.before**streak < ONE_IN_A_MILLION

    def report(self) -> None:
        """Say at the end of a call what is shed, where that has begun, ended, or changed by a tenth."""
        if not self.config.partial:
            return
        if self.period.kind != "closed":
            self.reported = 0.0
            return
        share, known = self.period.share, self.reported
        if (share > 0) != (known > 0) or abs(share - known) >= 0.1:
            self.reported = share
            if share:
                self.emit("circuit.shedding", round(share, 9))
            else:
                self.emit("circuit.shedding_ended")

    # what happens

    def begin(self, chance: float, around: Sequence[Entry] = ()) -> tuple[Entry | None, float | None]:
        """Return the call, which stands in those *around*, or what a rejection says is left."""
        period, config = self.period, self.config
        if any(self.has_parts(entry) for entry in around):
            return Entry(None, self.now, part=True), None
        if period.kind == "open" and self.now < period.opened_at:  # the clock was set back: its time starts again
            period.until += self.now - period.opened_at
            period.opened_at = self.now
        by: Period | Lease | None = None
        left = 0.0
        if period.kind == "closed":
            by, selective = period, period.selective
            if period.ramp_from is not None:
                since = self.now - period.ramp_from
                if not 0 <= since < config.ramp_up:
                    period.ramp_from = None
                elif not chance * config.ramp_up < since:
                    by, left = None, config.ramp_up - since
            if by is not None and config.partial and selective:
                self.set_share()
                if chance < period.share:
                    ramp = period.ramp_from
                    by, left = None, 1.0 if ramp is None else config.ramp_up - (self.now - ramp)
        elif period.kind == "open" and self.now < period.until:
            left = period.until - self.now
        else:
            if period.kind == "open":
                period = Period("half_open", period.failures, openings=period.openings, leases=period.leases)
                self.move(period, "circuit.half_opened")
            period.leases = [lease for lease in period.leases if lease.holds(self.now)]
            if len(period.leases) < config.probes:
                by = Lease(period, self.now, self.now + (config.probe_timeout or config.reset_timeout))
                period.leases.append(by)
            else:
                left = min(lease.until for lease in period.leases) - self.now
        if by is None:
            left = max(left, 0.0)
            self.emit("call.rejected", left, self.mode == "shadow")
            if self.mode != "shadow":
                self.report()
                return None, left
        if self.mode != "disabled":
            self.notifications.append("before_call")
        whole = isinstance(by, Lease) or (isinstance(by, Period) and by.selective)
        return Entry(by, self.now, whole=whole), None

    def has_parts(self, entry: Entry) -> bool:
        """Whether what begins in this call is a part of it: of a probe that decides, or of a call during the ramp."""
        if not (entry.running and entry.whole):
            return False
        if isinstance(entry.by, Lease):
            return entry.by.by is self.period and entry.by in self.period.leases and entry.by.holds(self.now)
        return entry.by is self.period and entry.by.selective

    def weight(self, what: str) -> object:
        if what == "bad" and not self.config.judged:
            return "answered"
        narrow = self.config.trip_on
        if narrow is not None and isinstance(ENDS[what], int) and what not in ("bad", narrow):
            return None
        return ENDS[what]

    def end(self, entry: Entry, what: str, chance: float) -> None:
        self.end_call(entry, what, chance)
        self.report()

    def end_call(self, entry: Entry, what: str, chance: float) -> None:
        entry.running = False
        if entry.part:
            return
        weight, period = self.weight(what), self.period
        asked = HINTS.get(what, 0.0)
        hold = asked if self.config.open_for is not None and 0 < asked < math.inf else None
        fails = weight if isinstance(weight, int) else 0
        limit = self.config.slow_call_seconds
        succeeded = what == "ok" or (what == "bad" and not fails)
        slow = succeeded and limit is not None and self.now - entry.began >= limit
        if slow and not isinstance(entry.by, Period):  # a slow probe is no recovery
            what, weight, fails = "bad", 1, 1
        if self.mode != "disabled":
            if weight == "answered":
                self.notifications.append("success")
            elif fails:
                self.notifications.append("failure")
        if isinstance(entry.by, Lease):
            self.end_probe(entry.by, what, weight, chance, hold)
            return
        if entry.by is not period or self.mode == "disabled":
            return
        config = self.config
        if succeeded:
            period.ended.append((self.now, 0, slow))
            if slow and self.too_bad():
                self.open(0, 1, chance, None, None)
        elif fails or hold is not None:
            self.note(what)
            if config.partial:
                in_a_row = self.fails_partly(fails)
            elif fails:
                period.ended.append((self.now, fails, False))
            if not config.partial:
                in_a_row = config.failure_threshold is not None and self.fail_counter >= config.failure_threshold
            if hold is not None or in_a_row or self.too_bad():
                self.open(self.fail_counter, 1, chance, hold, what)

    def end_probe(self, lease: Lease, what: str, weight: object, chance: float, hold: float | None) -> None:
        period = self.period
        fails = weight if isinstance(weight, int) else 0
        if lease not in period.leases:
            return  # its lease was over, or it comes late
        period.leases.remove(lease)
        if lease.by is not period:
            return
        if fails or hold is not None:
            self.note(what)
            period.failures += fails
            period.probes.extend([False] * bool(fails))
            if hold is not None or not self.may_close(period):
                self.open(period.failures, period.openings + 1, chance, hold, what)
        elif weight == "answered":
            period.successes += 1
            period.probes.append(True)
            if period.successes >= self.config.success_threshold:
                since = self.now if self.config.ramp_up else None
                self.move(Period("closed", ramp_from=since), "circuit.closed")

    def cut(self, entry: Entry, by: CutOff, chance: float) -> None:
        limit = self.config.slow_call_seconds
        if entry.part:
            self.cancel(entry)
        elif by is CutOff.TIMED_OUT:
            self.end_call(entry, "timeout", chance)
        elif limit is None or self.now - entry.began < limit:
            self.cancel(entry)
        elif not isinstance(entry.by, Period):
            self.end_call(entry, "ok", chance)  # as slow as a success that is no recovery
        else:
            entry.running = False
            if entry.by is self.period and self.mode != "disabled":
                self.period.ended.append((self.now, 0, CUT))
                if self.too_bad():
                    self.open(0, 1, chance, None, None)

    def may_close(self, period: Period) -> bool:
        """Whether enough probes would have succeeded if all that are still missing did."""
        missing = self.config.success_threshold - period.probes.count(True)
        at_best = period.probes + [True] * missing
        return Fraction(at_best.count(True), len(at_best)) >= Fraction(str(self.config.close_rate))

    def too_bad(self) -> bool:
        config = self.config
        if config.partial:
            calls, failed, slow = self.recent()
            too_slow = config.slow_call_rate is not None and slow >= Fraction(str(config.slow_call_rate)) * calls
            return calls >= 10 and (failed >= NEARLY_ALL * calls or too_slow)
        fewest = config.minimum_calls or min(10, config.window or 10)
        return any(
            calls >= fewest
            and (
                (config.failure_rate is not None and failed / calls >= config.failure_rate)
                or (config.slow_call_rate is not None and slow / calls >= config.slow_call_rate)
            )
            for calls, failed, slow in self.shares()
        )

    def note(self, what: str) -> None:
        self.category = None if what == "bad" else what.split()[0]

    def cancel(self, entry: Entry) -> None:
        entry.running = False
        if isinstance(entry.by, Lease) and entry.by in self.period.leases:
            self.period.leases.remove(entry.by)

    def open(self, failures: int, openings: int, chance: float, hold: float | None, what: str | None) -> None:
        wait, longest = self.config.reset_timeout, self.config.max_reset_timeout
        if hold is not None:
            wait = hold
        elif longest is not None:
            whole = min(longest, wait * 2 ** (openings - 1))
            wait = whole / 2 + whole / 2 * chance
        category = None if what in (None, "bad") else what.split()[0]
        self.last = category
        leases = self.period.leases if self.period.kind == "half_open" else []
        opened = Period("open", failures, self.now + wait, self.now, openings, leases=leases)
        self.move(opened, "circuit.opened", failures, wait, category)

    def move(self, period: Period, *event: object) -> None:
        self.period = period
        self.notifications.append(period.kind)
        self.emit(*event)

    def emit(self, *event: object) -> None:
        self.events.append((self.name, *event))

    # by hand

    def order(self, what: str, chance: float) -> None:
        if what in ("open", "close", "half_open"):
            self.force(what, chance)
        elif what == "reset":
            self.go("normal")
            self.force("close", chance)
            self.category = None
        else:
            self.go({"isolate": "isolated", "disable": "disabled", "shadow": "shadow"}[what])

    def force(self, what: str, chance: float) -> None:
        if self.mode in ("isolated", "disabled"):
            return
        kind = "closed" if what == "close" else what
        before = self.period
        if kind == before.kind:
            if kind == "closed":
                self.period = Period("closed")
                if self.reported:
                    self.emit("circuit.shedding_ended")
                self.reported = 0.0
        elif kind == "closed":
            self.move(Period("closed"), "circuit.closed")
        elif kind == "half_open":
            if before.kind == "closed":
                self.last = None
            self.move(Period("half_open", self.fail_counter, openings=before.openings), "circuit.half_opened")
        else:
            openings = before.openings + 1 if before.kind == "half_open" else 1
            self.open(self.fail_counter, openings, chance, None, None if before.kind == "closed" else self.last)

    def go(self, mode: str) -> None:
        if mode == self.mode:
            return
        old, self.mode = self.mode, mode
        self.emit("circuit.mode_changed", mode)
        before = self.period.kind
        if mode == "isolated":
            period = Period("open", 0, math.inf, -math.inf)
        elif mode == "disabled" or old in ("isolated", "disabled"):
            period = Period("closed")
        else:
            return
        event = ("circuit.opened", 0, math.inf, None) if period.kind == "open" else ("circuit.closed",)
        self.period = period
        if period.kind != before:
            self.emit(*event)
            self.notifications.append(period.kind)


# -- what it predicts --------------------------------------------------------------------------------------------------


class Dice(VirtualClock):
    """Virtual time with a chance that is set beforehand, and that can be set back."""

    chance = 0.0

    def random(self) -> float:
        return self.chance

    def set_back(self, seconds: float) -> None:
        self._now -= seconds


class Heard(pybreaker.CircuitBreakerListener):
    """Keeps the notifications it gets; an *angry* one raises at each."""

    def __init__(self, *, angry: bool = False) -> None:
        self.notifications: list[str] = []
        self.angry = angry

    def keep(self, notification: str) -> None:
        self.notifications.append(notification)
        if self.angry:
            raise LookupError(notification)

    def before_call(self, cb, func, *args, **kwargs):
        self.keep("before_call")

    def failure(self, cb, exc):
        self.keep("failure")

    def success(self, cb):
        self.keep("success")

    def state_change(self, cb, old_state, new_state):
        self.keep(new_state.name.replace("-", "_"))


def shown(event: object) -> tuple[object, ...]:
    match event.name:
        case "circuit.opened":
            category = None if event.category is None else event.category.label
            return (event.policy, event.name, event.failures, event.retry_after, category)
        case "call.rejected":
            return (event.policy, event.name, event.retry_after, event.shadow)
        case "circuit.mode_changed":
            return (event.policy, event.name, event.mode)
        case "circuit.shedding":
            return (event.policy, event.name, round(event.share, 9))
    return (event.policy, event.name)


WAYS = {"policy": ManualCall, "block": ManualBlock, "stream": ManualStream, "permit": ManualPermit}
"""The ways to make a call: `tests.manual_call`."""
Made = ManualCall | ManualBlock | ManualStream | ManualPermit


class Step(NamedTuple):
    """A step of a program; what it has no need of stays as it is here."""

    kind: str  # a method of `Player`
    chance: float = 0.0
    number: int = 0  # of a call in flight, modulo how many there are
    what: str = ""  # the end of a call, or an order by hand
    circuit: int = 0
    way: str = "policy"
    inside: str = ""  # it begins in the "context" of the call of that number, in a "copy" of it, or independently
    where: str = "in its context"  # it ends there, "elsewhere", or in another "thread"
    seconds: float = 0.0


@dataclasses.dataclass(eq=False)
class Held:
    """A call in flight: as the model has it, as it is, and what its context belongs to."""

    model: Model
    entry: Entry
    way: str
    made: Made
    around: list[Entry]


class Circuit:
    """A circuit, its listener and its model."""

    def __init__(self, config: Config, name: str, events: list[tuple[object, ...]]) -> None:
        self.model = Model(config, name, events)
        self.listener = Heard(angry=config.angry)
        self.breaker = circuit_breaker(
            name,
            **config.given(),
            failure_if=(lambda result: result == "bad") if config.judged else None,
            profiles={"timeout": {"weight": 2}},
            listeners=[self.listener] if config.watched else [],
        )
        self.circuit = self.breaker.circuit
        self.rejection: Exception | None = None

    def start_again(self) -> None:
        """Reset the circuit, with its listener and its model."""
        self.breaker.reset()
        self.listener.notifications.clear()
        self.model = Model(self.model.config, self.model.name, self.model.events)
        self.rejection = None

    def make(self, way: str, context: contextvars.Context | None) -> Made:
        made = WAYS[way](self.circuit if way == "policy" else self.breaker, context)
        if made.rejection is not None:
            assert made.rejection is not self.rejection, "each rejection is an exception of its own"
            self.rejection = made.rejection
        return made


class Player:
    """Plays a program to circuits and to their models, and compares the two after each step."""

    def __init__(self, *configs: Config, clock: Dice | None = None) -> None:
        self.clock = clock or Dice()
        self.heard = configs[0].heard
        self.events: list[tuple[object, ...]] = []
        self.predicted: list[tuple[object, ...]] = []
        self.held: list[Held] = []
        with using_clock(self.clock):
            self.circuits = [
                Circuit(config, f"model {number}", self.predicted) for number, config in enumerate(configs)
            ]

    def start_again(self) -> None:
        """Reset circuits and models for another program, which takes less time than making them."""
        with using_clock(self.clock):
            for circuit in self.circuits:
                circuit.start_again()
        self.events.clear()
        self.predicted.clear()
        self.tell_the_time()

    def play(self, program: Sequence[Step]) -> None:
        with self.playing():
            for step in program:
                self.clock.chance = step.chance
                getattr(self, step.kind)(step)
                self.compare()

    @contextlib.contextmanager
    def playing(self) -> Generator[None]:
        """Be in virtual time, and hear the events."""
        with using_clock(self.clock):
            subscription = subscribe(lambda event: self.events.append(shown(event))) if self.heard else None
            try:
                yield
            finally:
                self.held.clear()
                if subscription is not None:
                    subscription()

    # steps: each does the same to the circuits and to the models

    def begin(self, step: Step) -> Held | None:
        context, around = None, []
        if step.inside and self.held:
            caller = self.chosen(step)
            context, around = caller.made.context, caller.around
            if step.inside == "copy":
                context, around = context.copy(), list(around)
        return self.begin_in(context, around, step)

    def begin_in(self, context: contextvars.Context | None, around: list[Entry], step: Step) -> Held | None:
        circuit = self.circuits[step.circuit % len(self.circuits)]
        entry, left = circuit.model.begin(step.chance, around)
        made = circuit.make(step.way, context)
        assert (made.rejection and made.rejection.retry_after) == left
        if entry is None:
            return None
        if step.way != "permit":  # what is called while one is out belongs to what it was acquired in
            around.append(entry)
        self.held.append(Held(circuit.model, entry, step.way, made, around))
        return self.held[-1]

    def call(self, step: Step) -> None:
        begun = self.begin(step)
        if begun is not None:
            self.end_held(begun, step)

    def end(self, step: Step) -> None:
        if self.held:
            self.end_held(self.chosen(step), step)

    def end_held(self, held: Held, step: Step) -> None:
        self.held.remove(held)
        what = step.what
        if what == "bad" and held.way in ("block", "stream"):
            what = "ok"  # a block has no result
        held.model.end(held.entry, what, step.chance)
        outcome = outcome_of(what)
        assert elsewhere(step.where, held.made, held.made.end, outcome) is outcome

    def cancel(self, step: Step) -> None:
        if self.held:
            self.cancel_held(self.chosen(step), step)

    def cancel_held(self, held: Held, step: Step) -> None:
        self.held.remove(held)
        held.model.cancel(held.entry)
        elsewhere(step.where, held.made, held.made.cancel)

    def cut(self, step: Step) -> None:
        if self.held:
            held = self.chosen(step)
            self.held.remove(held)
            by = CutOff(step.what)
            held.model.cut(held.entry, by, step.chance)
            elsewhere(step.where, held.made, held.made.cut_off, by)

    def lose(self, step: Step) -> None:
        """Drop a call, so that the collector ends it."""
        if self.held:
            held = self.chosen(step)
            self.held.remove(held)
            held.model.cancel(held.entry)

    def wait(self, step: Step) -> None:
        self.clock.advance(step.seconds)
        self.tell_the_time()

    def set_back(self, step: Step) -> None:
        """Set the clock back, unless a circuit has windows of time, which then are not predicted."""
        if all(
            circuit.model.config.window_seconds is None and not circuit.model.config.partial
            for circuit in self.circuits
        ):
            self.clock.set_back(step.seconds)
            self.tell_the_time()

    def tell_the_time(self) -> None:
        for circuit in self.circuits:
            circuit.model.now = self.clock.now()

    def order(self, step: Step) -> None:
        circuit = self.circuits[step.circuit % len(self.circuits)]
        circuit.model.order(step.what, step.chance)
        getattr(circuit.breaker, step.what)()

    # what is looked at

    def chosen(self, step: Step) -> Held:
        return self.held[step.number % len(self.held)]

    def compare(self) -> None:
        for circuit in self.circuits:
            compare(circuit, self.clock)
            if circuit.model.config.watched:
                assert circuit.listener.notifications == circuit.model.notifications
        if self.heard:
            assert self.events == self.predicted


def elsewhere(where: str, made: Made, function: Callable[..., object], *arguments: object) -> object:
    """Call *function*, which ends a call, where a program has it end: in its context, in another one, in a thread."""
    if where == "in its context":
        return made.context.run(function, *arguments)
    context = contextvars.copy_context()
    if where == "elsewhere":
        return context.run(function, *arguments)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(context.run, function, *arguments).result(30)


def compare(on: Circuit, clock: Dice) -> None:
    breaker, model = on.breaker, on.model
    period, state = model.period, on.circuit.state
    leased = sum(lease.holds(model.now) for lease in period.leases)
    over = period.kind == "open" and model.now >= max(period.until, period.opened_at)
    assert breaker.circuit_state.value == ("half_open" if over else period.kind)
    probes = period.kind != "open" or over
    admits = period.kind == "closed" or (probes and leased < (model.config.probes or 1))
    assert breaker.would_admit() == (model.mode == "shadow" or admits)
    assert breaker.mode.value == model.mode
    assert breaker.probes_in_flight == (leased if period.kind == "half_open" else 0)
    assert breaker.fail_counter == model.fail_counter
    assert breaker.success_counter == period.successes
    assert (on.circuit.category and on.circuit.category.label) == model.category
    if period.kind != "closed":
        assert len(state.permits) == len(period.leases)
    if period.kind == "open":
        assert (state.opened_at, state.until) == (period.opened_at, period.until)
    elif period.kind == "closed":
        shares = model.shares()
        assert on.circuit.window_snapshot(clock.now()) == (shares[0] if shares else None)
        if model.config.partial:
            assert math.isclose(state.share, period.share, abs_tol=1e-9)
            assert math.isclose(on.circuit.shed_share(clock.now()), model.share(), abs_tol=1e-9)
            assert math.isclose(on.circuit._usual.share, model.usual)


# -- programs ----------------------------------------------------------------------------------------------------------

ORDERS = ("open", "close", "half_open", "isolate", "disable", "shadow", "reset")
INSIDE = ("", "context", "copy")
WHERE = ("in its context", "elsewhere", "thread")
CUTS = tuple(by.value for by in CutOff)


def long_program(chance: random.Random, length: int, *, nested: bool = True) -> list[Step]:
    """Make up a program that spends most of its time in normal mode, with a few calls in flight."""
    program: list[Step] = []
    reset_in = [math.inf, math.inf]
    for _ in range(length):
        reset_in = [left - 1 for left in reset_in]
        for circuit, left in enumerate(reset_in):
            if left <= 0:
                program.append(Step("order", what="reset", circuit=circuit))
                reset_in[circuit] = math.inf
        step = some_step(chance, INSIDE if nested else ("",))
        if step.kind == "order":
            limit = {"isolate": 10, "disable": 10, "shadow": 60}.get(step.what)
            reset_in[step.circuit] = limit or reset_in[step.circuit]
        program.append(step)
    return program


KINDS = {"begin": 20, "call": 25, "end": 25, "cancel": 2, "cut": 4, "lose": 1, "wait": 20, "set_back": 1, "order": 2}
"""How often each kind of step comes."""
KIND_NAMES, KIND_WEIGHTS = list(KINDS), list(itertools.accumulate(KINDS.values()))
WHAT = {"order": ORDERS, "cut": CUTS}
OUTCOMES = ["ok"] * 5 + ["bad"] + ["network", "unavailable"] * 2 + [*ENDS]
NUMBERS = [-1, -1, *range(8)]  # -1 is the last that has begun
EACH_WAY = ["policy", *WAYS]
ENDS_WHERE = [*["in its context", "elsewhere"] * 4, "thread"]


def some_step(chance: random.Random, inside: tuple[str, ...]) -> Step:
    (kind,) = chance.choices(KIND_NAMES, cum_weights=KIND_WEIGHTS)
    return Step(
        kind,
        chance=chance.choice([0.0, 0.25, 0.5, 0.875]),
        number=chance.choice(NUMBERS),
        what=chance.choice(WHAT.get(kind, OUTCOMES)),
        circuit=chance.choice([0, 0, 1]),
        way=chance.choice(EACH_WAY),
        inside=chance.choice(inside),
        where=chance.choice(ENDS_WHERE),
        seconds=chance.choice([0.5, 0.5, 1.0, 1.0, 2.0, 5.0, 10.0]),
    )


def busy_program(chance: random.Random, length: int) -> list[Step]:
    """Make up a program of many calls in little time, of which now few fail and now most."""
    program: list[Step] = []
    failing = 0.0
    for number in range(length):
        if number % 50 == 0:
            failing = chance.choice([0.0, 0.1, 0.2, 0.3, 0.5, 0.8])
        step = some_step(chance, INSIDE)
        if step.kind == "order" and chance.random() < 0.8:
            step = step._replace(kind="call")
        if step.kind in ("begin", "call", "end"):
            what = chance.choice(["network", "unavailable", "timeout"]) if chance.random() < failing else "ok"
            step = step._replace(what=what, chance=chance.random(), circuit=0)
        if step.kind in ("wait", "set_back"):
            step = step._replace(kind="wait", seconds=chance.choice([0.25, 0.25, 0.25, 0.25, 0.5, 1.0, 4.0]))
        program.append(step)
    return program
