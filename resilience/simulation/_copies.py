"""Fresh copies of policies: with the same options, and without what the originals have seen.

Each simulated client has copies of its own, so that the circuits and budgets of the program are not touched, and those
of one client know nothing of another. What a client's functions share is one copy for all of them: a budget that two
retries have, the circuit of two functions.

Some parts of a policy call the user's code, which must not run in a simulation. Callbacks that only observe are left
out (``on_retry``), functions that answer in place of a failed call are replaced by an answer (``factory=``, ``chain=``,
``to=``), and a cache of stale answers by an empty one.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections import deque
from collections.abc import Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeVar, cast

from resilience._runtime.protocol import Policy
from resilience._runtime.slots import Slots
from resilience.circuits._per_instance import PerInstancePolicy
from resilience.circuits._per_key import PerKeyPolicy
from resilience.metrics.tracking import Tracked
from resilience.policies._extra_calls import ExtraCalls
from resilience.policies._fallback_chain import FallbackChain
from resilience.policies._fallback_source import DefaultSource, Source
from resilience.policies._keyed import Keyed
from resilience.policies._keyed_buckets import KeyedBuckets
from resilience.policies._partial_circuit import PartialCircuit
from resilience.policies._retry_config import RetryConfig
from resilience.policies._slot_policy import SlotPolicy
from resilience.policies._token_bucket import Bucket
from resilience.policies.circuit_breaker import CircuitBreakerPolicy
from resilience.policies.fallback import Fallback
from resilience.policies.hedge import Hedge
from resilience.policies.limits_library import LimitsRateLimit
from resilience.policies.rate_limit import CombinedRateLimit, RateLimit
from resilience.policies.retry_budget import RetryBudget
from resilience.policies.stale_cache import Stale
from resilience.policies.throttle import Throttle
from resilience.simulation._server import Marker

__all__ = ["Copies"]

T = TypeVar("T")

SUBSTITUTE = Marker("substitute of a fallback")
"""The value that stands for what a fallback hands out."""

_OBSERVERS = ("on_retry", "on_success")


class Copies:
    """The fresh copies of one client: of the same original the same copy.

    This identity matters: two retries that share a budget must share it in each client as well, or a client would have
    twice as many tokens as in production.

    >>> budget, copies = RetryBudget("catalogue"), Copies()
    >>> copies.of(budget) is copies.of(budget), copies.of(budget) is budget
    (True, False)
    """

    def __init__(self) -> None:
        #: The copies by the ids of their originals, which are kept, so that no id is used twice.
        self._made: dict[int, tuple[object, Any]] = {}

    def of_stack(self, stack: Sequence[Policy]) -> tuple[Policy, ...]:
        """Return fresh copies of a function's policies; what only counts calls for metrics is left out."""
        return tuple(self.of(policy) for policy in stack if not isinstance(policy, Tracked))

    def of(self, original: T) -> T:
        """Return the fresh copy of *original*: a policy, or a budget."""
        if id(original) not in self._made:
            self._made[id(original)] = (original, _renew(original, self))
        copied: T = self._made[id(original)][1]
        return copied


_OPAQUE = (str, bytes, int, float, complex, bool, type(None), type, FunctionType, BuiltinFunctionType, MethodType)
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


@functools.singledispatch
def _renew(original: object, copies: Copies) -> object:
    """Return *original* itself where the toolkit has made it: it has options and no state. Else a copy of its parts.

    What a user's own policy holds is copied: containers, locks, slots and budgets, and other objects of its module.
    """
    if isinstance(original, _LOCKS):
        return type(original)()
    if isinstance(original, dict | list | set | deque):
        return copy.copy(cast("dict[object, object]", original))
    module = type(original).__module__
    if not isinstance(original, Policy) or module.partition(".")[0] == "resilience":
        return original
    renewed = copy.copy(original)
    for name, value in _attributes_of(original):
        if not isinstance(value, _OPAQUE):
            object.__setattr__(renewed, name, copies.of(value))
    return renewed


def _attributes_of(policy: object) -> Sequence[tuple[str, object]]:
    """Return the attributes of *policy*, in its dictionary and in its slots."""
    slots = [name for cls in type(policy).__mro__ for name in getattr(cls, "__slots__", ())]
    found = {name: getattr(policy, name) for name in slots if hasattr(policy, name)}
    return [*{**found, **getattr(policy, "__dict__", {})}.items()]


@_renew.register
def _plain_slots(original: Slots, _copies: Copies) -> Slots:
    """Return free slots, as many as *original* has."""
    return Slots(original.limit, max_queue=original.max_queue, order=original.order)


@_renew.register
def _budget(original: RetryBudget, _copies: Copies) -> RetryBudget:
    """Return a full budget of the same size."""
    return RetryBudget(original.name, tokens=original.tokens, reserve=original.reserve)


@_renew.register
def _circuit(original: CircuitBreakerPolicy, _copies: Copies) -> CircuitBreakerPolicy:
    """Return a closed circuit of the same name and options."""
    return _new_circuit(original)


def _new_circuit(original: CircuitBreakerPolicy) -> CircuitBreakerPolicy:
    """Return a circuit with the same options, and without observers, storage and fleet."""
    kind = CircuitBreakerPolicy
    if original.config.partial:
        kind = PartialCircuit
    return kind(original.name, original.config, original.methods)


class _HasCircuit:
    """The owner of a circuit, as `PerKeyPolicy` needs one for each key: in a program that is a `CircuitBreaker`."""

    def __init__(self, circuit: CircuitBreakerPolicy) -> None:
        self.circuit = circuit


@_renew.register
def _circuit_per_key(original: PerKeyPolicy, _copies: Copies) -> PerKeyPolicy:
    """Return a policy that makes a circuit for each key, and has none yet."""
    template = _new_circuit(original._template)

    def make() -> _HasCircuit:
        return _HasCircuit(_new_circuit(template))

    keyed = Keyed(make, original.config.max_keys, bool, lambda: f"circuit {template.name!r}")
    return PerKeyPolicy(template, keyed, original.key)


@_renew.register
def _circuit_per_object(original: PerInstancePolicy, _copies: Copies) -> Policy:
    """Return one circuit: a client of the simulation calls one object."""
    return _new_circuit(original._template)


@_renew.register
def _retry(original: RetryConfig, copies: Copies) -> RetryConfig:
    """Return the retry with the client's copy of its budget, and without the hooks that only observe.

    Whether it needs the slow path depends on its hooks, and is decided anew.
    """
    retry = copy.copy(original)
    if original.budget is not None:
        retry.budget = retry.success_counter = copies.of(original.budget)
    retry.on_retry = retry.on_success = None
    retry._hooks = {name: hook for name, hook in original._hooks.items() if name not in _OBSERVERS}
    retry.needs_slow_path = bool(retry._hooks) or retry.limits_repeats or retry.reset_after < float("inf")
    retry.fast_path = retry._hooks.keys() <= {"revise"}
    return retry


@_renew.register
def _slots(original: SlotPolicy, _copies: Copies) -> SlotPolicy[Any]:  # type: ignore[type-arg]
    """Return the bulkhead, or another policy of slots, with all of them free, for each key as well."""
    policy = copy.copy(cast("SlotPolicy[Any]", original))  # type: ignore[redundant-cast]
    policy._compartment = policy._new_compartment()
    before = policy._keyed
    policy._keyed = Keyed(policy._new_compartment, before._max_keys, before._may_evict, policy._title)
    if policy.key is None:
        policy.fast_path_limiter = policy._compartment.slots
    return policy


@_renew.register
def _throttle(original: Throttle, _copies: Copies) -> Throttle:
    """Return the throttle without the traffic that the original has seen: it rejects nothing at first."""
    policy = copy.copy(original)
    policy._lock = threading.RLock()
    policy._traffic = policy._new_traffic()
    policy._keyed = Keyed(policy._new_traffic, original._keyed._max_keys, policy._may_evict, policy._title)
    return policy


@_renew.register
def _rate_limit(original: RateLimit, _copies: Copies) -> RateLimit:
    """Return the rate limit with a full bucket, for each key as well."""
    policy = copy.copy(original)
    policy.rejected = 0
    interval = original._bucket.interval
    policy._bucket = Bucket(interval, original.burst, threading.RLock())
    policy._keyed = KeyedBuckets(interval, original.burst, original._keyed._max_keys)
    if original.fast_path_limiter is not None:
        policy.fast_path_limiter = policy._bucket.limiter(policy._cost)
    return policy


@_renew.register
def _rate_limits(original: CombinedRateLimit, copies: Copies) -> CombinedRateLimit:
    """Return the combination of fresh copies of its limits."""
    policy = copy.copy(original)
    policy.limits = tuple(copies.of(limit) for limit in original.limits)
    return policy


@_renew.register
def _outside_limit(original: LimitsRateLimit, _copies: Copies) -> LimitsRateLimit:
    """Refuse a limit whose state is in a storage: it would be counted there, in real time. Raises TypeError."""
    raise TypeError(
        f"cannot simulate {original}: it counts in a storage of the library limits; put rate_limit(...) in its place"
    )


@_renew.register
def _hedge(original: Hedge, copies: Copies) -> Hedge:
    """Return the hedge without the latencies that it has learnt; its copies go to the simulated server too."""
    policy = copy.copy(original)
    policy.extra_calls = ExtraCalls(original.extra_calls.share)
    if original.retry_budget is not None:
        policy.retry_budget = copies.of(original.retry_budget)
    policy.to = ()
    policy._state = policy._new_state()
    policy._keyed = Keyed(policy._new_state, original._keyed._max_keys, original._keyed._may_evict, policy.__str__)
    return policy


@_renew.register
def _fallback(original: Fallback, _copies: Copies) -> Fallback[Any]:  # type: ignore[type-arg]
    """Return the fallback with a substitute in place of each source, and an empty cache of stale answers.

    The user's sources would call real services. The substitute is a marker, which the engine tells from an answer.
    """
    policy = copy.copy(cast("Fallback[Any]", original))  # type: ignore[redundant-cast]
    if original.stale is not None:
        policy.stale = Stale({}, original.stale._key, original.stale.max_age)
    last: list[Source] = [DefaultSource(SUBSTITUTE) for source in original.sources if source is not original.stale]
    stale: list[Source] = [policy.stale] * (policy.stale is not None)  # type: ignore[list-item]
    policy.sources = (*stale, *last)
    if original._at_once is not None:
        policy._at_once = DefaultSource(SUBSTITUTE)
    if original.chain is not None:
        policy.chain = FallbackChain({route.category: _substitute for route in original.chain})
    return policy


def _substitute(*_arguments: object, **_keywords: object) -> object:
    """Answer in place of a function of a fallback chain."""
    return SUBSTITUTE
