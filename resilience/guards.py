"""What the decorators return: a policy, checked, that guards what it is put on. Loaded when the first one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar

from resilience.category import CategoryLike, ErrorCategory, combine
from resilience.engine.blocks import Block, BlockResult, SwallowingBlock
from resilience.engine.guard import is_generator, name_of, refuse_without_items, under_descriptor
from resilience.engine.pipeline import Decorator
from resilience.policy.backoff import Backoff
from resilience.policy.base import Policy
from resilience.policy.check import a_function, a_mapping, count, need, one_of, seconds, yes_or_no
from resilience.policy.deadline import Deadline
from resilience.policy.fallback import Fallback
from resilience.policy.retry import Retry
from resilience.policy.timeout import MODES, Timeout
from resilience.profile import Profile, changed_profiles

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.events import RetryScheduled
    from resilience.policy.budget import RetryBudget
    from resilience.policy.history import CallReport
    from resilience.policy.revision import Arguments

    Wait = Callable[[RetryCallState], float] | float
    Predicate = Callable[[RetryCallState], bool]
    ProfileRows = Mapping[CategoryLike, Mapping[str, object] | Profile]

__all__ = ["DeadlineGuard", "FallbackGuard", "RetryGuard", "RetryOptions", "TimeoutGuard", "make_retry", "make_timeout"]

V = TypeVar("V")


class RetryOptions(TypedDict, total=False):
    """What `retry_on_category` and `retrying` take by name."""

    attempts: int
    max_retries: int | None
    max_attempts: Mapping[CategoryLike, int] | None
    base_delay: float | timedelta | None
    max_delay: float | timedelta
    exponential_base: float
    jitter: str
    waits: Mapping[CategoryLike, Backoff | Wait] | None
    wait: Wait | None
    stop: Predicate | None
    retry_if: Predicate | None
    retry_if_result: Callable[[Any], object] | None
    budget: RetryBudget | None
    idempotent: bool | Callable[..., object]
    min_attempt_time: float | timedelta
    retry_exhausted: bool
    no_progress: int | None
    revise: Callable[[Arguments, CallReport], object] | None
    revise_on: CategoryLike | None
    max_revisions: int
    on_retry: Callable[[RetryScheduled], object] | None
    on_success: Callable[[CallReport], object] | None
    on_exhausted: str
    profiles: ProfileRows | None


class RetryGuard(Decorator):
    """What `retry_on_category` returns."""

    __slots__ = ("_retry",)

    def __init__(self, retry: Retry) -> None:
        self._retry = retry

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return (self._retry,)

    def __repr__(self) -> str:
        return str(self._retry)


def make_retry(
    on: tuple[object, ...],
    *,
    attempts: int,
    attempts_given: bool,
    max_retries: int | None,
    max_attempts: Mapping[CategoryLike, int] | None,
    base_delay: float | timedelta | None,
    max_delay: float | timedelta,
    exponential_base: float,
    jitter: str,
    waits: Mapping[CategoryLike, Backoff | Wait] | None,
    wait: Wait | None,
    stop: Predicate | None,
    retry_if: Predicate | None,
    retry_if_result: Callable[[Any], object] | None,
    budget: RetryBudget | None,
    idempotent: bool | Callable[..., object],
    min_attempt_time: float | timedelta,
    retry_exhausted: bool,
    no_progress: int | None,
    revise: Callable[[Arguments, CallReport], object] | None,
    revise_on: CategoryLike | None,
    max_revisions: int,
    on_retry: Callable[[RetryScheduled], object] | None,
    on_success: Callable[[CallReport], object] | None,
    on_exhausted: str,
    profiles: ProfileRows | None,
) -> Retry:
    """Make the policy that the parameters of `retry_on_category` ask for."""
    if max_retries is not None:
        if attempts_given:
            raise TypeError(
                f"attempts={attempts!r}, max_retries={max_retries!r}: give one of them;"
                " attempts counts all calls, max_retries the ones after the first"
            )
        calls: int | None = count("max_retries", max_retries, least=0) + 1
    elif stop is not None and not attempts_given:
        calls = None  # the stop strategy decides; a default must not cut it short
    else:
        calls = count("attempts", attempts)
    for parameter, given, example in (
        ("max_attempts", max_attempts, "{'timeout': 2}"),
        ("waits", waits, "{'rate_limit': 5}"),
        ("profiles", profiles, "{'timeout': {'base': 0.5}}"),
    ):
        if given is not None:
            a_mapping(parameter, given, f"a mapping by category, such as {example}")
    backoff = Backoff(base_delay, max_delay, exponential_base, jitter)
    backoffs, asked = _waits_by_category(waits or {}, backoff)
    strategies = None
    if wait is not None or stop is not None or retry_if is not None or asked:
        from resilience.policy.strategies import Strategies

        strategies = Strategies(wait, stop, retry_if, asked)
    if budget is not None:
        from resilience.policy.budget import RetryBudget

        right = "a RetryBudget, one object for all who call the same dependency"
        need(isinstance(budget, RetryBudget), "budget", budget, right, TypeError)
    idempotency = None
    if idempotent is not True:
        from resilience.policy.idempotency import idempotency_of

        idempotency = idempotency_of(idempotent)
    if retry_if_result is not None:
        if type(retry_if_result).__module__.startswith("tenacity"):
            raise TypeError(f"retry_if_result={retry_if_result!r}: give a function of the result, or this as retry_if=")
        a_function("retry_if_result", retry_if_result, "a function of the result, true of one to try again", takes=1)
    if on_retry is not None:
        a_function("on_retry", on_retry, "a function that takes a RetryScheduled event", takes=1)
    if on_success is not None:
        a_function("on_success", on_success, "a function that takes a CallReport", takes=1)
    reviser = None
    if revise is not None:
        right = "a function of the call's Arguments and its CallReport, which returns new arguments or None"
        a_function("revise", revise, right, takes=2)
        from resilience.policy.revision import REVISED, Reviser

        alike = 3 if no_progress is None else count("no_progress", no_progress)
        blamed = REVISED if revise_on is None else combine("revise_on", [revise_on])
        reviser = Reviser(revise, count("max_revisions", max_revisions), alike, blamed)
    elif revise_on is not None:
        raise TypeError(f"revise_on={revise_on!r}: give it with revise=, a function that returns new arguments")
    return Retry(
        on=combine("on", on) if on else None,
        attempts=calls,
        most={
            leaf.value: count(f"max_attempts[{leaf.label!r}]", most)
            for leaf, most in _by_leaf("max_attempts", max_attempts or {})
        },
        backoff=backoff,
        backoffs=backoffs,
        strategies=strategies,
        budget=budget,
        idempotency=idempotency,
        retry_exhausted=yes_or_no("retry_exhausted", retry_exhausted),
        min_attempt_time=seconds("min_attempt_time", min_attempt_time, zero=True),
        no_progress=None if no_progress is None else count("no_progress", no_progress),
        reviser=reviser,
        retry_if_result=retry_if_result,
        on_retry=on_retry,
        on_success=on_success,
        wraps=one_of("on_exhausted", on_exhausted, ("raise", "wrap")) == "wrap",
        profiles=changed_profiles("profiles", profiles or {}),
    )


def _waits_by_category(
    waits: Mapping[CategoryLike, Backoff | Wait], otherwise: Backoff
) -> tuple[dict[int, Backoff], dict[int, Callable[..., object]]]:
    """Return the backoffs, and the strategies, of the categories that have their own; a number is a fixed wait."""
    backoffs: dict[int, Backoff] = {}
    strategies: dict[int, Callable[..., object]] = {}
    for leaf, wait in _by_leaf("waits", waits):
        parameter = f"waits[{leaf.label!r}]"
        backoffs.pop(leaf.value, None)
        strategies.pop(leaf.value, None)
        if isinstance(wait, Backoff):
            backoffs[leaf.value] = wait
        elif callable(wait):
            from resilience.policy.strategies import a_strategy

            strategies[leaf.value] = a_strategy(parameter, wait)
        else:
            fixed = seconds(parameter, wait, zero=True)
            need(fixed <= otherwise.cap, parameter, wait, f"at most max_delay={otherwise.cap:g}")
            backoffs[leaf.value] = Backoff(fixed, otherwise.cap, 1.0, "none")
    return backoffs, strategies


def _by_leaf(parameter: str, given: Mapping[CategoryLike, V]) -> Iterator[tuple[ErrorCategory, V]]:
    """Yield what is given for each leaf; of two keys that name it, the one that names fewer comes last, and holds."""
    keys = [(combine(parameter, [key]), value) for key, value in given.items()]
    for category, value in sorted(keys, key=lambda each: -len(each[0])):
        for leaf in category:
            yield leaf, value


class DeadlineGuard(Decorator, Block):
    """What `deadline` returns."""

    __slots__ = ("_deadline",)

    def __init__(self, policy: Deadline) -> None:
        self._deadline = policy

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return (self._deadline,)

    def _policy(self) -> Policy:
        return self._deadline

    def __repr__(self) -> str:
        return str(self._deadline)


def make_timeout(
    limit: object, first_item: float | timedelta | None, idle: float | timedelta | None, mode: str
) -> Timeout:
    """Make the policy that the parameters of `timeout` ask for."""
    given: Any = None if limit is ... else limit
    if first_item is None and idle is None:
        if limit is ...:
            raise TypeError("timeout(): give seconds; for a generator function first_item= and idle=, either or both")
        return Timeout(given, mode)
    items = ", ".join(
        f"{name}={each!r}" for name, each in (("first_item", first_item), ("idle", idle)) if each is not None
    )
    if limit is not ...:
        raise TypeError(
            f"timeout({limit!r}, {items}): give seconds for a call, or first_item= and idle= for a generator function"
        )
    if one_of("mode", mode, MODES) != "thread":
        raise ValueError(f"mode={mode!r}: give none with {items}: sync items are fetched in threads")
    return Timeout(None, first_item=first_item, idle=idle)


class TimeoutGuard(Decorator, Block):
    """What `timeout` returns."""

    __slots__ = ("_timeout",)

    def __init__(self, policy: Timeout) -> None:
        self._timeout = policy

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        function = under_descriptor(target)
        if callable(function) and not isinstance(function, type) and not is_generator(function):
            refuse_without_items(name_of(function), (self._timeout,))  # `call` decorates nothing
        return (self._timeout,)

    def _policy(self) -> Policy:
        self._refuse_a_block_without_items()
        return self._timeout

    def _refuse_a_block_without_items(self) -> None:
        if not self._timeout.calls:
            raise TypeError(
                f"with {self}: a block has no items; decorate a generator function, or give timeout(seconds)"
            )

    def __enter__(self) -> object:
        self._refuse_a_block_without_items()
        raise TypeError(
            "with timeout(...): a sync block cannot be interrupted; decorate a function, or use `async with`"
        )

    def __repr__(self) -> str:
        return str(self._timeout)


class FallbackGuard(Decorator, SwallowingBlock, Generic[V]):
    """What `fallback` returns."""

    __slots__ = ("_fallback",)

    def __init__(self, policy: Fallback) -> None:
        self._fallback = policy

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        function = under_descriptor(target)
        if self._fallback.chain is not None and callable(function) and not isinstance(function, type):
            self._fallback.chain.refuse_other_parameters(function, name_of(function))
        return (self._fallback,)

    def _policy(self) -> Policy:
        if self._fallback.stale is not None:
            raise TypeError(f"with {self}: a block has no arguments to keep its value by; decorate a function")
        if self._fallback.degraded:
            raise TypeError(f"with {self}: a block's result says by itself whether it is degraded; leave it out")
        return self._fallback

    def _entered(self, result: BlockResult[object]) -> object:
        return result

    if TYPE_CHECKING:

        def __enter__(self) -> BlockResult[V]: ...

        async def __aenter__(self) -> BlockResult[V]: ...

    def __repr__(self) -> str:
        return str(self._fallback)
