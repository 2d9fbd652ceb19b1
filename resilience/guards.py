"""What the decorators return: a policy, checked, that guards what it is put on. Loaded when the first one is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from resilience.category import CategoryLike, combine
from resilience.engine.blocks import Block, BlockResult
from resilience.engine.pipeline import Decorator
from resilience.policy.backoff import Backoff
from resilience.policy.base import Policy
from resilience.policy.check import count
from resilience.policy.fallback import Fallback
from resilience.policy.retry import Retry
from resilience.policy.timeout import Timeout
from resilience.profile import Profile, changed_profiles

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.events import RetryScheduled

    Wait = Callable[[RetryCallState], float] | float
    Predicate = Callable[[RetryCallState], bool]
    ProfileRows = Mapping[CategoryLike, Mapping[str, object] | Profile]

__all__ = ["FallbackGuard", "RetryGuard", "TimeoutGuard", "make_retry"]

V = TypeVar("V")


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
    attempts: int,
    attempts_given: bool,
    max_retries: int | None,
    base_delay: float | timedelta | None,
    max_delay: float | timedelta,
    exponential_base: float,
    jitter: str,
    wait: Wait | None,
    stop: Predicate | None,
    retry_if: Predicate | None,
    on_retry: Callable[[RetryScheduled], object] | None,
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
    strategies = None
    if wait is not None or stop is not None or retry_if is not None:
        from resilience.policy.strategies import Strategies

        strategies = Strategies(wait, stop, retry_if)
    return Retry(
        on=combine("on", on) if on else None,
        attempts=calls,
        backoff=Backoff(base_delay, max_delay, exponential_base, jitter),
        strategies=strategies,
        on_retry=on_retry,
        profiles=changed_profiles("profiles", profiles or {}),
    )


class TimeoutGuard(Decorator, Block):
    """What `timeout` returns."""

    __slots__ = ("_timeout",)

    def __init__(self, policy: Timeout) -> None:
        self._timeout = policy

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return (self._timeout,)

    def _policy(self) -> Policy:
        return self._timeout

    def __enter__(self) -> object:
        raise TypeError(
            "with timeout(...): a sync block cannot be interrupted; decorate a function, or use `async with`"
        )

    def __repr__(self) -> str:
        return str(self._timeout)


class FallbackGuard(Decorator, Block, Generic[V]):
    """What `fallback` returns."""

    __slots__ = ("_fallback",)

    def __init__(self, policy: Fallback) -> None:
        self._fallback = policy

    def policies(self, target: object = None) -> tuple[Policy, ...]:
        return (self._fallback,)

    def _policy(self) -> Policy:
        return self._fallback

    def _entered(self, result: BlockResult[object]) -> object:
        return result

    if TYPE_CHECKING:

        def __enter__(self) -> BlockResult[V]: ...

        async def __aenter__(self) -> BlockResult[V]: ...

    def __repr__(self) -> str:
        return str(self._fallback)
