"""Call again when the failure is worth another try."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import math
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import categories_of, category_of
from resilience.classify.hint import retry_after
from resilience.outcome import Outcome
from resilience.policy.backoff import Backoff
from resilience.policy.base import CALL, Call, Effect, Emit, Invoke, Policy, Sleep, Steps
from resilience.policy.check import count
from resilience.profile import Profile, row_of
from resilience.subscription import listened

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.events import AttemptFailed, RetriesExhausted, RetryScheduled
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
    """Retry failures whose category is in *on*, at most *attempts* calls in all (None: no limit).

    Without *on* the table decides: the categories whose row says ``retry``, which are TRANSIENT as shipped.
    """

    on: ErrorCategory | None = None
    attempts: int | None = 3
    backoff: Backoff = dataclasses.field(default_factory=Backoff)
    strategies: Strategies | None = None
    on_retry: Callable[..., object] | None = None
    profiles: Mapping[int, Profile] = dataclasses.field(default_factory=dict[int, Profile])

    #: The bits of what is not retried: quicker to look at than a Flag.
    _not: int = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        on = ErrorCategory.TRANSIENT if self.on is None else combine("on", [self.on])
        object.__setattr__(self, "_not", ~on.value | _NEVER)
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
        strategies = self.strategies
        state = None if strategies is None else strategies.begin(call, self)
        judges_results = strategies is not None and strategies.retry_if is not None
        tried: list[ErrorCategory] = []
        slept = wait = 0.0
        while True:
            outcome = yield CALL
            error = outcome.error
            if error is None and not judges_results:
                return outcome
            category = category_of(outcome)
            wanted = error is not None and self._wants(error, category)
            if not wanted and not tried and strategies is None and not listened():
                return outcome
            tried.append(category)
            if error is not None and listened():
                yield Emit(self._failed(call, tried, error))
            if strategies is None or state is None:
                decision = self._decide(call, error, wanted, tried, wait)
            else:
                strategies.record(state, call, outcome, len(tried))
                decision = yield from self._decide_by(strategies, state, call, error, wanted, tried, wait)
                state.idle_for += decision if isinstance(decision, float) else 0.0
            if isinstance(decision, StopReason):
                if error is not None and (len(tried) > 1 or decision is StopReason.PUSHBACK):
                    _annotate(error, call.target, tried, decision, slept)
                if decision is not StopReason.NOT_RETRYABLE and listened():
                    yield Emit(self._exhausted(call, tried, decision, error))
                return outcome
            wait = decision
            if self.on_retry is not None or listened():
                event = self._scheduled(call, tried, wait, error)
                yield Emit(event)
                if self.on_retry is not None:
                    yield Invoke(self.on_retry, event, role="on_retry callback")
            yield Sleep(wait)
            slept += wait

    # -- deciding: how long to wait before the next attempt, or why there is none ------------------------------------

    def _decide(
        self, call: Call, error: Exception | None, wanted: bool, tried: list[ErrorCategory], previous: float
    ) -> StopReason | float:
        if error is None or not wanted:
            return StopReason.NOT_RETRYABLE
        if self.attempts is not None and len(tried) >= self.attempts:
            return StopReason.ATTEMPTS
        return self._heeding(error, self._backoff(call, tried, previous), call)

    def _decide_by(
        self,
        strategies: Strategies,
        state: RetryCallState,
        call: Call,
        error: Exception | None,
        wanted: bool,
        tried: list[ErrorCategory],
        previous: float,
    ) -> Generator[Effect, Outcome, StopReason | float]:
        """Decide as `_decide` does, asking tenacity's strategies in the order predicate, wait, stop."""
        if not wanted and strategies.retry_if is not None and tried[-1].value != _NEVER:
            wanted = bool((yield Invoke(strategies.retry_if, state, role="retry_if strategy")).value)
        if not wanted:
            return StopReason.NOT_RETRYABLE
        if self.attempts is not None and len(tried) >= self.attempts:
            return StopReason.ATTEMPTS
        if strategies.wait is None:
            wait = self._backoff(call, tried, previous)
        else:
            given = (yield Invoke(strategies.wait, state, role="wait strategy")).value
            if not isinstance(given, int | float) or not 0 <= given < math.inf:
                return StopReason.STRATEGY_FAILED
            wait = float(given)
        decision = wait if error is None else self._heeding(error, wait, call)
        if isinstance(decision, float) and strategies.stop is not None:
            state.upcoming_sleep = decision
            answer = yield Invoke(strategies.stop, state, role="stop strategy")
            if answer.error is not None:  # a stop that cannot be asked must not become a loop without end
                return StopReason.STRATEGY_FAILED
            if answer.value:
                return StopReason.STOPPED
        return decision

    def _wants(self, error: Exception, category: ErrorCategory) -> bool:
        if isinstance(error, BaseExceptionGroup):  # every member must be one to retry
            return all(self._wants_leaf(leaf) for leaf in categories_of(error))
        return self._wants_leaf(category)

    def _wants_leaf(self, leaf: ErrorCategory) -> bool:
        if self.on is None:
            return self._row(leaf).retry and leaf._value_ != _NEVER
        return not leaf._value_ & self._not

    def _row(self, leaf: ErrorCategory) -> Profile:
        row = self.profiles.get(leaf._value_) if self.profiles else None
        return row or row_of(leaf)

    def _backoff(self, call: Call, tried: list[ErrorCategory], previous: float) -> float:
        row = self._row(tried[-1])
        base = _FIRST_WAIT if row.base is None else row.base
        return self.backoff.delay(len(tried) - 1, base, previous, call.clock.random())

    def _heeding(self, error: Exception, wait: float, call: Call) -> StopReason | float:
        """Wait as long as the other side asks for, where that is longer."""
        hint = retry_after(error)
        if hint is None:
            return wait
        if hint > self.backoff.cap:
            return StopReason.PUSHBACK
        # Whoever was told the same second must not come back in the same second: a tenth of it at random.
        return max(hint, wait) + call.clock.random() * 0.1 * hint

    # -- telling -----------------------------------------------------------------------------------------------------

    def _failed(self, call: Call, tried: list[ErrorCategory], error: Exception) -> AttemptFailed:
        from resilience.events import AttemptFailed

        return AttemptFailed(target=call.target, policy="retry", attempt=len(tried), category=tried[-1], error=error)

    def _scheduled(
        self, call: Call, tried: list[ErrorCategory], wait: float, error: Exception | None
    ) -> RetryScheduled:
        from resilience.events import RetryScheduled

        return RetryScheduled(
            target=call.target, policy="retry", attempt=len(tried), category=tried[-1], wait=wait, error=error
        )

    def _exhausted(
        self, call: Call, tried: list[ErrorCategory], reason: StopReason, error: Exception | None
    ) -> RetriesExhausted:
        from resilience.events import RetriesExhausted

        return RetriesExhausted(
            target=call.target,
            policy="retry",
            attempts=len(tried),
            category=tried[-1],
            reason=reason.value,
            error=error,
        )

    def __str__(self) -> str:
        on = ErrorCategory.TRANSIENT if self.on is None else self.on
        parts = [on.label, f"attempts={'unlimited' if self.attempts is None else self.attempts}"]
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
    waited = f", {slept:.3g} s waited in between" if len(tried) > 1 else ""
    with contextlib.suppress(Exception):  # __notes__ of the user's own making must not hide the error
        notes: list[str] = getattr(error, "__notes__", [])
        notes[:] = [old for old in notes if not old.startswith(opening)]
        error.add_note(
            f"{opening}failed {len(tried)} time{plural} ({', '.join(shown)}){waited}; stopped: {reason.value}"
        )
