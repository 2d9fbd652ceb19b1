"""Options of a stack of policies that contradict each other: limits, waits, windows, and calls that must not repeat.

Each rule is a function that yields a message for each mistake. To add one, write it and its name in `LIMIT_RULES`, and
a row in ``docs/lint.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from resilience._runtime.place import Place
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.policies._fallback_source import DefaultSource
from resilience.policies._repeatable import never_repeats
from resilience.policies._stack_pairs import covered_by, limit_of, pairs, pairs_of, retried_by
from resilience.policies.bulkhead import Bulkhead
from resilience.policies.fallback import Fallback
from resilience.policies.hedge import Hedge
from resilience.policies.retry import Retry

__all__ = ["LIMIT_RULES"]

_Rule: TypeAlias = Callable[[Sequence[Policy]], Iterator[str]]
_LIMITS = (Place.DEADLINE, Place.TIME_LIMIT)

# -- time limits ------------------------------------------------------------------------------------------------------


def _limit_over(outer_kind: Place, inner_kind: Place) -> _Rule:
    """Return the rule on a limit of the one kind that is longer than one of the other around it."""

    def problems(stack: Sequence[Policy]) -> Iterator[str]:
        for outer, inner in pairs_of(stack, (outer_kind,), inner_kind):
            if math.inf > limit_of(inner) > limit_of(outer):
                yield f"{inner} never passes: {outer} around it does first; give it less"

    return problems


def _window_under_two_timeouts(stack: Sequence[Policy]) -> Iterator[str]:
    """A window holds too few calls that hang: each of them is counted when its time limit has passed."""
    for circuit, limit in pairs_of(stack, (Place.CIRCUIT_BREAKER,), Place.TIME_LIMIT):
        window = _option(circuit, "period")
        if window is not None and window < 2 * limit_of(limit) < math.inf:
            yield (
                f"{circuit} looks at the calls of {window:g} s, and one that hangs counts after {limit_of(limit):g} s:"
                f" give window_seconds={2 * limit_of(limit):g} or more, or a shorter time limit"
            )


def _slow_call_over_timeout(stack: Sequence[Policy]) -> Iterator[str]:
    """No call that succeeds is slow: the time limit ends it first."""
    for circuit, limit in pairs_of(stack, (Place.CIRCUIT_BREAKER,), Place.TIME_LIMIT):
        slow = _option(circuit, "slow_seconds")
        if slow is not None and math.inf > slow >= limit_of(limit):
            yield f"{circuit} counts calls as slow that take {slow:g} s, and {limit} ends them first; give less"


def _option(circuit: Policy, name: str) -> float | None:
    """Return an option of a circuit breaker, in seconds."""
    config: Any = getattr(circuit, "config", None)
    value: float | None = getattr(config, name, None)
    return value


# -- waits ------------------------------------------------------------------------------------------------------------


def _retry_over_deadline(stack: Sequence[Policy]) -> Iterator[str]:
    """The first pause is longer than the time for all attempts: no retry is ever made."""
    for limit, retry in pairs_of(stack, _LIMITS, Place.RETRY):
        pause = _shortest_pause(retry)
        if pause >= limit_of(limit):
            yield f"{retry} is never made: its first pause is {pause:g} s or more, and {limit} around it passes first"


def _shortest_pause(retry: Policy) -> float:
    """Return the shortest first pause of a retry, in seconds; 0 where it is not known."""
    if not isinstance(retry, Retry) or retry.strategies.given or retry.waits:
        return 0.0
    shares = {"none": 1.0, "decorrelated": 1.0, "equal": 0.5}
    return (retry.backoff.first or 0.0) * shares.get(retry.backoff.jitter, 0.0)


def _wait_over_deadline(stack: Sequence[Policy]) -> Iterator[str]:
    """A call may wait for a slot longer than it may take in all."""
    for limit, bulkhead in pairs_of(stack, _LIMITS, Place.BULKHEAD):
        if isinstance(bulkhead, Bulkhead) and (bulkhead.max_wait or 0.0) > limit_of(limit):
            yield f"{bulkhead} lets a call wait longer than {limit} around it gives in all; give a shorter max_wait"


# -- hedges -----------------------------------------------------------------------------------------------------------


def _hedge_not_repeatable(stack: Sequence[Policy]) -> Iterator[str]:
    """A hedge makes calls twice that must not be."""
    retry = never_repeats(stack)
    for hedge in _hedges(stack):
        if retry is not None:
            yield f"{hedge} makes a call twice of which {retry} says that it must not happen twice; leave it out"


def _hedge_over_timeout(stack: Sequence[Policy]) -> Iterator[str]:
    """The call is over before a copy of it would begin."""
    for hedge in _hedges(stack):
        for limit in stack:
            if limit.place in _LIMITS and hedge.seconds >= limit_of(limit):
                yield f"{hedge} makes no copy of a late call: {limit} ends it first; give it less"


def _bulkhead_under_hedge(stack: Sequence[Policy]) -> Iterator[str]:
    """The copies of one call need more slots than there are."""
    for hedge, bulkhead in pairs_of(stack, (Place.HEDGE,), Place.BULKHEAD):
        if isinstance(hedge, Hedge) and isinstance(bulkhead, Bulkhead) and bulkhead.limit <= hedge.copies:
            yield f"{bulkhead} has no slot for the copies of {hedge} beside the call; give {hedge.copies + 1} or more"


def _hedges(stack: Sequence[Policy]) -> Iterator[Hedge]:
    return (policy for policy in stack if isinstance(policy, Hedge))


# -- policies without effect ------------------------------------------------------------------------------------------


def _retry_twice(stack: Sequence[Policy]) -> Iterator[str]:
    """An outer retry leaves alone what has exhausted the inner one, and is for nothing else."""
    for outer, inner in pairwise(stack):
        if not (isinstance(outer, Retry) and isinstance(inner, Retry)):
            continue
        decides_more = outer.retry_exhausted or outer.judges_results or outer.strategies.given
        if not decides_more and not retried_by(outer) & ~retried_by(inner):
            yield f"{outer} retries nothing that {inner} inside has not given up on; leave one of them out"


def _fallback_never_reached(stack: Sequence[Policy]) -> Iterator[str]:
    """The inner fallback has an answer to all that the outer one is for."""
    for outer, inner in pairwise(stack):
        if outer.place is Place.FALLBACK and not covered_by(outer) & ~_certainly_answered_by(inner):
            yield f"{outer} is never asked: {inner} inside it answers the same failures; leave one of them out"


def _certainly_answered_by(fallback: Policy) -> ErrorCategory:
    """Return the categories of which all failures are answered, as the answer cannot fail: by a default."""
    if isinstance(fallback, Fallback) and any(isinstance(source, DefaultSource) for source in fallback.sources):
        return fallback.on
    return ErrorCategory(0)


def _same_policy_twice(stack: Sequence[Policy]) -> Iterator[str]:
    """One object with a state counts, or limits, each call twice."""
    for outer, inner in pairs(stack):
        if outer.place in _WITH_STATE and _identity(outer) is _identity(inner):
            yield f"{outer} is there twice, and counts each call twice; leave one out, or give each its own object"


_WITH_STATE = (Place.HEDGE, Place.CIRCUIT_BREAKER, Place.RATE_LIMIT, Place.BULKHEAD)


def _identity(policy: Policy) -> object:
    """Return the object that the user has given: a circuit per key has another policy at each place."""
    return getattr(policy, "owner", None) or policy


LIMIT_RULES: Mapping[str, _Rule] = {
    "timeout-over-deadline": _limit_over(Place.DEADLINE, Place.TIME_LIMIT),
    "timeout-over-timeout": _limit_over(Place.TIME_LIMIT, Place.TIME_LIMIT),
    "deadline-over-deadline": _limit_over(Place.DEADLINE, Place.DEADLINE),
    "window-under-two-timeouts": _window_under_two_timeouts,
    "slow-call-over-timeout": _slow_call_over_timeout,
    "retry-over-deadline": _retry_over_deadline,
    "wait-over-deadline": _wait_over_deadline,
    "hedge-not-repeatable": _hedge_not_repeatable,
    "hedge-over-timeout": _hedge_over_timeout,
    "bulkhead-under-hedge": _bulkhead_under_hedge,
    "retry-twice": _retry_twice,
    "fallback-never-reached": _fallback_never_reached,
    "same-policy-twice": _same_policy_twice,
}
"""By the name of the rule, the function that yields a message for each mistake in a stack."""
