"""Timeout: a limit on the time that a call takes, or each item of a stream.

The runners keep the limit: they cancel async code, abandon the thread of sync code or interrupt it by a signal. The
policy says how long, and makes the error of a call that was too late. `Timeout` is for calls,
`ItemTimeout` for the items of generator functions; `timeout_of` makes the one that is meant.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, NoReturn, TypeAlias, Unpack, get_args

from resilience._outcome import DEADLINE_EXCEEDED, TIMED_OUT, Outcome
from resilience._runtime import protocol as base
from resilience._runtime.callables import is_generator, name_of
from resilience._runtime.decorate import refuse_without_items
from resilience._runtime.method_selection import MethodOptions, MethodSelection, select_methods
from resilience._runtime.place import Place
from resilience._runtime.protocol import Call, Proceed
from resilience._runtime.worst_case import WorstCase
from resilience._validation import given_options, optional, parse_duration, require_choice
from resilience.errors.base import CallTimeoutError, DeadlineExceededError, ResilienceError
from resilience.policies._timed_out import time_out
from resilience.policies.base import Policy, Steps, decorated_function

__all__ = ["ItemTimeout", "Mode", "Timeout", "timeout_of"]

Mode: TypeAlias = Literal["thread", "signal"]
"""The way in which a sync call is limited: it runs in a thread, or a signal interrupts it."""


class Timeout(Policy):
    """A time limit for each call, in seconds: `timeout` makes one, and documents the parameters.

    It raises `CallTimeoutError`, and `DeadlineExceededError` where an enclosing deadline has passed first. A
    TimeoutError of the function's own is not taken for one of these: the runner says by identity which limit has
    passed.

    >>> from resilience import timeout
    >>> timeout(2), timeout(first_item=5, idle=0.5)
    (timeout(2), timeout(first_item=5, idle=0.5))
    """

    fast_path = True
    supports_generators = False
    guards_local_methods = False
    place: Place | None = Place.TIME_LIMIT

    def __init__(self, limit: object, mode: Mode = "thread", **methods: Unpack[MethodOptions]) -> None:
        self.uses_signal: bool = require_choice("mode", mode, get_args(Mode)) == "signal"
        self.time_limit: float | None = parse_duration("seconds", limit)
        self.methods: MethodSelection | None = select_methods(**methods)

    def __enter__(self) -> NoReturn:
        """Raise TypeError: a sync block cannot be interrupted."""
        raise TypeError(
            "with timeout(...): a sync block cannot be interrupted; decorate a function, or use `async with`"
        )

    def run(self, call: Call) -> Steps:
        """Return the outcome of the call, or an error where the limit, or an enclosing deadline, has passed."""
        outcome: Outcome = yield Proceed(self.time_limit, interrupts=self.uses_signal, raw=True)
        # By identity, not by type: a TimeoutError of the function's own passes as it is.
        if outcome is not TIMED_OUT and outcome is not DEADLINE_EXCEEDED:
            return outcome
        limit = self._limit_of(call)
        assert limit is not None, "nothing else can have passed"
        error: ResilienceError = CallTimeoutError(call.target, limit)
        if outcome is DEADLINE_EXCEEDED:
            error = DeadlineExceededError(call.target)
        return (yield from time_out(call, error, "timeout", limit))

    def _limit_of(self, call: Call) -> float | None:
        """Return the limit that is in force for *call* now."""
        return self.time_limit

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside* within the limit."""
        return base.Policy.worst(self, inside)

    def __str__(self) -> str:
        mode = ", mode=signal" * self.uses_signal
        return f"timeout({self.time_limit:g}{mode})"

    def __repr__(self) -> str:
        return str(self)


class ItemTimeout(Timeout):
    """Time limits for the items of each stream: until the *first_item* is there, and for each further one, *idle*.

    Guards generator functions and nothing else. Each limit is in seconds, and counts from the moment the item is asked
    for, so that a slow consumer does not use it up. Either may be left out. Of several idle limits the shortest holds,
    and `remaining()` in the generator knows of it. ``send``, ``throw``, ``close`` and the value that a sync generator
    returns are as without a limit.

    An async generator is cancelled where it waits, on asyncio and trio, and its ``finally`` blocks run. A sync one is
    advanced in worker threads, with a copy of the context variables of its first caller, which it keeps: the caller
    leaves in time, and a generator that hangs closes itself when it comes back.
    """

    supports_generators = True
    supports_calls = False

    def __init__(
        self,
        first_item: float | timedelta | None,
        idle: float | timedelta | None,
        **methods: Unpack[MethodOptions],
    ) -> None:
        self.item_timeout: float | None = optional(parse_duration, "idle", idle)
        self.time_limit: float | None = optional(parse_duration, "first_item", first_item)
        self.methods: MethodSelection | None = select_methods(**methods)

    def policies(self, target: object = None) -> tuple[base.Policy, ...]:
        """Return this policy; raise TypeError where *target* is a function without items."""
        super().policies(target)
        function = decorated_function(target)
        if function is not None and not is_generator(function):
            refuse_without_items(name_of(function), (self,))  # `call` decorates nothing
        return (self,)

    def _policy(self) -> NoReturn:
        raise TypeError(f"with {self}: a block has no items; decorate a generator function, or give timeout(seconds)")

    def __enter__(self) -> NoReturn:
        self._policy()

    def _limit_of(self, call: Call) -> float | None:
        if call.streaming_started:
            return self.item_timeout  # the first item has been handed out
        return self.time_limit

    def worst(self, inside: WorstCase) -> WorstCase:
        """Return *inside*: how many items a stream has is not known, so their limits say nothing of the whole."""
        return inside

    def __str__(self) -> str:
        limits = given_options(first_item=self.time_limit, idle=self.item_timeout)
        return f"timeout({', '.join(f'{name}={limit:g}' for name, limit in limits.items())})"


def timeout_of(
    limit: object,
    first_item: float | timedelta | None,
    idle: float | timedelta | None,
    mode: Mode,
    **methods: Unpack[MethodOptions],
) -> Timeout:
    """Return a limit for calls, of *limit* seconds, or for items; `...` is no limit.

    Raises TypeError or ValueError for limits of both kinds, for none, and for signals with items.
    """
    items = given_options(first_item=first_item, idle=idle)
    if items:
        shown = ", ".join(f"{name}={value!r}" for name, value in items.items())
        if limit is not ...:
            call = f"timeout({limit!r}, {shown})"
            raise TypeError(f"{call}: give seconds for a call, or first_item= and idle= for a generator function")
        if require_choice("mode", mode, get_args(Mode)) != "thread":
            raise ValueError(f"mode={mode!r}: give none with {shown}: sync items are fetched in threads")
        return ItemTimeout(first_item, idle, **methods)
    if limit is ...:
        raise TypeError("timeout(): give seconds; for a generator function first_item= and idle=, either or both")
    return Timeout(limit, mode, **methods)
