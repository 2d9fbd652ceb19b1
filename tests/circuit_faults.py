"""Faults that circuit breakers have had, to be put into ours one by one: a model that is any good finds each.

Each is the object to patch, its attribute, and what to put there, as `monkeypatch.setattr` takes them.
"""

from __future__ import annotations

import contextlib
import math
import types

from resilience._outcome import Outcome
from resilience._runtime import context_manager
from resilience._runtime.cut_off import CutOff
from resilience._runtime.protocol import Run
from resilience.circuits import _permit
from resilience.circuits._permit import Permit
from resilience.clock import current_clock
from resilience.policies import _partial_circuit as partial_circuit
from resilience.policies import _shedding as shedding
from resilience.policies import circuit_breaker as policy
from resilience.policies._circuit_breaker_config import IGNORED, SUCCESS, CircuitBreakerConfig
from resilience.policies._circuit_state_machine import CircuitStateMachine
from resilience.policies._partial_circuit import PartialCircuit, PartialClosed
from resilience.policies._shedding import UsualFailures
from resilience.policies._sliding_window import RecentCalls
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.circuit_states import INNER, Closed, ClosedWithRates, HalfOpen, Open, ProbePermit

record, record_success = CircuitStateMachine.record, CircuitStateMachine.record_success
record_cut_off, release, open_state = (
    CircuitBreakerPolicy._record_cut_off,
    CircuitStateMachine.release,
    CircuitStateMachine._open,
)
run, admit, rejection, notify_result = (
    CircuitBreakerPolicy.run,
    CircuitBreakerPolicy._admit,
    CircuitBreakerPolicy._rejection,
    CircuitBreakerPolicy._notify_result,
)
acquired = Permit.__init__

# -- calls that are cut off --------------------------------------------------------------------------------------------


def neutral(by: CutOff):
    """Return a circuit's method that takes what was cut off *by* that for a call that says nothing."""

    def recorded(self, call, admitted, began, cut_off):
        if cut_off is by:
            self.release(admitted)
        else:
            record_cut_off(self, call, admitted, began, cut_off)

    return recorded


def recorded_as_a_time_out(self, call, admitted, began, cut_off):
    record_cut_off(self, call, admitted, began, CutOff.TIMED_OUT)


def recorded_whenever_it_ends(self, admitted, *args):
    state = self.state
    return record(self, admitted if isinstance(state, Open) else state, *args)


def counted_as_a_success(self, now):
    self.call_count += 1
    for window in self.windows:
        window.record(self.call_count, now, slow=True)
    return self._rate_exceeded(now)


# -- late outcomes, and those that say nothing -------------------------------------------------------------------------


def late_failures_counted(self, admitted, weight, *args):
    state = self.state
    return record(self, state if weight > SUCCESS and isinstance(state, HalfOpen) else admitted, weight, *args)


def late_successes_counted(self, state, began, clock):
    if isinstance(self.state, HalfOpen):
        return record(self, self.state, SUCCESS, clock)
    return record_success(self, state, began, clock)


def late_failures_counted_once_closed(self, admitted, weight, *args):
    state = self.state
    return record(self, state if weight > SUCCESS and isinstance(state, Closed) else admitted, weight, *args)


def late_failures_extend(self, permit):
    self.permits.discard(permit)
    self.until += 1
    return False


def given_back_by_others(self, admitted):
    with contextlib.suppress(KeyError):
        if isinstance(admitted, Closed):
            self.state.permits.pop()
    release(self, admitted)


def ignored_as_successes(self, admitted, weight, *args):
    return record(self, admitted, SUCCESS if weight == IGNORED else weight, *args)


def ignored_gives_nothing_back(self, admitted, weight, *args):
    if weight == IGNORED and isinstance(admitted, ProbePermit):
        return None
    return record(self, admitted, weight, *args)


def released_as_a_success(self, admitted):
    if isinstance(admitted, ProbePermit):
        record(self, admitted, SUCCESS, current_clock())


def opened_without_permits(self, *args):
    opened = open_state(self, *args)
    opened.permits = set()
    return opened


# -- calls within calls, blocks, permits by hand -----------------------------------------------------------------------


def parts_recorded(self, call):
    answer = yield from admit(self, call)
    return self.state if answer is INNER else answer


def found_in_the_context(owner, frame):
    return next((block for block in reversed(context_manager._begun.get()) if block.owner is owner), None)


def found_last(owner, frame):
    blocks = [block for blocks in context_manager._open.values() for block in blocks if block.owner is owner]
    return blocks[-1] if blocks else None


def ended_again(self, outcome):
    self._ended.acquire(blocking=False)
    with contextlib.suppress(StopIteration, TypeError, RuntimeError):
        self._steps.send(outcome)


def kept_for_ever(self, policy, target, kept=[]):  # noqa: B006  # it is to grow
    acquired(self, policy, target)
    kept.append(self._steps)


in_the_callers_context = types.SimpleNamespace(
    copy_context=lambda: types.SimpleNamespace(run=lambda function, *args: function(*args))
)

# -- what callers and listeners get ------------------------------------------------------------------------------------


def replaced_by_a_rejection(self, call):
    outcome = yield from run(self, call)
    state = self.state
    return Outcome(None, rejection(self, state, 1.0)) if outcome.error and isinstance(state, Open) else outcome


def one_rejection(self, *args, made={}):  # noqa: B006  # it is to grow
    return made.setdefault(id(self), rejection(self, *args))


def raised_to_the_caller(self, error):
    raise error


def only_errors_notified(self, call, outcome, weight, transition, counted):
    if weight > SUCCESS and outcome.error is None:
        yield from self._notify_transition(call, transition)
    else:
        yield from notify_result(self, call, outcome, weight, transition, counted)


# -- a share that is shed ----------------------------------------------------------------------------------------------

admit_part, record_part, new_closed = PartialClosed.admit, PartialClosed.record_failure, PartialCircuit._new_closed


def rejections_counted(self, now, clock, config):
    admitted = admit_part(self, now, clock, config)
    if admitted is None:
        record_part(self, 1, clock, config)
    return admitted


def nothing_forgotten(self, number, now):
    """Leave all failures in the window."""


def share_kept(self, now, clock, config):
    return None if clock.random() < self.share else self


def any_streak_opens(self, failures, failing):
    return failures >= (self.failure_threshold or math.inf)


def learned_from_each_failure(self, weight, clock, config):
    opens = record_part(self, weight, clock, config)
    self.usual.learn(1, weight, 0.0)
    return opens


def closed_with_new_usual(self, **options):
    self._usual = UsualFailures()
    return new_closed(self, **options)


FAULTS = {
    "a call that our own limit cuts off counts for nothing": (
        CircuitBreakerPolicy,
        "_record_cut_off",
        neutral(CutOff.TIMED_OUT),
    ),
    "a slow call that is cancelled counts for nothing": (
        CircuitBreakerPolicy,
        "_record_cut_off",
        neutral(CutOff.CANCELLED),
    ),
    "each cancelled call is a failure": (CircuitBreakerPolicy, "_record_cut_off", recorded_as_a_time_out),
    "a slow call that is cancelled ends the failures in a row": (ClosedWithRates, "record_slow", counted_as_a_success),
    "a slow call that is cancelled is not in the window": (ClosedWithRates, "record_slow", lambda self, now: False),
    "a slow probe closes the circuit": (policy, "_SLOW_PROBE", 0),
    "a cancelled probe keeps its permit": (CircuitStateMachine, "release", lambda self, admitted: None),
    "a late outcome counts on the present state": (CircuitStateMachine, "record", recorded_whenever_it_ends),
    "a lost probe keeps its permit for ever": (ProbePermit, "is_active", lambda self, now: True),
    "any number of probes is admitted": (
        HalfOpen,
        "admit",
        lambda self, now, clock, config: ProbePermit(self, now, now + config.lease_seconds),
    ),
    "no probe may fail, whatever close_rate says": (CircuitBreakerConfig, "reopens_after", lambda self, failures: True),
    "the first successful probe closes": (CircuitBreakerConfig, "closes_after", lambda self, successes: True),
    "the open time does not grow": (
        CircuitBreakerConfig,
        "open_seconds",
        lambda self, consecutive_opens, chance: self.reset_seconds,
    ),
    "a success does not end the failures in a row": (Closed, "mark_success", lambda self: None),
    "open for ever": (Open, "half_opens", lambda self, now: False),
    "two stale successes close it": (CircuitStateMachine, "record_success", late_successes_counted),
    "a stale failure reopens a probing one": (CircuitStateMachine, "record", late_failures_counted),
    "late failures open it after it has closed": (CircuitStateMachine, "record", late_failures_counted_once_closed),
    "a late failure keeps it open for longer": (Open, "take_back", late_failures_extend),
    "stale ignored results give back a permit they never had": (CircuitStateMachine, "release", given_back_by_others),
    "an unhandled probe error closes it": (CircuitStateMachine, "record", ignored_as_successes),
    "an unhandled probe error keeps its permit": (CircuitStateMachine, "record", ignored_gives_nothing_back),
    "a cancelled probe closes it": (CircuitStateMachine, "release", released_as_a_success),
    "a probe of an earlier round mints an extra one": (CircuitStateMachine, "_open", opened_without_permits),
    "the clock steps back": (Open, "half_opens", lambda self, now: now >= self.until),
    "the clock steps back under a probe": (ProbePermit, "is_active", lambda self, now: now < self.until),
    "a circuit whose time is over says that it is open": (
        CircuitStateMachine,
        "state_at",
        lambda self, now: self.state.kind,
    ),
    "a circuit whose time is over says that it would reject": (Open, "would_admit", lambda self, now, config: False),
    "a call within a probe is rejected": (CircuitBreakerPolicy, "_is_inner", lambda self: False),
    "a call within a probe decides": (CircuitBreakerPolicy, "_admit", parts_recorded),
    "a call within a probe whose lease is over is a part of it": (
        CircuitStateMachine,
        "is_leased",
        lambda self, permit, clock: True,
    ),
    "a call within any other is a part of it": (CircuitBreakerPolicy, "_stands_for", lambda self, by: by is not None),
    "a call within one from a ramp is a call of its own": (
        CircuitBreakerPolicy,
        "_stands_for",
        lambda self, by: isinstance(by, ProbePermit) and self.is_leased(by, current_clock()),
    ),
    "a call from a ramp goes on to stand for the circuit": (
        CircuitBreakerPolicy,
        "_stands_for",
        lambda self, by: by is self.state or (isinstance(by, ProbePermit) and self.is_leased(by, current_clock())),
    ),
    "a block can be left in the context alone that it was entered in": (
        context_manager,
        "_find",
        found_in_the_context,
    ),
    "overlapping blocks swap their outcomes": (context_manager, "_find", found_last),
    "a permit by hand ends twice": (Permit, "_end", ended_again),
    "a permit by hand that is lost keeps its place": (Permit, "__init__", kept_for_ever),
    "what is called while a permit is out belongs to it": (_permit, "contextvars", in_the_callers_context),
    "the tripping call's error is replaced": (CircuitBreakerPolicy, "run", replaced_by_a_rejection),
    "all rejections are one exception object": (CircuitBreakerPolicy, "_rejection", one_rejection),
    "a listener that raises ends the call": (Run, "failed", raised_to_the_caller),
    "listeners do not hear of a result that counts as a failure": (
        CircuitBreakerPolicy,
        "_notify_result",
        only_errors_notified,
    ),
}

FAULTS_OF_SHEDDING = {
    "rejections count as failures": (PartialClosed, "admit", rejections_counted),
    "the share stays when failures are old": (RecentCalls, "_forget", nothing_forgotten),
    "the share stays when nothing fails any more": (PartialClosed, "admit", share_kept),
    "it sheds without a dead zone": (shedding, "_DEAD_ZONE", 0.0),
    "it sheds what chance explains": (shedding, "_DEVIATIONS", 0.0),
    "it sheds all calls": (shedding, "_MAX_SHARE", 1.0),
    "a few calls are enough": (shedding, "MIN_CALLS", 3),
    "a streak that chance explains opens it": (CircuitBreakerConfig, "streak_opens", any_streak_opens),
    "no streak opens it": (CircuitBreakerConfig, "streak_opens", lambda self, failures, failing: False),
    "what failed before a streak is not looked at": (PartialClosed, "_failing", lambda self, now: self.usual.share),
    "it learns while it sheds": (PartialClosed, "record_failure", learned_from_each_failure),
    "it learns from an outage": (shedding, "_MAX_USUAL", 1.0),
    "it forgets what is usual when it closes": (PartialCircuit, "_new_closed", closed_with_new_usual),
    "a call within one that was not shed is shed": (
        CircuitBreakerPolicy,
        "_stands_for",
        lambda self, by: isinstance(by, ProbePermit) and self.is_leased(by, current_clock()),
    ),
    "it does not say how the share changes": (PartialCircuit, "_report", lambda self, target: iter(())),
    "it says each change of the share": (partial_circuit, "_REPORTED_CHANGE", 1e-6),
}
"""Those that a partial circuit might have."""

FAULTS_OF_NESTING = {
    "a call that has ended goes on to have parts": (CircuitBreakerPolicy, "leave", staticmethod(lambda note: None)),
    **{
        fault: FAULTS[fault]
        for fault in (
            "a call within a probe is rejected",
            "a call within a probe decides",
            "a call within any other is a part of it",
            "a call within one from a ramp is a call of its own",
            "a call within a probe whose lease is over is a part of it",
        )
    },
}
"""Those that every way in which calls nest finds; the first of them is too rare to be found by chance."""
