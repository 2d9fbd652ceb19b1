"""The stack of a client, arranged so that a call which succeeds at once costs little beside the request.

The policies that a client is given stay the ones that guard it; what changes is how they are asked:

* A deadline and a time limit of a sync client need no runner: they put their moment into the context, and the client
  keeps it by its own time limits.
* A deadline of an async client is kept by the timer of time limits.
* Circuits and bulkheads for each host are looked up before the call: the stack of each host has the fast path of a
  stack without keys.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextvars import Token
from typing import Any, Final, NamedTuple

from resilience._deadline_context import (
    ActiveDeadline,
    current_deadline_any_clock,
    pop_deadline,
    push_deadline,
)
from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome
from resilience._runtime.guard import guard
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call, Policy, Proceed, Steps
from resilience.circuits import CircuitBreaker
from resilience.circuits._per_key import PerKeyPolicy
from resilience.clients.exchange import BaseExchange, by_host
from resilience.clock import current_clock
from resilience.errors.base import DeadlineExceededError
from resilience.faults._policy import Chaos
from resilience.policies._slot_policy import SlotPolicy
from resilience.policies._timed_out import time_out
from resilience.policies.deadline import Deadline
from resilience.policies.timeout import Timeout

__all__ = ["Arranged", "HostStacks", "arranged", "begin_limit", "end_limit"]

_MAX_HOSTS: Final = 256  # stacks that are kept; a stack is made again in a tenth of a millisecond


class Arranged(NamedTuple):
    """The policies of a client: those that are run, and the seconds of what is kept without them."""

    policies: Sequence[Policy]
    deadline: float | None = None
    """Of the call, with its retries."""
    limit: float | None = None
    """Of an attempt."""


def arranged(policies: Sequence[Policy], *, is_async: bool) -> Arranged:
    """Return *policies* as the guard of a client asks them."""
    left = [_without_thread(policy) for policy in policies]
    call = attempt = None
    if left and isinstance(left[0], Deadline):
        call = left.pop(0).time_limit
    if left and isinstance(left[-1], Deadline):
        attempt = left.pop().time_limit
    if is_async:  # its limits cancel: they stay policies
        left = [_with_timer(policy) for policy in policies]
    return Arranged(left, call, attempt)


def _with_timer(policy: Policy) -> Policy:
    if isinstance(policy, Deadline):
        return _TimedDeadline(policy.seconds)
    return policy


def _without_thread(policy: Policy) -> Policy:
    """Return the time limit of a sync client as a deadline: the client keeps it, in place of a thread."""
    if isinstance(policy, Timeout) and policy.time_limit is not None:
        return Deadline(policy.time_limit)
    return policy


class _TimedDeadline(Timeout):
    """A deadline of async calls: a time limit that raises the error of a deadline."""

    place = Place.DEADLINE

    def run(self, call: Call) -> Steps[Outcome]:
        outcome: Outcome = yield Proceed(self.time_limit, raw=True)
        assert self.time_limit is not None
        if outcome is TIMED_OUT:
            error = DeadlineExceededError(call.target, self.time_limit)
        elif outcome is DEADLINE_EXCEEDED:
            error = DeadlineExceededError(call.target)
        else:
            return outcome
        return (yield from time_out(call, error, "deadline", self.time_limit))

    def __str__(self) -> str:
        return f"deadline({self.time_limit:g})"


def begin_limit(seconds: float | None) -> Token[ActiveDeadline | None] | None:
    """Put a deadline in *seconds* into the context, unless one that is there is earlier; return what ends it."""
    if seconds is None:
        return None
    clock, outer = current_clock(), current_deadline_any_clock()
    moment = clock.now() + seconds
    if outer is not None and outer.clock is clock and outer.moment <= moment:
        return None
    return push_deadline(ActiveDeadline(moment, clock, outer=outer))


def end_limit(begun: Token[ActiveDeadline | None] | None) -> None:
    """Take the deadline that `begin_limit` has begun out of the context."""
    if begun is not None:
        pop_deadline(begun)


class HostStacks:
    """The *attempt* of a client, guarded by *policies*; with one stack for each host where they are keyed by it."""

    def __init__(self, attempt: Callable[..., Any], policies: Sequence[Policy]) -> None:
        self._attempt = attempt
        self._policies = policies
        self._states = [found for policy in policies if (found := _state_by_host(policy)) is not None]
        self._by_host: dict[str, tuple[list[object], Callable[..., Any]]] = {}
        self._keepers = [policy for policy in policies if isinstance(policy, Chaos)]
        self._guarded: Callable[..., Any] = guard(attempt, *policies, keepers=self._keepers)

    def of(self, exchange: BaseExchange[Any]) -> Callable[..., Any]:
        """Return the guarded attempt for the host of *exchange*."""
        if not self._states:
            return self._guarded
        host = exchange.host
        states = [state(host) for state in self._states]
        found = self._by_host.get(host)
        # A circuit that was dropped, as another host's was needed more, has a successor.
        if found is None or found[0] != states:
            if len(self._by_host) >= _MAX_HOSTS:
                self._by_host.clear()
            stack = (_at(each, host) for each in self._policies)
            found = self._by_host[host] = states, guard(self._attempt, *stack, keepers=self._keepers)
        return found[1]


def _state_by_host(policy: Policy) -> Callable[[Hashable], object] | None:
    """Return what finds the state of a host, of a policy that is keyed by it; None of any other."""
    if isinstance(policy, SlotPolicy) and policy.key is by_host:
        return policy.state_of
    if isinstance(policy, PerKeyPolicy) and policy.key is by_host and isinstance(policy.owner, CircuitBreaker):
        return policy.owner.of
    return None


def _at(policy: Policy, host: str) -> Policy:
    """Return *policy* for the calls of one host."""
    if _state_by_host(policy) is None:
        return policy
    if isinstance(policy, SlotPolicy):
        return policy.of(host)  # pyright: ignore[reportUnknownVariableType]  # of any slots
    assert isinstance(policy, PerKeyPolicy)
    assert isinstance(policy.owner, CircuitBreaker)
    return policy.owner.of(host).circuit
