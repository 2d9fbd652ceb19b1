"""Questions about the policies of a stack that several rules of `lint` ask."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from resilience._runtime.place import Place
from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.policies.fallback import Fallback
from resilience.policies.retry import Retry

__all__ = ["adjacent", "covered_by", "is_overall_limit", "limit_of", "pairs", "retried_by", "tripped_by"]

_NONE = ErrorCategory(0)


def pairs(stack: Sequence[Policy]) -> Iterator[tuple[Policy, Policy]]:
    """Yield each two policies of *stack*, the outer one first."""
    return itertools.combinations(stack, 2)


def adjacent(outer: Policy, inner: Policy, stack: Sequence[Policy]) -> bool:
    """Whether no other policy of *stack* stands between the two."""
    return any(one is outer and other is inner for one, other in itertools.pairwise(stack))


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
    """Return the categories that a fallback answers: those of its chain, and those that its other sources are for."""
    if not isinstance(fallback, Fallback):
        return _NONE
    covered = [route.category for route in fallback.chain or ()]
    if fallback.sources:
        covered.append(fallback.on)
    return _union(covered)


def retried_by(retry: Policy) -> ErrorCategory:
    """Return the categories that a retry retries for their own sake."""
    if not isinstance(retry, Retry):
        return _NONE
    return _union(leaf for leaf in ErrorCategory if retry.rules[leaf.value].retried)


def tripped_by(circuit: Policy) -> ErrorCategory:
    """Return the categories that a circuit breaker counts as failures."""
    config: Any = getattr(circuit, "config", None)
    if config is None:
        return _NONE
    return _union(leaf for leaf in ErrorCategory if config.weights[leaf.value] > 0)


def _union(categories: Iterable[ErrorCategory]) -> ErrorCategory:
    return functools.reduce(lambda one, other: one | other, categories, _NONE)
