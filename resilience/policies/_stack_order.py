"""The order of a stack of policies: which kinds must not stand inside which, and what goes wrong where they do.

The right order is that of `Place`. A pair in the wrong order is a problem only where it is in the table of reasons: a
deadline, or a time limit for everything, may stand around all others, for example. A reason may hold under a condition
alone, such as that the fallback answers failures which the retry is to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from resilience._runtime.place import Place
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.policies._slot_policy import SlotPolicy
from resilience.policies._stack_pairs import covered_by, is_overall_limit, pairs, retried_by, tripped_by

__all__ = ["order_problems"]

_Condition: TypeAlias = Callable[[Policy, Policy, Sequence[Policy]], bool]
"""Whether a pair, *outer* and *inner* policy of *stack*, is a problem."""

_FALLBACK, _DEADLINE, _RETRY, _HEDGE = Place.FALLBACK, Place.DEADLINE, Place.RETRY, Place.HEDGE
_BREAKER, _RATE, _BULKHEAD, _LIMIT = Place.CIRCUIT_BREAKER, Place.RATE_LIMIT, Place.BULKHEAD, Place.TIME_LIMIT
_CHAOS = Place.CHAOS

_NAMES = {
    _FALLBACK: "fallback",
    _DEADLINE: "deadline",
    _RETRY: "retry",
    _HEDGE: "hedge",
    _BREAKER: "breaker",
    _RATE: "rate-limit",
    _BULKHEAD: "bulkhead",
    _LIMIT: "timeout",
    _CHAOS: "chaos",
}
"""The kinds, as the names of rules have them: ``retry-inside-breaker``."""

_UNTRIED = "it does not meet the faults that chaos injects, and an exercise does not show what it does"

_REASONS: Mapping[tuple[Place, Place], str] = {
    **{(_CHAOS, place): _UNTRIED for place in Place if place is not _CHAOS},
    (_RETRY, _FALLBACK): "the retry sees the substitute, a success, and never makes the call again",
    (_HEDGE, _FALLBACK): "the first substitute wins the race, also where another copy would have an answer",
    (_BREAKER, _FALLBACK): "the circuit sees the substitute, a success, and never opens",
    (_RATE, _FALLBACK): "the fallback does not see the calls that the rate limit refuses",
    (_BULKHEAD, _FALLBACK): "the fallback does not see the calls that the bulkhead refuses",
    (_LIMIT, _FALLBACK): "the fallback does not see the calls that the limit cuts off",
    (_RETRY, _DEADLINE): "it begins anew with each attempt, and no deadline covers all of them",
    (_HEDGE, _RETRY): "each copy is retried by itself, and a copy begins only when those retries have taken too long",
    (_BREAKER, _RETRY): "all attempts are one failure to the circuit, which cannot stop the second and third",
    (_RATE, _RETRY): "the attempts after the first one do not count for the rate",
    (_BULKHEAD, _RETRY): "the pauses between attempts hold the slot",
    (_BREAKER, _HEDGE): "the circuit counts one call where several copies are made",
    (_RATE, _HEDGE): "further copies do not count for the rate",
    (_BULKHEAD, _HEDGE): "further copies have no slot, and there are more calls in flight than the limit",
    (_RATE, _BREAKER): "calls that the open circuit rejects use up the rate",
    (_BULKHEAD, _BREAKER): "calls wait for a slot to be rejected by the open circuit",
    (_BULKHEAD, _RATE): "calls hold a slot while they wait for their turn",
    (_LIMIT, _RATE): "waiting for its turn counts as time of the call, and ends as a time-out of the dependency",
    (_LIMIT, _BULKHEAD): "waiting for a slot counts as time of the call, and ends as a time-out of the dependency",
}


def _hides_from_retry(outer: Policy, inner: Policy, _: Sequence[Policy]) -> bool:
    return bool(covered_by(inner) & retried_by(outer))


def _hides_from_breaker(outer: Policy, inner: Policy, _: Sequence[Policy]) -> bool:
    return bool(covered_by(inner) & tripped_by(outer))


def _hides_from_hedge(_: Policy, inner: Policy, __: Sequence[Policy]) -> bool:
    return bool(covered_by(inner) & ErrorCategory.INFRASTRUCTURE)


def _is_to_cover_rejections(_: Policy, inner: Policy, __: Sequence[Policy]) -> bool:
    return ErrorCategory.REJECTED in covered_by(inner)


def _is_to_cover_time_outs(outer: Policy, inner: Policy, stack: Sequence[Policy]) -> bool:
    inside = stack[_position(stack, inner) :]
    limited = any(policy.place is Place.TIME_LIMIT for policy in inside)
    return ErrorCategory.TIMEOUT in covered_by(inner) and not limited and not is_overall_limit(outer, stack)


def _waits_in_time(outer: Policy, inner: Policy, stack: Sequence[Policy]) -> bool:
    may_wait = not isinstance(inner, SlotPolicy) or inner.max_queue != 0
    return may_wait and not is_overall_limit(outer, stack)


def _position(stack: Sequence[Policy], policy: Policy) -> int:
    return next(at for at, each in enumerate(stack) if each is policy)


_CONDITIONS: Mapping[tuple[Place, Place], _Condition] = {
    (_RETRY, _FALLBACK): _hides_from_retry,
    (_HEDGE, _FALLBACK): _hides_from_hedge,
    (_BREAKER, _FALLBACK): _hides_from_breaker,
    (_RATE, _FALLBACK): _is_to_cover_rejections,
    (_BULKHEAD, _FALLBACK): _is_to_cover_rejections,
    (_LIMIT, _FALLBACK): _is_to_cover_time_outs,
    (_LIMIT, _RATE): _waits_in_time,
    (_LIMIT, _BULKHEAD): _waits_in_time,
}


def order_problems(stack: Sequence[Policy]) -> Iterator[tuple[str, str]]:
    """Yield the rule and the message for each pair of policies in the wrong order."""
    for outer, inner in pairs(stack):
        kinds = cast("tuple[Place, Place]", (outer.place, inner.place))
        reason = _REASONS.get(kinds)
        if reason is not None and _CONDITIONS.get(kinds, _always)(outer, inner, stack):
            rule = f"{_NAMES[kinds[1]]}-inside-{_NAMES[kinds[0]]}"
            yield rule, f"{inner} is inside {outer}: {reason}; put the {kinds[1].label} outside"


def _always(_: Policy, __: Policy, ___: Sequence[Policy]) -> bool:
    return True
