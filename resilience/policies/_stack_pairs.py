"""Questions about the policies of a stack that several rules of `lint` ask."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from resilience._runtime.place import Place
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.policies.fallback import Fallback
from resilience.policies.retry import Retry

__all__ = ["covered_by", "is_overall_limit", "limit_of", "pairs", "pairs_of", "retried_by", "tripped_by"]

_NONE = ErrorCategory(0)


def pairs(stack: Sequence[Policy]) -> Iterator[tuple[Policy, Policy]]:
    """Yield each two policies of *stack*, the outer one first."""
    return itertools.combinations(stack, 2)


def pairs_of(stack: Sequence[Policy], outer: Sequence[Place], inner: Place) -> Iterator[tuple[Policy, Policy]]:
    """Yield each two policies of *stack* of which the outer one is of one of the kinds, and the inner one of a kind."""
    return ((one, other) for one, other in pairs(stack) if one.place in outer and other.place is inner)


def limit_of(policy: Policy) -> float:
    """Return the seconds after which a time limit or deadline ends a call; infinity where it ends none.

    One for the items of a stream says nothing of the whole.
    """
    if not policy.supports_calls or policy.time_limit is None:
        return math.inf
    return policy.time_limit


def is_overall_limit(limit: Policy, stack: Sequence[Policy]) -> bool:
    """Whether a time limit is for all attempts together: a retry, or another time limit, stands inside it."""
    at = next(at for at, each in enumerate(stack) if each is limit)
    return any(policy.place in (Place.RETRY, Place.TIME_LIMIT) for policy in stack[at + 1 :])


def covered_by(fallback: Policy) -> ErrorCategory:
    """Return the categories that a fallback answers."""
    covered = _NONE
    if isinstance(fallback, Fallback):
        for route in fallback.chain or ():
            covered |= route.category
        if fallback.sources:
            covered |= fallback.on
    return covered


def retried_by(retry: Policy) -> ErrorCategory:
    """Return the categories that a retry retries for their own sake."""
    retried = _NONE
    if isinstance(retry, Retry):
        for leaf in ErrorCategory:
            if retry.rules[leaf.value].retried:
                retried |= leaf
    return retried


def tripped_by(circuit: Policy) -> ErrorCategory:
    """Return the categories that a circuit breaker counts as failures."""
    config: Any = getattr(circuit, "config", None)
    tripping = _NONE
    if config is not None:
        for leaf in ErrorCategory:
            if config.weights[leaf.value] > 0:
                tripping |= leaf
    return tripping
