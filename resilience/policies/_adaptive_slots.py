"""Slots whose number follows what the dependency can do: they time the calls, and tell a `CapacityEstimate`.

A call on the fast path tells how long it took when it leaves, without a runner. Whether it has succeeded is seen by the
exception in flight: a failure goes to the runner, which says by `judge` what it means, so that what is left is a
success, or a call that was cut off. A call within an exception handler has an exception in flight as it begins; that
one is not its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from resilience._runtime.circuit_context import Permit
from resilience._runtime.cut_off import CutOff, cut_off_by
from resilience._runtime.slots import Slots
from resilience.clock import current_clock
from resilience.policies._capacity_estimate import CapacityEstimate
from resilience.policies._slot_policy import queue_for

__all__ = ["AdaptiveSlots"]

_REPORTED_CHANGE = 1.5


class AdaptiveSlots(Slots):
    """As many slots as *estimate* says. Where *max_queue* is None the queue is in proportion to them.

    *report* is called under no lock, with the limit and the one that was reported before, where it is half as much
    again as that, or less by that: up and down by a fifth it goes all the time.
    """

    def __init__(self, estimate: CapacityEstimate, max_queue: int | None, report: Callable[[int, int], object]) -> None:
        self.estimate = estimate
        self._report = report
        self._reported = estimate.limit
        self._is_queue_given = max_queue is not None
        if max_queue is None:
            max_queue = queue_for(estimate.limit)
        super().__init__(estimate.limit, max_queue=max_queue, order="adaptive")

    def bound(self, least: int, most: int, max_queue: int | None) -> None:
        """Keep the limit from *least* to *most* from now on. What is known of the dependency stays."""
        with self._lock:
            self.estimate.bound(least, most)
            self._is_queue_given = max_queue is not None
            self.max_queue = max_queue
            if max_queue is None:
                self.max_queue = queue_for(self.estimate.limit)
        self.resize(self.estimate.limit)

    @property
    def in_flight(self) -> int:
        """How many slots are taken: for a while more than there are, when their number has been reduced."""
        return len(self._held)

    def judge(self, permit: Permit, *, dropped: bool | None) -> None:
        """Record how a call with that *permit* has ended, before it leaves: it was *dropped*, or answered.

        None says nothing: the call is not recorded. Nor is one that was not timed; after a dropped one the next is.
        """
        stamp, permit[2] = permit[2], None
        if dropped:
            self._untimed = 0
        if stamp is not None and dropped is not None:
            began, _ = stamp
            self._adapt(began, len(self._held), dropped=dropped)

    def _stamp(self) -> Any:
        return current_clock().now(), sys.exception()

    def _record(self, permit: Permit) -> None:
        began, handled = permit[2]
        permit[2] = None
        error = sys.exception()
        if error is None or error is handled:
            self._adapt(began, len(self._held) + 1, dropped=False)
        elif cut_off_by(error) is CutOff.TIMED_OUT:
            self._adapt(began, len(self._held) + 1, dropped=True)

    def _adapt(self, began: float, in_flight: int, *, dropped: bool) -> None:
        """Tell the estimate of a call, and follow it."""
        with self._lock:
            now = current_clock().now()  # in order: by another thread's earlier time the clock would be set back
            if not dropped:
                self._note_duration(now - began)
            waiting = bool(self._waiters)
            has_changed = self.estimate.record(began, now, in_flight=in_flight, dropped=dropped, waiting=waiting)
            self.limit = limit = self.estimate.limit
            if has_changed and not self._is_queue_given:
                self.max_queue = queue_for(limit)
            before = self._reported
            is_reported = not 1 / _REPORTED_CHANGE < limit / before < _REPORTED_CHANGE
            if is_reported:
                self._reported = limit
        if has_changed and self._waiters:
            self._serve()
        if is_reported:
            self._report(limit, before)
