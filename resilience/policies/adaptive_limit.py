"""Adaptive limit: a limit of the calls in flight that finds by itself how many a dependency can do.

A bulkhead's limit is a number that has to be right, and stops being so when the dependency loses a half of its servers:
each call then waits there, until its caller leaves and the work is done in vain. An adaptive limit measures how long
calls take, and how many are dropped, and makes as many at a time as are done without queueing up at the dependency. The
law is in `_capacity_estimate`; `AdaptiveSlots` have the slots and time the calls; `AdaptiveLimit` is the policy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import TypedDict

from resilience._keywords import answers_unknown_keywords
from resilience._listeners import emit, has_listeners
from resilience._outcome import Outcome
from resilience._runtime.circuit_context import Permit
from resilience._runtime.cut_off import CutOff
from resilience._runtime.protocol import PROCEED, Call
from resilience._runtime.slots import Slots
from resilience._validation import given_options, parse_count, require
from resilience.categories import ErrorCategory
from resilience.classification.classifier import category_of
from resilience.errors.base import AdaptiveLimitError
from resilience.policies._adaptive_slots import AdaptiveSlots
from resilience.policies._capacity_estimate import CapacityEstimate
from resilience.policies._living import Living
from resilience.policies._slot_policy import SlotPolicy
from resilience.policies.base import Steps
from resilience.profiles import profile_for

__all__ = ["AdaptiveLimit", "AdaptiveLimitSnapshot", "adaptive_limit", "adaptive_limits"]

_START, _LEAST, _MOST = 20, 2, 200


class AdaptiveLimitSnapshot(TypedDict):
    """The load of an adaptive limit, and what it has found: calls that may be in flight, and the baseline in seconds.

    The baseline is what a call takes that does not wait at the dependency; None before it is known.
    """

    limit: int
    in_flight: int
    queued: int
    rejected: int
    baseline: float | None


class AdaptiveLimit(SlotPolicy[AdaptiveSlots]):
    """Make as many calls at a time as the dependency can do; keep a short queue for further ones, and refuse the rest.

    Use it as a decorator of functions, methods, classes and generator functions, as a block, or in a `Pipeline`. One
    object counts the calls of all threads, event loops and trio together. A call holds its slot from its beginning to
    its end, a stream until its items have ended.

    The limit follows how long calls take in the median: it grows while that is at most twice what a call takes that
    does not wait at the dependency, and shrinks beyond. A call that succeeds is measured, and one that fails by what
    was asked (``ErrorCategory.CLIENT_ERROR``). It is dropped where the failure says that the dependency is overloaded:
    TIMEOUT, RATE_LIMIT, UNAVAILABLE, CAPACITY (`CategoryProfile.pressure`), and the time limits and deadlines around
    the limit; of many dropped calls the limit shrinks whatever the others took. Other failures say nothing of its load
    and are not measured, nor are rejections of policies inside.

    The limit is set anew after a window of 30 calls and a quarter of a second, or of 5 calls and a second where few
    come. Where more than a tenth of its calls were dropped, it shrinks by their share; where the median takes more than
    twice the baseline, in that proportion; by half at most. Else it grows, if half of it was in use: by its square
    root, or by one near a limit at which calls were dropped. Where two cuts in succession have not made calls faster,
    there was no queue: the latency is the new baseline, and the limit what it was before the cuts.

    The baseline follows the median, down by a fifth of the difference and up by a twentieth, and never up while calls
    wait or the limit is reached. A call that began before the last change of the limit is not measured. Of calls that
    take less than a millisecond one in sixteen is; a stream is measured to its last item, its consumer's time included.

    Args:
        name: the dependency's name, for errors, events and logs.
        start: the calls that may be in flight at first.
        least: the calls that may be in flight at least.
        most: the calls that may be in flight at most.
        max_queue: the calls that may wait; twice the limit and at least 10 unless given. 0: none.
        max_wait: the longest wait for a slot, in seconds; unless given, up to the call's deadline.
        key: a function of the call's arguments: each key has a limit, and a queue, of its own.
        max_keys: the keys that are kept; of those that are idle the one unused for longest is dropped.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.

    A refused call raises `AdaptiveLimitError`, of the category REJECTED: no circuit counts it, no retry repeats it at
    once. It is refused as by a `bulkhead`, whose queue this one has.

    Raises TypeError or ValueError, where it is written, for invalid options.

    >>> @adaptive_limit("payments")
    ... def charge(order: str) -> str:
    ...     return "paid"
    >>> charge("a-17")
    'paid'
    """

    kind = "adaptive_limit"

    @answers_unknown_keywords("adaptive_limit")
    def __init__(
        self,
        name: str,
        *,
        start: int = _START,
        least: int = _LEAST,
        most: int = _MOST,
        max_queue: int | None = None,
        max_wait: float | timedelta | None = None,
        key: Callable[..., Hashable] | None = None,
        max_keys: int = 1024,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        self.start: int = parse_count("start", start)
        self.least: int = parse_count("least", least)
        self.most: int = parse_count("most", most)
        require(self.least <= self.most, "least", least, f"at most {most}, which is most=")
        require(self.least <= self.start <= self.most, "start", start, f"a number from {least} to {most}")
        super().__init__(
            name, max_queue=max_queue, max_wait=max_wait, key=key, max_keys=max_keys, only=only, exclude=exclude
        )
        _limits.add(self)

    def _new_slots(self) -> AdaptiveSlots:
        return AdaptiveSlots(CapacityEstimate(self.start, self.least, self.most), self.max_queue, self._report)

    def _resize(self, slots: AdaptiveSlots) -> None:
        slots.bound(self.least, self.most, self.max_queue)

    def _error(self, slots: AdaptiveSlots, reason: str, retry_after: float | None) -> AdaptiveLimitError:
        return AdaptiveLimitError(self.name, slots.limit, slots.waiting, reason, retry_after)

    @property
    def limit(self) -> int:
        """The calls that may be in flight now; with ``key=`` of the key that may have most."""
        keyed = [compartment.slots.limit for _, compartment in self._keyed.items()]
        return max(keyed, default=self._compartment.slots.limit)

    @property
    def max_in_flight(self) -> int:
        """The calls that can be in flight at most: *most* of one key."""
        return self.most

    # -- the call ------------------------------------------------------------------------------------------------

    def _make(self, call: Call, slots: Slots, permit: Permit) -> Steps:
        """Make *call*, and record what its end says of the dependency's load."""
        assert isinstance(slots, AdaptiveSlots)
        watch = call.on_abandoned(functools.partial(slots.judge, permit, dropped=True))
        dropped: bool | None = None
        try:
            outcome: Outcome = yield PROCEED
            dropped = _says_overload(outcome)
        except GeneratorExit:
            if call.cut_off is CutOff.TIMED_OUT:
                dropped = True
            raise
        finally:
            if watch is None or watch.end():  # else its caller has left, and it was recorded then
                slots.judge(permit, dropped=dropped)
        return outcome

    # -- what is known of it -------------------------------------------------------------------------------------

    def _report(self, limit: int, before: int) -> None:
        """Emit that the limit has changed much since it was reported last."""
        if has_listeners():
            from resilience.events import LimitChanged

            emit(LimitChanged(target=self.name, policy=self.name, limit=limit, before=before))

    def snapshot(self) -> AdaptiveLimitSnapshot:
        """Return the load now, of all keys together; limit and baseline are those of the key that may have most calls.

        >>> adaptive_limit("payments").snapshot()
        {'limit': 20, 'in_flight': 0, 'queued': 0, 'rejected': 0, 'baseline': None}
        """
        compartments = self._compartments()
        limit = self.limit
        first = next((each for each in reversed(compartments) if each.slots.limit == limit), compartments[0])
        return {
            "limit": limit,
            "in_flight": sum(each.in_flight for each in compartments),
            "queued": sum(each.slots.waiting for each in compartments),
            "rejected": sum(each.rejected for each in compartments),
            "baseline": first.slots.estimate.baseline,
        }

    def __str__(self) -> str:
        numbers = (("start", self.start, _START), ("least", self.least, _LEAST), ("most", self.most, _MOST))
        shown = [f"{name}={value}" for name, value, default in numbers if value != default]
        options = given_options(max_queue=self.max_queue, max_wait=self.max_wait)
        return self._described(*shown, *(f"{name}={value:g}" for name, value in options.items()))


def _says_overload(outcome: Outcome) -> bool | None:
    """Return whether *outcome* is that of a call which the dependency has dropped; None where it says nothing."""
    if outcome.error is None:
        return False
    category = category_of(outcome)
    if profile_for(category).pressure:
        return True
    if category in ErrorCategory.CLIENT_ERROR:
        return False
    return None


_limits = Living[AdaptiveLimit]()


def adaptive_limits() -> list[AdaptiveLimit]:
    """Return all adaptive limits of this process, for the exporters of metrics and the admin page."""
    return _limits.all()


adaptive_limit = AdaptiveLimit
"""The adaptive limit, as a decorator is named."""
