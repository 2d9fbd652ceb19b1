"""Call again when the failure is worth another try."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import math
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING

from resilience.category import ErrorCategory, combine
from resilience.classify import categories_of, classify, retry_after
from resilience.outcome import Outcome
from resilience.policy.backoff import Backoff
from resilience.policy.base import CALL, Call, Effect, Emit, Invoke, Policy, Sleep, Steps
from resilience.policy.check import count
from resilience.profile import Profile, profile_of

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.policy.strategies import Strategies

__all__ = ["Retry", "StopReason"]

_NEVER = ErrorCategory.CANCELLED.value
_FIRST_WAIT = 0.1  # for a category that is not retried by default and so has no base of its own


class StopReason(enum.Enum):
    """Why no further attempt was made."""

    NOT_RETRYABLE = "not retryable"
    ATTEMPTS = "attempts"
    STOPPED = "stop strategy"
    PUSHBACK = "the server asks for a longer wait than allowed"
    STRATEGY_FAILED = "a strategy failed"


@dataclasses.dataclass(frozen=True, eq=False)
class Retry(Policy):
    """Retry failures whose category is in *on*, at most *attempts* calls in all (None: no limit)."""

    on: ErrorCategory = ErrorCategory.TRANSIENT
    attempts: int | None = 3
    backoff: Backoff = dataclasses.field(default_factory=Backoff)
    strategies: Strategies | None = None
    on_retry: Callable[..., object] | None = None
    profiles: Mapping[ErrorCategory, Profile] = dataclasses.field(default_factory=dict[ErrorCategory, Profile])

    def __post_init__(self) -> None:
        on = combine("on", [self.on])
        if not on.value & ~_NEVER:
            raise ValueError("on='cancelled': a cancelled call is never retried; name another category")
        if self.attempts is not None:
            count("attempts", self.attempts)
        if self.on_retry is not None and not callable(self.on_retry):
            raise TypeError(f"on_retry={self.on_retry!r}: give a function that takes a RetryScheduled event")

    @property
    def plain(self) -> bool:  # type: ignore[override]  # strategies judge results and measure from the start
        return self.strategies is None

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        given = {"on_retry": self.on_retry}
        if self.strategies is not None:
            given |= {name: getattr(self.strategies, name) for name in ("wait", "stop", "retry_if")}
        return {name: hook for name, hook in given.items() if hook is not None}

    def run(self, call: Call) -> Steps:
        state = None if self.strategies is None else self.strategies.begin(call, self)
        tried: list[ErrorCategory] = []
        slept = wait = 0.0
        while True:
            outcome = yield CALL
            if outcome.error is None and (self.strategies is None or self.strategies.retry_if is None):
                return outcome
            category = ErrorCategory.UNKNOWN if outcome.error is None else classify(outcome.error)
            tried.append(category)
            if state is not None and self.strategies is not None:
                self.strategies.record(state, call, outcome, len(tried))
            if outcome.error is not None and call.heard:
                from resilience.events import AttemptFailed

                yield Emit(
                    AttemptFailed(
                        target=call.target,
                        policy="retry",
                        attempt=len(tried),
                        category=category,
                        error=outcome.error,
                    )
                )
            decision = yield from self._decide(call, outcome, tried, state, wait)
            if isinstance(decision, StopReason):
                yield from self._tell_end(call, outcome, tried, decision, slept)
                return outcome
            wait = decision
            yield from self._tell_retry(call, outcome, tried, wait)
            yield Sleep(wait)
            slept += wait
            if state is not None:
                state.idle_for += wait

    def _decide(
        self, call: Call, outcome: Outcome, tried: list[ErrorCategory], state: RetryCallState | None, previous: float
    ) -> Generator[Effect, Outcome, StopReason | float]:
        """Say how long to wait before the next attempt, or why there is none: predicate, wait, stop, in this order."""
        category = tried[-1]
        # Every member of an exception group must be one to retry; of any other error there is one category.
        wanted = outcome.error is not None and not categories_of(outcome.error).value & ~(self.on.value & ~_NEVER)
        strategies = self.strategies
        if not wanted and strategies is not None and strategies.retry_if is not None and category.value != _NEVER:
            wanted = bool((yield Invoke(strategies.retry_if, state, role="retry_if strategy")).value)
        if not wanted:
            return StopReason.NOT_RETRYABLE
        if self.attempts is not None and len(tried) >= self.attempts:
            return StopReason.ATTEMPTS
        if strategies is None or strategies.wait is None:
            row = self.profiles.get(category) or profile_of(category)
            wait = self.backoff.delay(
                retry=len(tried) - 1,
                base=_FIRST_WAIT if row.base is None else row.base,
                previous=previous,
                chance=call.clock.random(),
            )
        else:
            given = (yield Invoke(strategies.wait, state, role="wait strategy")).value
            if not isinstance(given, int | float) or not 0 <= given < math.inf:
                return StopReason.STRATEGY_FAILED
            wait = float(given)
        hint = None if outcome.error is None else retry_after(outcome.error)
        if hint is not None:
            # Whoever was told the same second must not come back in the same second: a tenth of it at random.
            wait = max(hint, wait) + call.clock.random() * 0.1 * hint if hint < math.inf else hint
            if hint > self.backoff.cap:
                return StopReason.PUSHBACK
        if state is not None and strategies is not None and strategies.stop is not None:
            state.upcoming_sleep = wait
            answer = yield Invoke(strategies.stop, state, role="stop strategy")
            if answer.error is not None:  # a stop that cannot be asked must not become a loop without end
                return StopReason.STRATEGY_FAILED
            if answer.value:
                return StopReason.STOPPED
        return wait

    def _tell_retry(
        self, call: Call, outcome: Outcome, tried: list[ErrorCategory], wait: float
    ) -> Generator[Effect, Outcome, None]:
        if not call.heard and self.on_retry is None:
            return
        from resilience.events import RetryScheduled

        event = RetryScheduled(
            target=call.target,
            policy="retry",
            attempt=len(tried),
            category=tried[-1],
            wait=wait,
            error=outcome.error,
        )
        yield Emit(event)
        if self.on_retry is not None:
            yield Invoke(self.on_retry, event, role="on_retry callback")

    def _tell_end(
        self, call: Call, outcome: Outcome, tried: list[ErrorCategory], reason: StopReason, slept: float
    ) -> Generator[Effect, Outcome, None]:
        if outcome.error is not None and (len(tried) > 1 or reason is StopReason.PUSHBACK):
            _annotate(outcome.error, call.target, tried, reason, slept)
        if reason is not StopReason.NOT_RETRYABLE and call.heard:
            from resilience.events import RetriesExhausted

            yield Emit(
                RetriesExhausted(
                    target=call.target,
                    policy="retry",
                    attempts=len(tried),
                    category=tried[-1],
                    reason=reason.value,
                    error=outcome.error,
                )
            )

    def __str__(self) -> str:
        parts = [self.on.label, f"attempts={'unlimited' if self.attempts is None else self.attempts}"]
        if self.strategies is None or self.strategies.wait is None:
            base = "by category" if self.backoff.base_delay is None else f"{self.backoff.base_delay:g}"
            parts += [f"base_delay={base}", f"max_delay={self.backoff.cap:g}", f"jitter={self.backoff.jitter}"]
        if self.strategies is not None:
            names = {name: getattr(self.strategies, name) for name in ("wait", "stop", "retry_if")}
            parts += [f"{name}={type(given).__name__}" for name, given in names.items() if given is not None]
        return f"retry_on_category({', '.join(parts)})"


def _annotate(error: Exception, target: str, tried: list[ErrorCategory], reason: StopReason, slept: float) -> None:
    """Add what was tried to *error*, for the person who reads its traceback; once, however often it is raised."""
    opening = f"resilience: {target} "
    plural = "" if len(tried) == 1 else "s"
    shown = [category.label for category in tried[-5:]]
    if len(tried) > len(shown):
        shown.insert(0, "...")
    waited = f"{slept:.3g} s waited in between"
    with contextlib.suppress(Exception):  # __notes__ of the user's own making must not hide the error
        notes: list[str] = getattr(error, "__notes__", [])
        notes[:] = [old for old in notes if not old.startswith(opening)]
        error.add_note(
            f"{opening}failed {len(tried)} time{plural} ({', '.join(shown)}), {waited}; stopped: {reason.value}"
        )
