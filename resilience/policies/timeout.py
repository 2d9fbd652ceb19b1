"""Timeout: give up on a call that takes too long.

The limit itself is kept by the runners: they cancel async code, leave the thread of sync code behind or interrupt it by
a signal. The policy says how long, and makes the error of a call that was too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from resilience._runtime import protocol as base
from resilience._runtime.decorate import is_generator, name_of, refuse_without_items, under_descriptor
from resilience._runtime.protocol import Call, Proceed
from resilience._validation import one_of, optional, seconds
from resilience.errors.base import CallTimeoutError, DeadlineExceededError, ResilienceError
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.policies.base import Policy, Steps
from resilience.policies.timed_out import time_out

if TYPE_CHECKING:
    from resilience._runtime.worst_case import WorstCase

__all__ = ["Timeout"]

_MODES = ("thread", "signal")


class Timeout(Policy):
    """A time limit for each call, or for the items of each stream: `timeout` makes one, and documents the parameters.

    It raises `CallTimeoutError`, and `DeadlineExceededError` where an enclosing deadline has passed first. A
    TimeoutError of the function's own is not taken for one of these: the runner says by identity which limit has
    passed. Durations are in seconds.

    Raises TypeError or ValueError for options that cannot be meant together.

    >>> from resilience import timeout
    >>> timeout(2), timeout(first_item=5, idle=0.5)
    (timeout(2), timeout(first_item=5, idle=0.5))
    """

    fast_path = True

    def __init__(
        self,
        limit: object = ...,
        /,
        *,
        first_item: float | timedelta | None = None,
        idle: float | timedelta | None = None,
        mode: str = "thread",
    ) -> None:
        items = {name: given for name, given in (("first_item", first_item), ("idle", idle)) if given is not None}
        _check_together(limit, items, mode)
        self.uses_signal: bool = one_of("mode", mode, _MODES) == "signal"
        self.supports_generators: bool = bool(items)
        self.supports_calls: bool = not items
        self.item_timeout: float | None = optional(seconds, "idle", idle)
        self.time_limit: float | None = optional(seconds, "first_item", first_item)
        if not items:
            self.time_limit = seconds("seconds", limit)

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        """Return this policy; raise TypeError where *target* is a function without the items that it limits."""
        function = under_descriptor(target)
        if callable(function) and not isinstance(function, type) and not is_generator(function):
            refuse_without_items(name_of(function), (self,))  # `call` decorates nothing
        return (self,)

    def _policy(self) -> base.Policy:
        self._refuse_a_block_without_items()
        return self

    def _refuse_a_block_without_items(self) -> None:
        if not self.supports_calls:
            raise TypeError(
                f"with {self}: a block has no items; decorate a generator function, or give timeout(seconds)"
            )

    def __enter__(self) -> object:
        """Raise TypeError: nothing can end sync code in the midst of a block."""
        self._refuse_a_block_without_items()
        raise TypeError(
            "with timeout(...): a sync block cannot be interrupted; decorate a function, or use `async with`"
        )

    def run(self, call: Call) -> Steps:
        """Return the outcome of the call, or an error where the limit, or an enclosing deadline, has passed.

        A stream has two limits: one until its first item is there, another one for each further item.
        """
        outcome: Outcome = yield Proceed(self.time_limit, interrupts=self.uses_signal, raw=True)
        # By identity, not by type: a TimeoutError of the function's own passes as it is.
        if outcome is not EXPIRED and outcome is not OVERDUE:
            return outcome
        limit = self.time_limit
        if call.committed:
            limit = self.item_timeout  # once the first item of a stream is there
        assert limit is not None, "nothing else can have passed"
        error: ResilienceError = CallTimeoutError(call.target, limit)
        if outcome is OVERDUE:
            error = DeadlineExceededError(call.target)
        return (yield from time_out(call, error, "timeout", limit))

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside* within the limit.

        How many items a stream has is not known, so the limits of items say nothing of the whole.
        """
        if self.supports_generators or self.time_limit is None:
            return inside
        return inside.within(self.time_limit)

    def __str__(self) -> str:
        limits = {"first_item": self.time_limit, "idle": self.item_timeout}
        shown = [f"{name}={limit:g}" for name, limit in limits.items() if limit is not None]
        if self.supports_calls:
            shown = [f"{self.time_limit:g}"]
        if self.uses_signal:
            shown.append("mode=signal")
        return f"timeout({', '.join(shown)})"

    def __repr__(self) -> str:
        return str(self)


def _check_together(limit: object, items: Mapping[str, object], mode: str) -> None:
    """Refuse limits for calls and for items together, and signals for items. *items* are those that were given."""
    if not items:
        if limit is ...:
            raise TypeError("timeout(): give seconds; for a generator function first_item= and idle=, either or both")
        return
    given = ", ".join(f"{name}={value!r}" for name, value in items.items())
    if limit is not ...:
        raise TypeError(
            f"timeout({limit!r}, {given}): give seconds for a call, or first_item= and idle= for a generator function"
        )
    if one_of("mode", mode, _MODES) != "thread":
        raise ValueError(f"mode={mode!r}: give none with {given}: sync items are fetched in threads")
