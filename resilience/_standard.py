"""The standard stack: the policies that a call of another service needs, in their order, with defaults for a request.

    deadline > retry with a budget > circuit breaker > bulkhead > time limit > call

`Standard` chooses numbers and puts policies together; it makes no decision about a call. The reason for each number is
in `docs/reference/standard-numbers.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta

from resilience._runtime.callables import is_generator
from resilience._runtime.context_manager import Block
from resilience._runtime.guarded_loop import GuardedLoop
from resilience._runtime.pipeline import Decorator, Pipeline
from resilience._runtime.protocol import Policy
from resilience._validation import optional, parse_count, parse_duration, require
from resilience.circuits import CircuitBreaker
from resilience.policies.base import decorated_function
from resilience.policies.bulkhead import Bulkhead
from resilience.policies.deadline import Deadline
from resilience.policies.idempotency import unless_post
from resilience.policies.retry import Retry
from resilience.policies.retry_budget import RetryBudget
from resilience.policies.timeout import Timeout, timeout_of

__all__ = ["Standard", "standard"]


class _Default(float):
    """A default that is distinguishable from the same number given by the caller."""


_DEADLINE, _TIMEOUT = _Default(10.0), _Default(3.0)
_SOON = 1e-9  # seconds: a deadline that has just passed


class Standard(Pipeline):
    """Guard the calls of one dependency by the standard stack, with numbers that fit a call within a web request.

    The stack is, from the outside in: a deadline for the call with its retries; a retry with a budget; a circuit
    breaker; a bulkhead; a time limit for each attempt. It decorates functions, methods and classes, sync and async, and
    has `call` and `acall`, as any `Pipeline`. Of a generator function the time limit is for the first item, and there
    is no deadline. One object is one circuit, one budget and one bulkhead: give it to all that call the dependency.

    What is seen to be a POST or PATCH is not repeated, see `unless_post`; nor is a call that a time limit has cut off
    where nothing is seen of it.

    Args:
        name: the dependency's name, for errors, events and logs.
        deadline: seconds for the call with all its retries; unless given at least enough for *attempts* that take
            *timeout*. None: no deadline.
        attempts: all calls, the first one included.
        max_delay: the longest wait between attempts, and the longest Retry-After that is waited for, in seconds.
        timeout: seconds for each attempt; unless given at most the *deadline*. None: no limit, and no thread for a sync
            function.
        limit: the calls that may be in flight. None: any number.
        idempotent: whether a call may happen twice, as `retry_on_category` takes it.
        budget: the retries of all that share it; unless given a `RetryBudget` of its own.
        circuit: the circuit; unless given one of its own.
        key: a function of the call's arguments, such as the host: each key has a circuit and a bulkhead of its own.
        only, exclude: the methods of a decorated class that are guarded, and no others; or that are left as they are.

    Raises TypeError or ValueError, where it is written, for invalid options.

    >>> catalogue = Standard("the catalogue")
    >>> @catalogue
    ... def search(query: str) -> tuple[str, ...]:
    ...     return ("brass lamp",)
    >>> search("lamp")
    ('brass lamp',)
    """

    __slots__ = ("bulkhead", "circuit", "deadline", "retry", "timeout")

    def __init__(
        self,
        name: str,
        *,
        deadline: float | timedelta | None = _DEADLINE,
        attempts: int = 3,
        max_delay: float | timedelta = 2.0,
        timeout: float | timedelta | None = _TIMEOUT,
        limit: int | None = 100,
        idempotent: bool | Callable[..., object] = unless_post,
        budget: RetryBudget | None = None,
        circuit: CircuitBreaker | None = None,
        key: Callable[..., Hashable] | None = None,
        only: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        require(isinstance(name, str), "name", name, "the dependency's name as text, such as 'catalogue'", TypeError)
        require(bool(name.strip()), "name", name, "the dependency's name, such as 'catalogue'")
        parse_count("attempts", attempts)
        seconds, each = _times(deadline, timeout, attempts)
        if circuit is None:
            circuit = _circuit(name, seconds, key, only, exclude)
        else:
            _refuse_beside_circuit(circuit, key, only, exclude)
        #: The circuit breaker, to be opened and closed by hand.
        self.circuit: CircuitBreaker = circuit
        self.deadline: Deadline | None = None
        if seconds is not None:
            self.deadline = Deadline(seconds, only=only, exclude=exclude)
        self.retry: Retry = Retry(
            attempts=attempts,
            max_delay=max_delay,
            idempotent=idempotent,
            budget=budget or RetryBudget(name),
            only=only,
            exclude=exclude,
        )
        self.bulkhead: Bulkhead | None = None
        if limit is not None:
            wait = None  # up to the deadline
            if seconds is None:
                wait = each
            self.bulkhead = Bulkhead(name, limit, max_wait=wait, key=key, only=only, exclude=exclude)
        self.timeout: Timeout | None = None
        if each is not None:
            self.timeout = Timeout(each, only=only, exclude=exclude)
        parts: tuple[Decorator | None, ...] = (self.deadline, self.retry, circuit, self.bulkhead, self.timeout)
        super().__init__(*filter(None, parts))

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        """Return the policies, outermost first; of a generator function without the deadline."""
        function = decorated_function(target)
        if function is None or not is_generator(function) or self.timeout is None:
            return super().policies(target)
        first_item = timeout_of(..., self.timeout.time_limit, None, "thread")
        parts: tuple[Decorator | None, ...] = (self.retry, self.circuit, self.bulkhead, first_item)
        return Pipeline(*filter(None, parts)).policies(target)

    def retrying(self) -> GuardedLoop:
        """Return the loop that guards a block: each attempt runs in the stack, and the block may run again.

        With ``for`` and ``with``, or ``async for`` and ``async with``. Nothing interrupts a sync block: the time limit
        and the deadline are kept by the guarded calls in it, and end the attempts. Raises TypeError where circuits
        differ by key.

        >>> for attempt in Standard("the warehouse").retrying():
        ...     with attempt:
        ...         count = 4
        >>> attempt.number, count
        (1, 4)
        """
        if self.circuit.scope is not None:
            raise TypeError(f"{self!r} has a circuit for each {self.circuit.scope}, and a block has no arguments")
        seconds = math.inf
        if self.deadline is not None:
            seconds = self.deadline.seconds
        return GuardedLoop(self.retry, seconds, self._blocks, self._async_blocks)

    def _blocks(self, left: float) -> Sequence[Block]:
        limit: Deadline | None = None
        if self.timeout is not None and self.timeout.time_limit is not None:
            limit = Deadline(self.timeout.time_limit)
        return self._within(left, limit)

    def _async_blocks(self, left: float) -> Sequence[Block]:
        return self._within(left, self.timeout)

    def _within(self, left: float, limit: Block | None) -> Sequence[Block]:
        """Return the blocks of an attempt: those inside the retry, within the seconds that are *left*."""
        blocks: Sequence[Block | None] = (self.circuit, self.bulkhead, limit)
        if left < math.inf:
            blocks = (Deadline(max(left, _SOON)), *blocks)
        return [*filter(None, blocks)]

    def __repr__(self) -> str:
        return f"<standard {self.circuit.name!r}>"


def _times(
    deadline: float | timedelta | None, timeout: float | timedelta | None, attempts: int
) -> tuple[float | None, float | None]:
    """Return the seconds of the deadline and of the time limit; a default gives way to what was given.

    >>> _times(_DEADLINE, _TIMEOUT, 3), _times(2, _TIMEOUT, 3), _times(_DEADLINE, 60, 3)
    ((10.0, 3.0), (2.0, 2.0), (180.0, 60.0))
    """
    seconds = optional(parse_duration, "deadline", deadline)
    each = optional(parse_duration, "timeout", timeout)
    if seconds is None or each is None:
        return seconds, each
    if deadline is _DEADLINE:
        return max(seconds, attempts * each), each
    if timeout is _TIMEOUT:
        return seconds, min(seconds, each)
    require(each <= seconds, "timeout", timeout, f"at most the deadline of {seconds:g} s, which ends the call first")
    return seconds, each


def _circuit(
    name: str,
    longest_probe: float | None,
    key: Callable[..., Hashable] | None,
    only: Sequence[str] | None,
    exclude: Sequence[str],
) -> CircuitBreaker:
    """Return the circuit of the standard stack. A probe has ended when the deadline comes, which its lease follows."""
    return CircuitBreaker(
        name,
        failure_threshold=10,
        failure_rate=0.5,
        window_seconds=30,
        minimum_calls=20,
        reset_timeout=5,
        max_reset_timeout=60,
        probe_timeout=longest_probe,
        key=key,
        only=only,
        exclude=exclude,
    )


def _refuse_beside_circuit(
    circuit: object, key: Callable[..., Hashable] | None, only: Sequence[str] | None, exclude: Sequence[str]
) -> None:
    """Raise TypeError for what is no circuit, and for options that have to be given to the circuit itself."""
    expected = "a circuit: circuit_breaker('catalogue', reset_timeout=30)"
    require(isinstance(circuit, CircuitBreaker), "circuit", circuit, expected, TypeError)
    for name, value in {"key": key, "only": only, "exclude": exclude or None}.items():
        require(value is None, name, value, f"it to the circuit as well: leave out circuit=, or {name}=", TypeError)


standard = Standard
"""The standard stack, as a decorator is named."""
