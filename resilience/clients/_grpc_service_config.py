"""`service_config`: policies as the service config of gRPC, which retries in its own core then.

The format is that of gRFC A6 (https://github.com/grpc/proposal/blob/master/A6-client-retries.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from resilience._runtime.pipeline import Decorator
from resilience._runtime.protocol import Policy
from resilience._validation import parse_names
from resilience.categories import ErrorCategory
from resilience.classification.grpc_status import GRPC_STATUS
from resilience.policies.deadline import Deadline
from resilience.policies.hedge import Hedge
from resilience.policies.retry import Retry
from resilience.policies.retry_budget import RetryBudget
from resilience.profiles import RetrySafety, profile_for

__all__ = ["service_config"]

_Json: TypeAlias = dict[str, Any]
_MIN_ATTEMPTS: Final = 2
_MAX_ATTEMPTS: Final = 5  # gRPC makes no more, whatever the config says
_MAX_TOKENS: Final = 1000
_NON_FATAL: Final = ErrorCategory.UNAVAILABLE | ErrorCategory.TIMEOUT | ErrorCategory.SERVER_ERROR


def service_config(*policies: Decorator, services: Iterable[str] = ()) -> str:
    """Return the service config that has gRPC itself do what *policies* say, as JSON, for the option of a channel.

    A retry becomes a ``retryPolicy``, its budget the ``retryThrottling``, a hedge a ``hedgingPolicy`` (which gRPC for
    Java and Go know; the core that Python uses ignores it), a deadline the ``timeout``. *services* are the names of
    those that it is for, such as ``shop.Catalogue``, or one method of it, ``shop.Catalogue/Find``; none: all.

    A retry that does not say ``idempotent=True`` becomes one for the statuses by which the server has certainly
    rejected the call. gRPC makes up to 5 attempts, and its jitter is 20 %.

    Raises TypeError for other policies, such as a circuit breaker, which gRPC does not have, and ValueError where none
    of the statuses is retried.

    >>> from resilience import deadline, retry_on_category
    >>> import json
    >>> config = json.loads(service_config(deadline(10), retry_on_category(attempts=3, idempotent=True)))
    >>> config["methodConfig"][0]["retryPolicy"]["retryableStatusCodes"]
    ['DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'INTERNAL', 'UNAVAILABLE']

    The option of a channel is ``("grpc.service_config", service_config(...))``.
    """
    method: _Json = {"name": [_name(service) for service in parse_names("services", services)] or [{}]}
    config: _Json = {"methodConfig": [method]}
    for policy in _flat(policies):
        if isinstance(policy, Deadline):
            method["timeout"] = _duration(policy.seconds)
        elif isinstance(policy, Retry):
            method["retryPolicy"] = retry = _retry_policy(policy)
            if policy.budget is not None:
                config["retryThrottling"] = _throttling(policy.budget, retry["retryableStatusCodes"], policy)
        elif isinstance(policy, Hedge):
            method["hedgingPolicy"] = _hedging_policy(policy)
        else:
            raise TypeError(
                f"service_config({policy}): gRPC has deadlines, retries and hedges; protect the channel for it"
            )
    if "retryPolicy" in method and "hedgingPolicy" in method:
        raise TypeError("service_config(retry, hedge): gRPC takes one of the two for a method")
    return json.dumps(config)


def _flat(policies: Sequence[Decorator]) -> Iterator[Policy]:
    """Yield the policies that *given* consist of: a standard stack, or a pipeline, is several."""
    for part in policies:
        if not isinstance(part, Decorator):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be unchecked
            raise TypeError(f"service_config({part!r}): give policies, such as retry_on_category(attempts=3)")
        yield from part.policies()


def _name(service: str) -> _Json:
    """Return the entry for a service, or for one method of it: ``shop.Catalogue/Find``."""
    name, _, method = service.strip("/").partition("/")
    if method:
        return {"service": name, "method": method}
    return {"service": name}


def _duration(seconds: float) -> str:
    """Return a duration of Protocol Buffers' JSON: seconds with up to nine digits.

    >>> _duration(0.1), _duration(60)
    ('0.1s', '60s')
    """
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _retry_policy(retry: Retry) -> _Json:
    """Return the ``retryPolicy`` of gRFC A6 that *retry* is: five attempts at most, with gRPC's own jitter."""
    statuses = [status for status in GRPC_STATUS if _is_retried(retry, status)]
    if not statuses:
        raise ValueError(
            f"service_config({retry}): it retries no status of gRPC; give idempotent=True, or other categories"
        )
    if retry.attempts < _MIN_ATTEMPTS:
        raise ValueError(f"service_config({retry}): a retry of one attempt retries nothing; leave it out")
    backoff = retry.backoff
    first = backoff.first
    if first is None:
        first = min(retry.rules[GRPC_STATUS[status].value].base_delay for status in statuses)
    return {
        "maxAttempts": int(min(retry.attempts, _MAX_ATTEMPTS)),
        "initialBackoff": _duration(first),
        "maxBackoff": _duration(backoff.cap),
        "backoffMultiplier": backoff.exponential_base,
        "retryableStatusCodes": statuses,
    }


def _is_retried(retry: Retry, status: str) -> bool:
    """Return whether *retry* repeats a call that fails with *status*, on every method."""
    category = GRPC_STATUS[status]
    if category is ErrorCategory.UNKNOWN or not retry.rules[category.value].retried:
        return False
    repeats_all = retry.idempotency is None and not retry.leaves_posts_to_settings
    return repeats_all or profile_for(category).unsafe is RetrySafety.ALWAYS


def _throttling(budget: RetryBudget, statuses: Sequence[str], retry: Retry) -> _Json:
    """Return the throttling that allows as many retries in a row as *budget*.

    gRPC takes one token for each failure and retries while more than half of them are left. The budget takes what the
    dearest of the retried categories costs; a success pays back 1.
    """
    cost = max(retry.rules[GRPC_STATUS[status].value].cost for status in statuses) or 1
    tokens = min(max(2 * budget.tokens / cost, 1), _MAX_TOKENS)
    return {"maxTokens": int(tokens), "tokenRatio": round(1 / cost, 3)}


def _hedging_policy(hedge: Hedge) -> _Json:
    """Return the ``hedgingPolicy`` of gRFC A6 that *hedge* is."""
    if not hedge.seconds:
        raise ValueError(f"service_config({hedge}): gRPC learns no quantile; give seconds, such as hedge(0.2)")
    return {
        "maxAttempts": min(hedge.copies + 1, _MAX_ATTEMPTS),
        "hedgingDelay": _duration(hedge.seconds),
        "nonFatalStatusCodes": [status for status, category in GRPC_STATUS.items() if category in _NON_FATAL],
    }
