"""A guarded function as the analytic screen sees it: its stack, read as numbers.

The screen knows retries and their budget, time limits, concurrency limits and circuit breakers. What else a stack has,
`not_screened` names, so that an answer of the screen says what it leaves out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from resilience._runtime.protocol import Policy
from resilience.categories import ErrorCategory
from resilience.policies._slot_policy import SlotPolicy
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.deadline import Deadline
from resilience.policies.fallback import Fallback
from resilience.policies.retry import Retry
from resilience.policies.timeout import Timeout
from resilience.simulation._screen import Callers
from resilience.simulation._variants import record_of

__all__ = ["callers_of", "not_screened"]

#: The waits of one call that are looked at; longer sequences repeat the last.
_MAX_WAITS = 10
_HALF = 0.5


def callers_of(function: object, calls: float, clients: int, client_timeout: float = math.inf) -> Callers:
    """Return the callers that make *calls* a second through *function*, each of the *clients* with policies of its own.

    *client_timeout* is the time limit in seconds that the client library has by itself.

    Raises TypeError for a function that no policy guards.

    >>> from resilience import retry_on_category, timeout
    >>> @retry_on_category(attempts=3, base_delay=1.0, jitter="none")
    ... @timeout(2.0)
    ... def search(query: str) -> str:
    ...     return query
    >>> callers = callers_of(search, calls=100, clients=10)
    >>> callers.attempts, callers.time_limit, callers.waits
    (3, 2.0, (1.0, 2.0))
    """
    callers = Callers(calls, clients, time_limit=client_timeout)
    retry: Retry | None = None
    for policy in record_of(function).policies:
        if isinstance(policy, Retry):
            retry = retry or policy  # an inner retry does not multiply the attempts of an outer one
        else:
            callers = dataclasses.replace(callers, **_changes(callers, policy))
    return _with_retry(callers, retry)


def _changes(callers: Callers, policy: Policy) -> Mapping[str, Any]:
    """Return the fields of *callers* that *policy* decides."""
    if isinstance(policy, Deadline):
        return {"deadline": min(callers.deadline, policy.seconds)}
    if isinstance(policy, Timeout) and policy.time_limit is not None:
        return {"time_limit": min(callers.time_limit, policy.time_limit)}
    if isinstance(policy, SlotPolicy):
        return {"limit": min(callers.limit, policy.max_in_flight)}
    if isinstance(policy, CircuitBreakerPolicy):
        return {"reset_timeout": policy.config.reset_seconds}
    return {}


def _with_retry(callers: Callers, retry: Retry | None) -> Callers:
    """Return *callers* with the attempts, waits and budget of *retry*, as far as it retries time-outs.

    The rule for time-outs counts, since an overloaded server fails by them. Waits are those without luck: the jitter
    draws the middle of its range.
    """
    if callers.time_limit == math.inf:
        callers = dataclasses.replace(callers, time_limit=callers.deadline)
    if retry is None:
        return callers
    rule = retry.rules[ErrorCategory.TIMEOUT.value]
    if not rule.retried:
        return callers
    attempts = min(retry.attempts, rule.max_failures)
    longest = int(min(attempts - 1, _MAX_WAITS))
    waits = tuple(
        rule.backoff.delay(number, rule.base_delay, rule.base_delay, lambda: _HALF) for number in range(longest)
    )
    callers = dataclasses.replace(callers, attempts=attempts, waits=waits or (0.0,))
    if retry.budget is None:
        return callers
    return dataclasses.replace(callers, tokens=retry.budget.tokens, reserve=retry.budget.reserve, cost=float(rule.cost))


_SCREENED = (Retry, Timeout, Deadline, SlotPolicy, CircuitBreakerPolicy, Fallback)


def not_screened(function: object) -> Sequence[str]:
    """Return the policies of *function* that the screen leaves out, as `describe` shows them.

    A fallback answers in place of a failure and changes no load, so it is not among them.
    """
    return [str(policy) for policy in record_of(function).policies if not isinstance(policy, _SCREENED)]
