"""Variants of a guarded function: its own stack with some options changed, for simulations of what would be.

A variant is a new function with policies of its own where they differ. The original, its policies and their state stay
as they are.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from resilience._runtime.decorate import Guarded
from resilience._runtime.protocol import Policy
from resilience._validation import did_you_mean, parse_count, parse_duration, parse_number
from resilience.policies.bulkhead import Bulkhead
from resilience.policies.deadline import Deadline
from resilience.policies.retry import Retry
from resilience.policies.retry_budget import RetryBudget
from resilience.policies.timeout import Timeout
from resilience.simulation._engine import find_guarded

__all__ = ["OPTIONS", "options_of", "record_of", "variant", "with_policies"]


def _attempts(policy: Retry, value: object) -> Policy:
    """Return the retry with that number of attempts in all."""
    changed = copy.copy(policy)
    changed.attempts = parse_count("attempts", value)
    return changed


def _budget(policy: Retry, value: object) -> Policy:
    """Return the retry with a budget of so many tokens; the reserve is the one that it has. 0: without a budget."""
    tokens = parse_number("budget", value, "tokens, such as 500; 0: no budget", least=0.0)
    changed = copy.copy(policy)
    changed.budget = None
    if tokens:
        before = policy.budget or RetryBudget()
        changed.budget = RetryBudget(before.name, tokens=tokens, reserve=before.reserve)
    changed.success_counter = changed.budget
    return changed


def _timeout(policy: Timeout, value: object) -> Policy:
    """Return the time limit with other seconds."""
    changed = copy.copy(policy)
    changed.time_limit = parse_duration("timeout", value)
    return changed


def _deadline(policy: Deadline, value: object) -> Policy:
    """Return the deadline with other seconds."""
    changed = copy.copy(policy)
    changed.seconds = changed.time_limit = parse_duration("deadline", value)
    return changed


def _limit(policy: Bulkhead, value: object) -> Policy:
    """Return a bulkhead with another limit. It is a new one: slots are made for their number."""
    limit = parse_count("limit", value)
    return Bulkhead(policy.name, limit, max_queue=policy.max_queue, max_wait=policy.max_wait, order=policy.order)


def _budget_of(policy: Retry) -> float:
    """Return the tokens of the retry's budget; 0 without one."""
    return 0.0 if policy.budget is None else policy.budget.tokens


OPTIONS: Mapping[str, tuple[type[Any], Callable[[Any, object], Policy], Callable[[Any], object], str]] = {
    "attempts": (Retry, _attempts, lambda policy: policy.attempts, "a retry"),
    "budget": (Retry, _budget, _budget_of, "a retry"),
    "timeout": (Timeout, _timeout, lambda policy: policy.time_limit, "a timeout"),
    "deadline": (Deadline, _deadline, lambda policy: policy.seconds, "a deadline"),
    "limit": (Bulkhead, _limit, lambda policy: policy.limit, "a bulkhead"),
}
"""The options that a variant can change: the class of the policy, what changes it and reads it, and its name."""


def record_of(function: object) -> Guarded:
    """Return the record of the guarded *function*. Raises TypeError for one that no policy guards."""
    record = find_guarded(function) if callable(function) else None
    if record is None:
        raise TypeError(f"{function!r} is not guarded: decorate it, for example with @standard('catalogue')")
    return record


def with_policies(function: object, stack: Sequence[Policy]) -> Callable[..., object]:
    """Return the guarded *function* with *stack* in the place of its policies. The original stays as it is."""
    record = record_of(function)
    return Guarded(record.target, record.function, tuple(stack)).wrap()


def variant(function: object, options: Mapping[str, object]) -> Callable[..., object]:
    """Return *function* with other values for some of its *options*.

    Raises ValueError for an option that there is not, for a value that cannot be meant, and where *function* has no
    policy of the kind.

    >>> from resilience import describe, retry_on_category, timeout
    >>> @retry_on_category(attempts=3)
    ... @timeout(2.0)
    ... def search(query: str) -> str:
    ...     return query
    >>> print(describe(variant(search, {"attempts": 1, "timeout": 0.5})).policies[-1])
    timeout(0.5)
    >>> options_of(search)
    {'attempts': 3, 'budget': 0.0, 'timeout': 2.0}
    """
    stack = list(record_of(function).policies)
    for name, value in options.items():
        if name not in OPTIONS:
            raise ValueError(
                f"{name}: no such option{did_you_mean(name, list(OPTIONS))}; there are {', '.join(OPTIONS)}"
            )
        kind, change, _, noun = OPTIONS[name]
        places = [place for place, policy in enumerate(stack) if isinstance(policy, kind)]
        if not places:
            raise ValueError(f"{name}={value}: {record_of(function).target} has no option {name}: give it {noun}")
        for place in places:
            stack[place] = change(stack[place], value)
    return with_policies(function, stack)


def options_of(function: object) -> dict[str, object]:
    """Return the options of *function* that a variant can change, with their values now."""
    found: dict[str, object] = {}
    for name, (kind, _, read, _) in OPTIONS.items():
        values = [read(policy) for policy in record_of(function).policies if isinstance(policy, kind)]
        finite = [value for value in values if value is not None and value != math.inf]
        if finite:
            found[name] = finite[-1]
    return found
