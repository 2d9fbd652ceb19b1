"""Options of two policies of a stack that contradict each other: limits, waits, windows, calls that must not repeat.

Each rule is a `PairRule`: the kinds of the two policies, and a function that says what is wrong with them, if anything.
To add one, write that function, its entry in `PAIR_RULES`, and a row in ``docs/reference/lint.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from resilience._runtime.place import Place
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.policies._fallback_source import DefaultSource
from resilience.policies._repeatable import never_repeats
from resilience.policies._stack_pairs import adjacent, covered_by, limit_of, pairs, retried_by

__all__ = ["PAIR_RULES", "PairRule", "option_problems"]


class PairRule(NamedTuple):
    """A rule on each *outer* and *inner* policy of these kinds, or on those that are next to each other.

    *problem* is given the two, and returns what is wrong with them; None: nothing.
    """

    name: str
    outer: Place
    inner: Place
    problem: Callable[[Any, Any], str | None]
    is_for_neighbours: bool = False

    def applies_to(self, outer: Policy, inner: Policy, stack: Sequence[Policy]) -> bool:
        """Whether the rule is for these two policies of *stack*."""
        if (outer.place, inner.place) != (self.outer, self.inner):
            return False
        return not self.is_for_neighbours or adjacent(outer, inner, stack)


def option_problems(stack: Sequence[Policy]) -> Iterator[tuple[str, str]]:
    """Yield the rule and the message for each two policies whose options contradict each other."""
    for outer, inner in pairs(stack):
        for rule in PAIR_RULES:
            message = rule.applies_to(outer, inner, stack) and rule.problem(outer, inner)
            if message:
                yield rule.name, message


# -- time limits ------------------------------------------------------------------------------------------------------


def _inner_limit_is_longer(outer: Policy, inner: Policy) -> str | None:
    """The inner limit never passes."""
    if not limit_of(outer) < limit_of(inner) < math.inf:
        return None
    return f"{inner} never passes: {outer} around it does first; give it less"


def _window_is_short(circuit: Any, limit: Policy) -> str | None:
    """The window holds too few calls that hang: each of them is counted when its time limit has passed."""
    window, needed = circuit.config.period or math.inf, 2 * limit_of(limit)
    if not window < needed < math.inf:
        return None
    return (
        f"{circuit} looks at the calls of {window:g} s, and one that hangs counts after {limit_of(limit):g} s:"
        f" give window_seconds={needed:g} or more, or a shorter time limit"
    )


def _no_call_is_slow(circuit: Any, limit: Policy) -> str | None:
    """The time limit ends a call before it counts as slow."""
    slow = circuit.config.slow_seconds
    if not limit_of(limit) <= slow < math.inf:
        return None
    return f"{circuit} counts calls as slow that take {slow:g} s, and {limit} ends them first; give less"


# -- waits ------------------------------------------------------------------------------------------------------------

_SHORTEST = {"none": 1.0, "decorrelated": 1.0, "equal": 0.5, "full": 0.0}
"""The least that jitter leaves of the first pause."""


def _no_time_for_a_retry(limit: Policy, retry: Any) -> str | None:
    """The first pause takes all the time there is."""
    if retry.strategies.given or retry.waits:  # what these wait is not known
        return None
    pause = (retry.backoff.first or 0.0) * _SHORTEST[retry.backoff.jitter]
    if pause < limit_of(limit):
        return None
    return f"{retry} is never made: its first pause is {pause:g} s or more, and {limit} around it passes first"


def _waits_too_long(limit: Policy, bulkhead: Any) -> str | None:
    """A call may wait for a slot longer than it may take in all."""
    if (bulkhead.max_wait or 0.0) <= limit_of(limit):
        return None
    return f"{bulkhead} lets a call wait longer than {limit} around it gives in all; give a shorter max_wait"


# -- hedges -----------------------------------------------------------------------------------------------------------


def _must_not_repeat(hedge: Policy, retry: Policy) -> str | None:
    """The hedge makes calls twice that must not be."""
    if never_repeats([retry]) is None:
        return None
    return f"{hedge} makes a call twice of which {retry} says that it must not happen twice; leave it out"


def _ends_before_a_copy(hedge: Any, limit: Policy) -> str | None:
    """The call is over before a copy of it would begin."""
    if hedge.seconds < limit_of(limit):
        return None
    return f"{hedge} makes no copy of a late call: {limit} ends it first; give it less"


def _has_no_slot_for_a_copy(hedge: Any, bulkhead: Any) -> str | None:
    """The copies of one call need more slots than there are."""
    if bulkhead.max_in_flight > hedge.copies:
        return None
    return f"{bulkhead} has no slot for the copies of {hedge} beside the call; give {hedge.copies + 1} or more"


# -- policies without effect ------------------------------------------------------------------------------------------


def _retries_nothing(outer: Any, inner: Policy) -> str | None:
    """The outer retry leaves alone what has exhausted the inner one, and is for nothing else."""
    decides_more = outer.retry_exhausted or outer.judges_results or outer.strategies.given
    if decides_more or retried_by(outer) & ~retried_by(inner):
        return None
    return f"{outer} retries nothing that {inner} inside has not given up on; leave one of them out"


def _is_never_asked(outer: Policy, inner: Any) -> str | None:
    """The inner fallback has an answer, which cannot fail, to all that the outer one is for."""
    answered = ErrorCategory(0)
    if any(isinstance(source, DefaultSource) for source in inner.sources):
        answered = inner.on
    if covered_by(outer) & ~answered:
        return None
    return f"{outer} is never asked: {inner} inside it answers the same failures; leave one of them out"


def _is_there_twice(outer: Policy, inner: Policy) -> str | None:
    """One object counts each call twice; a circuit per key by another policy at each place, of one owner."""
    if _given(outer) is not _given(inner):
        return None
    return f"{outer} is there twice, and counts each call twice; leave one out, or give each its own object"


def _given(policy: Policy) -> object:
    """Return the object that the user has written for *policy*."""
    return getattr(policy, "owner", None) or policy


def _reversed(problem: Callable[[Any, Any], str | None]) -> Callable[[Any, Any], str | None]:
    """Return the rule for the two policies in the other order."""
    return lambda outer, inner: problem(inner, outer)


_FALLBACK, _DEADLINE, _RETRY, _HEDGE = Place.FALLBACK, Place.DEADLINE, Place.RETRY, Place.HEDGE
_BREAKER, _RATE, _BULKHEAD, _LIMIT = Place.CIRCUIT_BREAKER, Place.RATE_LIMIT, Place.BULKHEAD, Place.TIME_LIMIT

PAIR_RULES: Sequence[PairRule] = (
    PairRule("timeout-over-deadline", _DEADLINE, _LIMIT, _inner_limit_is_longer),
    PairRule("timeout-over-timeout", _LIMIT, _LIMIT, _inner_limit_is_longer),
    PairRule("deadline-over-deadline", _DEADLINE, _DEADLINE, _inner_limit_is_longer),
    PairRule("window-under-two-timeouts", _BREAKER, _LIMIT, _window_is_short),
    PairRule("slow-call-over-timeout", _BREAKER, _LIMIT, _no_call_is_slow),
    PairRule("retry-over-deadline", _DEADLINE, _RETRY, _no_time_for_a_retry),
    PairRule("retry-over-deadline", _LIMIT, _RETRY, _no_time_for_a_retry),
    PairRule("wait-over-deadline", _DEADLINE, _BULKHEAD, _waits_too_long),
    PairRule("wait-over-deadline", _LIMIT, _BULKHEAD, _waits_too_long),
    PairRule("hedge-not-repeatable", _HEDGE, _RETRY, _must_not_repeat),
    PairRule("hedge-not-repeatable", _RETRY, _HEDGE, _reversed(_must_not_repeat)),
    PairRule("hedge-over-timeout", _HEDGE, _LIMIT, _ends_before_a_copy),
    PairRule("hedge-over-timeout", _LIMIT, _HEDGE, _reversed(_ends_before_a_copy)),
    PairRule("hedge-over-timeout", _DEADLINE, _HEDGE, _reversed(_ends_before_a_copy)),
    PairRule("bulkhead-under-hedge", _HEDGE, _BULKHEAD, _has_no_slot_for_a_copy),
    PairRule("retry-twice", _RETRY, _RETRY, _retries_nothing, is_for_neighbours=True),
    PairRule("fallback-never-reached", _FALLBACK, _FALLBACK, _is_never_asked, is_for_neighbours=True),
    PairRule("same-policy-twice", _HEDGE, _HEDGE, _is_there_twice),
    PairRule("same-policy-twice", _BREAKER, _BREAKER, _is_there_twice),
    PairRule("same-policy-twice", _RATE, _RATE, _is_there_twice),
    PairRule("same-policy-twice", _BULKHEAD, _BULKHEAD, _is_there_twice),
)
"""All rules on options, by the kinds that they are for. Several may have one name."""
