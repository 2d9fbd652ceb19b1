"""The stack of a client, arranged so that a call which succeeds at once costs little beside the request.

The policies that a client is given stay the ones that guard it; what changes is how they are asked:

* A deadline and a time limit of a sync client need no runner: they put their moment into the context, and the client
  keeps it by its own time limits.
* A deadline of an async client is kept by the timer of time limits.
* Circuits and bulkheads for each host are looked up before the call: the stack of each host has the fast path of a
  stack without keys.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextvars import Token
from typing import Any, Final, NamedTuple, cast

from resilience._deadline_context import ActiveDeadline, current_deadline_any_clock, push_deadline
from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome
from resilience._runtime.guard import guard
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call, Policy, Proceed, Steps
from resilience.circuits import CircuitBreaker
from resilience.circuits._per_key import PerKeyPolicy
from resilience.clients.deadlines import SendDeadline
from resilience.clients.exchange import BaseExchange, by_host
from resilience.clock import Clock
from resilience.errors.base import DeadlineExceededError
from resilience.faults._policy import Chaos
from resilience.policies._keyed import Keyed
from resilience.policies._slot_policy import SlotPolicy
from resilience.policies._timed_out import time_out
from resilience.policies.deadline import Deadline
from resilience.policies.timeout import Timeout

__all__ = ["Arranged", "HostStacks", "arranged", "begin_limit"]

_MAX_HOSTS: Final = 256  # stacks that are kept; a stack is made again in a tenth of a millisecond

_as_deadline: Final[Callable[[tuple[object, ...]], ActiveDeadline]] = functools.partial(
    cast("Callable[..., ActiveDeadline]", tuple.__new__),  # pyright: ignore[reportUnknownMemberType]
    ActiveDeadline,
)
"""Makes an `ActiveDeadline` of the values of its fields, without its function of Python."""


class Arranged(NamedTuple):
    """The policies of a client: those that are run, and the seconds of what is kept without them."""

    policies: Sequence[Policy]
    deadline: float = math.inf
    """Of the call, with its retries; infinity without one."""
    limit: float = math.inf
    """Of an attempt."""
    headers: Sequence[SendDeadline] = ()
    """What each attempt sends of the time that is left."""


def arranged(policies: Sequence[Policy], *, is_async: bool) -> Arranged:
    """Return *policies* as the guard of a client asks them.

    In a sync stack each time limit becomes a deadline. An outermost and an innermost deadline leave the list, and the
    guard keeps their seconds itself, by a moment in the context. One that stands between other policies stays a policy:
    it limits only what is below it. An async stack keeps all of its limits as policies, which cancel what they limit;
    the guard knows the seconds of the two as well, for the time limits of the transport.

    Args:
        policies: the policies that fit the client, outermost first.
        is_async: whether calls of the client are awaited.
    """
    headers = [policy for policy in policies if isinstance(policy, SendDeadline)]
    others = [policy for policy in policies if not isinstance(policy, SendDeadline)]
    left = [_without_thread(policy) for policy in others]
    call: float | None = None
    attempt: float | None = None
    if left and isinstance(left[0], Deadline):
        call = left.pop(0).time_limit
    if left and isinstance(left[-1], Deadline):
        attempt = left.pop().time_limit
    if is_async:  # its limits cancel: they stay policies
        left = [_with_timer(policy) for policy in others]
    return Arranged(left, call or math.inf, attempt or math.inf, headers)


def _with_timer(policy: Policy) -> Policy:
    """Return a deadline as a time limit, which costs a fraction where the call succeeds; any other policy as it is."""
    if isinstance(policy, Deadline):
        return _TimedDeadline(policy.seconds)
    return policy


def _without_thread(policy: Policy) -> Policy:
    """Return the time limit of a sync client as a deadline: the client keeps it, in place of a thread."""
    if isinstance(policy, Timeout) and policy.time_limit is not None:
        return Deadline(policy.time_limit)
    return policy


class _TimedDeadline(Timeout):
    """A deadline of async calls: a time limit that raises the error of a deadline.

    It is kept by the timer of time limits, as the module says, and shows itself as the deadline that it replaces.
    """

    place = Place.DEADLINE

    def run(self, call: Call) -> Steps[Outcome]:
        """Return the outcome of the call, or the error of a deadline, as `Deadline` has it."""
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


def begin_limit(moment: float, clock: Clock) -> Token[ActiveDeadline | None] | None:
    """Put a deadline at *moment* into the context, unless one that is there is earlier.

    Return what `pop_deadline` ends it by; None where there is nothing to end.
    """
    outer = current_deadline_any_clock()
    if outer is not None and outer.moment <= moment and outer.clock is clock:
        return None
    return push_deadline(_as_deadline((moment, clock, None, None, None, outer)))


class HostStacks:
    """The *attempt* of a client, guarded by *policies*; with one stack for each host where they are keyed by it.

    A keyed policy looks its state up in each call, and has no fast path. Here the lookup takes place once for a host:
    its stack holds that host's circuit or slots themselves.

    The states belong to the policies, which evict the least recently used one when there are too many. A stack must not
    outlive the eviction of a state that it holds, or two circuits would guard one host. So the states call `forget`
    when one of them may be evicted, and every host is looked up again. Threads share the object without a lock: a stack
    that two of them make at once holds the same states.
    """

    def __init__(self, attempt: Callable[..., Any], policies: Sequence[Policy]) -> None:
        self._attempt = attempt
        self._policies = policies
        self._keepers = [policy for policy in policies if isinstance(policy, Chaos)]
        self._guarded: Callable[..., Any] = guard(attempt, *policies, keepers=self._keepers)
        #: The states of all hosts, of the policies that are keyed by host.
        self._keyed = [found for policy in policies if (found := _keyed_by_host(policy)) is not None]
        #: The stack of each host, and the states of the host that are in it.
        self._stacks: dict[str, tuple[list[object], Callable[..., Any]]] = {}
        #: The stacks of which no state can have been evicted meanwhile; and how often they were forgotten.
        self._certain: dict[str, Callable[..., Any]] = {}
        self._forgotten = 0
        for keyed in self._keyed:
            keyed.add_cache(self)

    def of(self, exchange: BaseExchange[Any]) -> Callable[..., Any]:
        """Return the guarded attempt for the host of *exchange*."""
        if not self._keyed:
            return self._guarded
        host = exchange.host
        return self._certain.get(host) or self._looked_up(host)

    def forget(self) -> None:
        """Look each host up again: a state of one may have been evicted, as another host's was needed more."""
        self._forgotten += 1
        self._certain.clear()

    def _looked_up(self, host: str) -> Callable[..., Any]:
        """Return the guarded attempt for *host*, whose states are made, or are marked as used last."""
        forgotten = self._forgotten
        states: list[object] = [keyed.of(host) for keyed in self._keyed]
        found = self._stacks.get(host)
        if found is None or found[0] != states:
            if len(self._stacks) >= _MAX_HOSTS:
                self._stacks.clear()
                self._certain.clear()
            stack = (_at(each, host) for each in self._policies)
            found = self._stacks[host] = states, guard(self._attempt, *stack, keepers=self._keepers)
        if not any(keyed.is_crowded for keyed in self._keyed):
            self._certain[host] = found[1]
            if forgotten != self._forgotten:  # by another thread, perhaps before this host came in
                self._certain.clear()
        return found[1]


def _keyed_by_host(policy: Policy) -> Keyed[Any] | None:
    """Return the states of all hosts, of a policy that is keyed by host; None of any other."""
    if isinstance(policy, SlotPolicy) and policy.key is by_host:
        return policy._keyed  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if isinstance(policy, PerKeyPolicy) and policy.key is by_host and isinstance(policy.owner, CircuitBreaker):
        return policy.circuits
    return None


def _at(policy: Policy, host: str) -> Policy:
    """Return *policy* for the calls of one host."""
    if _keyed_by_host(policy) is None:
        return policy
    if isinstance(policy, SlotPolicy):
        return policy.of(host)  # pyright: ignore[reportUnknownVariableType]  # of any slots
    assert isinstance(policy, PerKeyPolicy)
    return cast("Policy", policy.circuits.of(host).circuit)
