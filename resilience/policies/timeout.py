"""Give up on a call that takes too long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from resilience._runtime import protocol as base
from resilience._runtime.callables import is_generator, name_of, under_descriptor
from resilience._runtime.decorate import refuse_without_items
from resilience._runtime.protocol import Call, Emit, Proceed
from resilience._validation import one_of, seconds
from resilience.errors.base import CallTimeoutError, DeadlineExceededError
from resilience.outcome import EXPIRED, OVERDUE, Outcome
from resilience.policies.base import Policy, Steps
from resilience.subscription import has_listeners

if TYPE_CHECKING:
    from resilience._runtime.worst_case import WorstCase

__all__ = ["Timeout"]

_MODES = ("thread", "signal")


class Timeout(Policy):
    """A time limit for each call, or for the items of each stream. `timeout` makes one."""

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
        self._refuse_both(limit, items, mode)
        self.uses_signal: bool = one_of("mode", mode, _MODES) == "signal"
        self.supports_generators: bool = bool(items)
        self.supports_calls: bool = not items
        self.item_timeout: float | None = None if idle is None else seconds("idle", idle)
        self.time_limit: float | None = None
        if not items:
            self.time_limit = seconds("seconds", limit)
        elif first_item is not None:
            self.time_limit = seconds("first_item", first_item)

    @staticmethod
    def _refuse_both(limit: object, items: Mapping[str, object], mode: str) -> None:
        given = ", ".join(f"{name}={value!r}" for name, value in items.items())
        if not items and limit is ...:
            raise TypeError("timeout(): give seconds; for a generator function first_item= and idle=, either or both")
        if items and limit is not ...:
            raise TypeError(
                f"timeout({limit!r}, {given}): give seconds for a call, or first_item= and idle= for a generator"
                " function"
            )
        if items and one_of("mode", mode, _MODES) != "thread":
            raise ValueError(f"mode={mode!r}: give none with {given}: sync items are fetched in threads")

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
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
        self._refuse_a_block_without_items()
        raise TypeError(
            "with timeout(...): a sync block cannot be interrupted; decorate a function, or use `async with`"
        )

    def run(self, call: Call) -> Steps:
        outcome: Outcome = yield Proceed(self.time_limit, interrupts=self.uses_signal, raw=True)
        # By identity, not by type: a TimeoutError of the function's own passes as it is.
        if outcome is not EXPIRED and outcome is not OVERDUE:
            return outcome
        # Another limit holds once the first item of a stream is there.
        limit = self.item_timeout if call.streaming_started else self.time_limit
        assert limit is not None, "nothing else can have passed"
        error = DeadlineExceededError(call.target) if outcome is OVERDUE else CallTimeoutError(call.target, limit)
        error.__cause__, call.cancellation = (
            call.cancellation,
            None,
        )  # where it hung, as `asyncio.timeout` says
        if has_listeners():
            from resilience.events import TimedOut

            yield Emit(TimedOut(target=call.target, policy="timeout", limit=limit))
        return Outcome.failed(error)

    def worst(self, inside: WorstCase) -> WorstCase:
        # How many items there are is not known.
        if self.supports_generators or self.time_limit is None:
            return inside
        return inside.within(self.time_limit)

    def __str__(self) -> str:
        if self.supports_calls:
            return f"timeout({self.time_limit:g}{', mode=signal' if self.uses_signal else ''})"
        limits = {"first_item": self.time_limit, "idle": self.item_timeout}
        return f"timeout({', '.join(f'{name}={limit:g}' for name, limit in limits.items() if limit is not None)})"

    def __repr__(self) -> str:
        return str(self)
