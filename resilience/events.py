"""Events: frozen records of what policies did, and the table of their kinds.

A policy emits an event when an attempt fails, a retry is scheduled, a circuit opens, a limit expires. It builds one
only when there is a listener. An event never holds a call's arguments or its result, and its `repr` never shows an
error's message: all three may carry secrets.

Each kind of event declares by `event_type`, above its class, all that loggers and exporters have to know of it: its
dotted name, its log level, the counter it adds to, whether it appears on the current span. The logging sink,
Prometheus, OpenTelemetry, the tables in the documentation and the dashboard follow from these declarations. A new kind
is one class in this file and the line that emits it.

`subscribe` and `emit` live in `resilience._listeners` and are offered here too: a program without
listeners imports that module alone.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from resilience._event_type import HIDDEN, Event, event_type, event_types
from resilience._listeners import Subscription, emit, subscribe
from resilience._metric import Counter
from resilience.categories import ErrorCategory, Severity

__all__ = [
    "AttemptFailed",
    "CacheFailed",
    "CallRejected",
    "CallRevised",
    "CircuitClosed",
    "CircuitHalfOpened",
    "CircuitModeChanged",
    "CircuitOpened",
    "CircuitSetByHand",
    "CircuitShedding",
    "CircuitSheddingEnded",
    "CircuitTransition",
    "ConfigurationChanged",
    "ConfigurationRejected",
    "Counter",
    "DeadlineIgnored",
    "Event",
    "FallbackFailed",
    "FallbackUsed",
    "FaultInjected",
    "FleetCommanded",
    "FleetLost",
    "FleetRestored",
    "HedgePaused",
    "HedgeStarted",
    "HedgeWon",
    "LimitChanged",
    "RateLimitHeld",
    "RetriesExhausted",
    "RetryScheduled",
    "Subscription",
    "TargetThreadsExhausted",
    "ThreadNotStarted",
    "ThreadsExhausted",
    "TimedOut",
    "emit",
    "event_type",
    "event_types",
    "subscribe",
]


# -- retries ----------------------------------------------------------------------------------------------------------


@event_type(
    "attempt.failed",
    Severity.INFO,
    counter=Counter("resilience.attempt.failures", "Attempts that failed below a retry.", ("target", "category")),
    on_span=False,  # the event that follows from it is there
)
class AttemptFailed(Event):
    """One attempt failed; *attempt* counts from 1.

    The next event says what follows from it, unless the failure is not *retryable* here: then the call ends with it.
    """

    attempt: int
    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    retryable: bool = dataclasses.field(default=False, compare=False, metadata=HIDDEN)

    @property
    def is_detail(self) -> bool:
        """Whether the events of the retry say the rest."""
        return self.retryable


RETRIES = Counter("resilience.retries", "Retries that were scheduled.", ("target", "category"))


@event_type(
    "retry.scheduled",
    Severity.WARNING,
    counter=RETRIES,
    escalates=False,  # the failed attempt before it has been logged at that level
)
class RetryScheduled(Event):
    """The retry makes the call again after *wait* seconds; *attempt* is the one that failed.

    *error* is None where the retry rejected a result.
    """

    attempt: int
    category: ErrorCategory
    wait: float
    error: Exception | None = dataclasses.field(default=None, repr=False)

    @property
    def is_detail(self) -> bool:
        """Whether the first retry of the call has been logged already."""
        return self.attempt > 1


REVISIONS = Counter("resilience.revisions", "Calls made again with other arguments.", ("target", "category"))


@event_type("call.revised", Severity.INFO, counter=REVISIONS, escalates=False)
class CallRevised(Event):
    """The retry makes the call again at once with other arguments, the *revision*-th ones; *attempt* failed."""

    attempt: int
    category: ErrorCategory
    revision: int
    error: Exception = dataclasses.field(repr=False)


@event_type(
    "retry.exhausted",
    Severity.ERROR,
    counter=Counter(
        "resilience.retries.exhausted",
        "Calls given up after a retryable failure, by what ended the retries.",
        ("target", "category", "reason"),
    ),
)
class RetriesExhausted(Event):
    """The retry makes no further attempt at a retryable failure; *reason* is the `StopReason` as a word."""

    attempts: int
    category: ErrorCategory
    reason: str
    error: Exception | None = dataclasses.field(default=None, repr=False)


# -- circuits ---------------------------------------------------------------------------------------------------------


def _named(kind: str, name: str) -> dict[str, object]:
    """Return the fields for a policy with a name, which is a value of its own: a circuit's under ``circuit``."""
    return {"policy": kind, kind.removesuffix("_breaker"): name}


CIRCUIT_TRANSITIONS = Counter("resilience.circuit.transitions", "Changes of circuits to a state.", ("circuit", "state"))


class CircuitTransition(Event):
    """Base of the events of a circuit that has changed its state: *policy* is its name, `state` the new state."""

    __slots__ = ()

    state: ClassVar[str]

    @property
    def circuit(self) -> str:
        """The name of the circuit, as metrics call it."""
        return self.policy

    def _policy_fields(self) -> dict[str, object]:
        return _named("circuit_breaker", self.policy)


@event_type("circuit.opened", Severity.WARNING, counter=CIRCUIT_TRANSITIONS)
class CircuitOpened(CircuitTransition):
    """The circuit rejects all calls for *retry_after* seconds.

    *failures* is what it counted when it opened, by weight, *category* that of the failure that opened it.
    """

    state: ClassVar[str] = "open"

    failures: int
    retry_after: float
    category: ErrorCategory | None = None


@event_type("circuit.half_opened", Severity.DEBUG, counter=CIRCUIT_TRANSITIONS)
class CircuitHalfOpened(CircuitTransition):
    """The open time is over: the circuit admits a probe."""

    state: ClassVar[str] = "half_open"


@event_type("circuit.closed", Severity.INFO, counter=CIRCUIT_TRANSITIONS)
class CircuitClosed(CircuitTransition):
    """The circuit admits all calls again."""

    state: ClassVar[str] = "closed"


@event_type("circuit.shedding", Severity.WARNING)
class CircuitShedding(Event):
    """The partial circuit named *policy* rejects the share *share* of the calls, since a part of them fails.

    It comes when that begins, and again whenever the share has changed by a tenth of all calls.
    """

    share: float


@event_type("circuit.shedding_ended", Severity.INFO)
class CircuitSheddingEnded(Event):
    """The partial circuit named *policy* admits all calls again: no more of them fail than usual."""


@event_type("circuit.mode_changed", Severity.WARNING)
class CircuitModeChanged(Event):
    """An operator set the circuit named *policy* to *mode*: ``normal``, ``disabled``, ``shadow`` or ``isolated``."""

    mode: str

    def _policy_fields(self) -> dict[str, object]:
        return _named("circuit_breaker", self.policy)


@event_type(
    "call.rejected",
    Severity.INFO,
    counter=Counter(
        "resilience.rejections",
        "Calls that were rejected, or with `shadow` would have been.",
        ("target", "policy", "shadow"),
    ),
)
class CallRejected(Event):
    """The policy named *policy*, such as a circuit, did not admit the call; it may admit one in *retry_after* seconds.

    *kind* is that of the policy. With *shadow* the call was made all the same, since the circuit only shadows.
    """

    retry_after: float
    shadow: bool = False
    kind: str = dataclasses.field(default="circuit_breaker", compare=False, metadata=HIDDEN)

    def _policy_fields(self) -> dict[str, object]:
        return _named(self.kind, self.policy)


# -- fleets -----------------------------------------------------------------------------------------------------------


@event_type("fleet.commanded", Severity.WARNING)
class FleetCommanded(Event):
    """An operator, *by*, has set the circuit named *policy* to *mode* in all processes of a fleet.

    It ends after *seconds*; None: when it is released. Each process that has the circuit emits it.
    """

    mode: str
    by: str
    why: str
    seconds: float | None = None

    def _policy_fields(self) -> dict[str, object]:
        return _named("circuit_breaker", self.policy)


@event_type("fleet.lost", Severity.WARNING)
class FleetLost(Event):
    """The store of the fleet named *target* raised *error*: circuits and quotas of this process go on by themselves."""

    error: Exception = dataclasses.field(repr=False)


@event_type("fleet.restored", Severity.INFO)
class FleetRestored(Event):
    """The store of the fleet named *target* is back; so many *nodes* live."""

    nodes: int


# -- rate limits ------------------------------------------------------------------------------------------------------


@event_type(
    "rate_limit.held",
    Severity.WARNING,
    counter=Counter(
        "resilience.rate_limit.holds",
        "Answers of servers by which a rate limit held back all calls.",
        ("target", "policy"),
    ),
)
class RateLimitHeld(Event):
    """The server has limited the rate: the rate limit named *policy* lets no call go for *wait* seconds."""

    wait: float


# -- adaptive limits --------------------------------------------------------------------------------------------------


@event_type(
    "limit.changed",
    Severity.INFO,
    counter=Counter("resilience.adaptive_limit.changes", "Changes of adaptive limits by a half or more.", ("policy",)),
)
class LimitChanged(Event):
    """The adaptive limit named *policy* admits *limit* calls at a time now, and *before* when it was reported last.

    It comes when the limit is half as much again as then, or less by that. Its *target* is the name of the limit, which
    may guard several functions.
    """

    limit: int
    before: int

    def _policy_fields(self) -> dict[str, object]:
        return _named("adaptive_limit", self.policy)


# -- hedges -----------------------------------------------------------------------------------------------------------


@event_type(
    "hedge.started",
    Severity.INFO,
    counter=Counter("resilience.hedges", "Further copies of calls that were made.", ("target", "reason")),
)
class HedgeStarted(Event):
    """The hedge makes the call once more, as its *copy*-th further copy.

    *reason* is "slow", where the call has taken *delay* seconds, or "failed", where a copy has failed before that.
    """

    copy: int
    reason: str
    delay: float


@event_type(
    "hedge.won",
    Severity.INFO,
    counter=Counter("resilience.hedges.won", "Calls that were answered by a further copy.", ("target",)),
)
class HedgeWon(Event):
    """The *copy*-th further copy has answered first, *seconds* after the call began."""

    copy: int
    seconds: float


@event_type(
    "hedge.paused",
    Severity.INFO,
    counter=Counter("resilience.hedges.paused", "Pauses of hedges, by what has led to them.", ("target", "reason")),
)
class HedgePaused(Event):
    """The hedge makes no copies for *seconds*.

    *reason* is the label of the failure's category; "queue", where a bulkhead inside has calls that wait; or
    "no_gain", where copies have won fewer than a tenth of the races.
    """

    reason: str
    seconds: float


# -- time limits, fallbacks -------------------------------------------------------------------------------------------


@event_type(
    "call.timed_out",
    Severity.WARNING,
    counter=Counter("resilience.timeouts", "Calls that exceeded a time limit.", ("target",)),
)
class TimedOut(Event):
    """The call took longer than *limit* seconds; the caller waits no longer.

    A *limit* of 0 is that of a request whose deadline had passed when it arrived.
    """

    limit: float


@event_type(
    "deadline.ignored",
    Severity.INFO,
    counter=Counter(
        "resilience.deadlines.ignored",
        "Requests whose header for the deadline says no time.",
        ("target", "header"),
    ),
)
class DeadlineIgnored(Event):
    """A request brought a deadline that says no time; its *header* was ignored. The value is not shown: it may be long.

    The request has the server's own limit, if any.
    """

    header: str


@event_type(
    "threads.exhausted",
    Severity.ERROR,
    counter=Counter(
        "resilience.threads.exhausted", "Calls rejected because too many threads hang after a time limit.", ("target",)
    ),
)
class ThreadsExhausted(Event):
    """The call was not made: *running* threads still execute calls whose time limits have passed, as many as may.

    A thread cannot be stopped. The process rejects every sync call with a time limit until one of the threads comes
    back; if none does, only a restart helps.
    """

    running: int


@event_type(
    "threads.target_exhausted",
    Severity.ERROR,
    counter=Counter(
        "resilience.threads.target.exhausted",
        "Calls rejected because too many threads of their target hang after a time limit.",
        ("target",),
    ),
)
class TargetThreadsExhausted(Event):
    """The call was not made: *running* threads still execute calls to its target whose time limits have passed.

    They are as many as one target may have. Calls to other targets are made as ever.
    """

    running: int


@event_type(
    "thread.not_started",
    Severity.ERROR,
    counter=Counter(
        "resilience.threads.not_started", "Calls rejected because the system started no thread for them.", ("target",)
    ),
)
class ThreadNotStarted(Event):
    """The call was not made: the system started no thread for it. *reason* is what it said.

    The threads or the memory of the process or its container are used up.
    """

    reason: str


@event_type(
    "fallback.used",
    Severity.WARNING,
    counter=Counter(
        "resilience.fallbacks", "Failed calls whose callers got a substitute, by the failure.", ("target", "category")
    ),
)
class FallbackUsed(Event):
    """The caller gets a substitute in place of *error*.

    It comes from *source*: "default", "factory", "stale", or the function of that name in a chain.
    """

    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    source: str = "default"


@event_type(
    "fallback.failed",
    Severity.ERROR,
    counter=Counter(
        "resilience.fallback.failures",
        "Calls whose substitute failed too, by its failure.",
        ("target", "category"),
    ),
)
class FallbackFailed(Event):
    """The fallback's *source* failed as well: the caller gets its *error*."""

    category: ErrorCategory
    error: Exception = dataclasses.field(repr=False)
    source: str = "default"


@event_type(
    "cache.failed",
    Severity.INFO,  # the log has a line per minute of its own
    counter=Counter(
        "resilience.cache.failures",
        "Operations on the caches of fallbacks that failed or took too long.",
        ("target",),
    ),
)
class CacheFailed(Event):
    """The stale cache of a fallback raised *error*, or did not answer in time; *operation* is "get" or "set".

    The call goes on without it: its answer is not stored, or no stale one is handed out.
    """

    operation: str
    error: Exception = dataclasses.field(repr=False)


# -- configuration ----------------------------------------------------------------------------------------------------


@event_type(
    "configuration.changed",
    Severity.INFO,
    counter=Counter("resilience.configuration.changes", "Configurations that came into force.", ("target",)),
)
class ConfigurationChanged(Event):
    """Policies have changed while the program runs: a file was read again, or an option was set.

    *target* is the file, each of *changes* an option with its values and the origin of the new one.
    """

    changes: tuple[str, ...] = ()


@event_type(
    "configuration.rejected",
    Severity.WARNING,
    counter=Counter("resilience.configuration.rejections", "Invalid configurations that were refused.", ("target",)),
)
class ConfigurationRejected(Event):
    """A configuration was read again and is invalid: the one before stays in force. *problem* says what is wrong."""

    error: Exception
    problem: str = ""


@event_type(
    "circuit.set_by_hand",
    Severity.WARNING,
    counter=Counter("resilience.circuit.actions", "Actions on circuits by hand.", ("policy", "action")),
)
class CircuitSetByHand(Event):
    """An operator has set a circuit: *action* is "isolate", "disable", "shadow" or "reset".

    *by* and *why* are what the operator has said, *seconds* the time for which it holds; None: until it is reset.
    """

    action: str
    by: str = ""
    why: str = ""
    seconds: float | None = None


# -- chaos ------------------------------------------------------------------------------------------------------------


@event_type(
    "fault.injected",
    Severity.WARNING,
    counter=Counter("resilience.faults.injected", "Faults that chaos has injected.", ("target", "kind")),
    escalates=False,
)
class FaultInjected(Event):
    """Chaos has changed an attempt: it fails by an "error" of *category*, has a "latency", or another "result".

    *seconds* are the latency. The events that follow from an injected error say ``injected`` as well.
    """

    kind: Literal["error", "latency", "result"]
    category: ErrorCategory | None = None
    seconds: float = 0.0

    @property
    def injected(self) -> bool:
        """True."""
        return True
