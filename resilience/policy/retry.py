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
from resilience.profile import Profile, row_of
from resilience.subscription import listened

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.events import AttemptFailed, RetriesExhausted, RetryScheduled
    from resilience.policy.strategies import Strategies

__all__ = ["Retry", "StopReason"]

_NEVER = ErrorCategory.CANCELLED.value
_SHOWN = 5  # categories in a note
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

    on: ErrorCategory | None
    attempts: int | None
    backoff: Backoff
    strategies: Strategies | None
    on_retry: Callable[..., object] | None
    profiles: Mapping[int, Profile]

    #: The bits of what is not retried: quicker to look at than a Flag.
    _not: int = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        on = ErrorCategory.TRANSIENT if self.on is None else combine("on", [self.on])
        object.__setattr__(self, "_not", ~on.value | _NEVER)
        if not on.value & ~_NEVER:
            raise ValueError("on='cancelled': a cancelled call is never retried; name another category")
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
        tries = _Tries()
        while True:
            outcome = yield CALL
            error = outcome.error
            if error is None and not judges_results:
                return outcome
            category = category_of(outcome)
            wanted = error is not None and self._wants(error, category)
            if not wanted and not tries.made and strategies is None and not listened():
                return outcome
            tries.add(category)
            if error is not None and listened():
                yield Emit(self._failed(call, tries, error))
            if strategies is None or state is None:
                decision = self._decide(call, error, wanted, tries)
            else:
                strategies.record(state, call, outcome, tries.made)
                decision = yield from self._decide_by(strategies, state, call, error, wanted, tries)
                state.idle_for += decision if isinstance(decision, float) else 0.0
            if isinstance(decision, StopReason):
                if error is not None and (tries.made > 1 or decision is StopReason.PUSHBACK):
                    tries.annotate(error, call.target, decision)
                if decision is not StopReason.NOT_RETRYABLE and listened():
                    yield Emit(self._exhausted(call, tries, decision, error))
                return outcome
            if self.on_retry is not None or listened():
                event = self._scheduled(call, tries, decision, error)
                yield Emit(event)
                if self.on_retry is not None:
                    yield Invoke(self.on_retry, event, role="on_retry callback")
            yield Sleep(decision)
            tries.waited(decision)

    # -- deciding: how long to wait before the next attempt, or why there is none ------------------------------------

    def _decide(self, call: Call, error: Exception | None, wanted: bool, tries: _Tries) -> StopReason | float:
        if error is None or not wanted:
            return StopReason.NOT_RETRYABLE
        if self.attempts is not None and tries.made >= self.attempts:
            return StopReason.ATTEMPTS
        return self._heeding(error, self._backoff(call, tries), call)

    def _decide_by(
        self,
        strategies: Strategies,
        state: RetryCallState,
        call: Call,
        error: Exception | None,
        wanted: bool,
        tries: _Tries,
    ) -> Generator[Effect, Outcome, StopReason | float]:
        """Decide as `_decide` does, asking tenacity's strategies in the order predicate, wait, stop."""
        if not wanted and strategies.retry_if is not None and tries.category.value != _NEVER:
            wanted = bool((yield Invoke(strategies.retry_if, state, role="retry_if strategy")).value)
        if not wanted:
            return StopReason.NOT_RETRYABLE
        if self.attempts is not None and tries.made >= self.attempts:
            return StopReason.ATTEMPTS
        if strategies.wait is None:
            wait = self._backoff(call, tries)
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

    def _backoff(self, call: Call, tries: _Tries) -> float:
        base = self._row(tries.category).base
        return self.backoff.delay(
            tries.made - 1, _FIRST_WAIT if base is None else base, tries.last_wait, call.clock.random()
        )

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

    def _failed(self, call: Call, tries: _Tries, error: Exception) -> AttemptFailed:
        from resilience.events import AttemptFailed

        return AttemptFailed(
            target=call.target, policy="retry", attempt=tries.made, category=tries.category, error=error
        )

    def _scheduled(self, call: Call, tries: _Tries, wait: float, error: Exception | None) -> RetryScheduled:
        from resilience.events import RetryScheduled

        return RetryScheduled(
            target=call.target, policy="retry", attempt=tries.made, category=tries.category, wait=wait, error=error
        )

    def _exhausted(self, call: Call, tries: _Tries, reason: StopReason, error: Exception | None) -> RetriesExhausted:
        from resilience.events import RetriesExhausted

        return RetriesExhausted(
            target=call.target,
            policy="retry",
            attempts=tries.made,
            category=tries.category,
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


class _Tries:
    """What one call's attempts came to so far. Of constant size: some calls are tried for days."""

    __slots__ = ("category", "last_wait", "made", "recent", "slept")

    def __init__(self) -> None:
        self.made = 0
        self.category = ErrorCategory.UNKNOWN
        self.recent: list[ErrorCategory] = []
        self.last_wait = self.slept = 0.0

    def add(self, category: ErrorCategory) -> None:
        self.made += 1
        self.category = category
        self.recent.append(category)
        if self.made > _SHOWN:
            del self.recent[0]

    def waited(self, seconds: float) -> None:
        self.last_wait = seconds
        self.slept += seconds

    def annotate(self, error: Exception, target: str, reason: StopReason) -> None:
        """Add what was tried to *error*, for whoever reads its traceback; once, however often it is raised."""
        opening = f"resilience: {target} "
        shown = ["..."] * (self.made > _SHOWN) + [category.label for category in self.recent]
        times = "1 time" if self.made == 1 else f"{self.made} times"
        waited = f", {self.slept:.3g} s waited in between" if self.made > 1 else ""
        with contextlib.suppress(Exception):  # __notes__ of the user's own making must not hide the error
            notes: list[str] = getattr(error, "__notes__", [])
            notes[:] = [old for old in notes if not old.startswith(opening)]
            error.add_note(f"{opening}failed {times} ({', '.join(shown)}){waited}; stopped: {reason.value}")
