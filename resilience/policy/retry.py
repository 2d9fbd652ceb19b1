"""Call again when the failure is worth another try."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import categories_of, category_of
from resilience.classify.hint import retry_after
from resilience.outcome import Outcome
from resilience.policy.backoff import Backoff
from resilience.policy.base import Call, Emit, Invoke, Policy, Steps
from resilience.profile import Profile, Reading, row_of
from resilience.subscription import listened

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from resilience.events import AttemptFailed, RetriesExhausted, RetryScheduled
    from resilience.policy.strategies import Strategies

__all__ = ["Retry", "StopReason"]

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

    #: The first wait of each category that is retried, None for the others.
    _bases: Reading[float | None] = dataclasses.field(init=False, repr=False)
    _judges_results: bool = dataclasses.field(init=False, repr=False)
    #: Whether somebody is to be asked or told of every attempt.
    _slow: bool = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        on = ErrorCategory.TRANSIENT if self.on is None else combine("on", [self.on])
        object.__setattr__(self, "_bases", Reading(self._read, self.profiles))
        judges = self.strategies is not None and self.strategies.retry_if is not None
        object.__setattr__(self, "_judges_results", judges)
        object.__setattr__(self, "_slow", self.strategies is not None or self.on_retry is not None)
        if on is ErrorCategory.CANCELLED:
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

    def before(self, call: Call, at: int) -> None:
        if self.strategies is None:
            call.held.pop(at, None)  # of a run before, when a policy outside runs this one again
        else:  # tenacity measures from the start
            call.held[at] = _Tries(self.strategies.begin(call, self))

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | float | Steps[Outcome | float]:
        error = outcome.error
        if error is None and not self._judges_results:
            return outcome
        category = category_of(outcome)
        base = None if error is None else self._bases[category._value_]
        if base is not None and isinstance(error, BaseExceptionGroup) and not self._wants_all(error):
            base = None
        tries: _Tries | None = call.held.get(at)  # type: ignore[assignment]  # what we put there
        if tries is None:
            if base is None and not listened():
                return outcome
            tries = call.held[at] = _Tries()
        tries.made += 1
        tries.recent.append(category)
        if tries.made > _SHOWN:
            del tries.recent[0]
        if self._slow or listened():
            return self._deliberate(call, outcome, base, tries)
        decision = self._decide(call, error, base, tries)
        if isinstance(decision, StopReason):
            self._annotate(call, error, tries, decision)
            return outcome
        tries.last_wait = decision
        tries.slept += decision
        return decision

    def _deliberate(self, call: Call, outcome: Outcome, base: float | None, tries: _Tries) -> Steps[Outcome | float]:
        """Do what `after` does where somebody is to be asked or told."""
        error = outcome.error
        if error is not None and listened():
            yield Emit(self._failed(call, tries, error))
        if tries.state is None:
            decision = self._decide(call, error, base, tries)
        else:
            decision = yield from self._decide_by(tries.state, call, outcome, base, tries)
        if isinstance(decision, StopReason):
            self._annotate(call, error, tries, decision)
            if decision is not StopReason.NOT_RETRYABLE and listened():
                yield Emit(self._exhausted(call, tries, decision, error))
            return outcome
        if self.on_retry is not None or listened():
            event = self._scheduled(call, tries, decision, error)
            yield Emit(event)
            if self.on_retry is not None:
                yield Invoke(self.on_retry, event, role="on_retry callback")
        tries.last_wait = decision
        tries.slept += decision
        if tries.state is not None:
            tries.state.idle_for += decision
        return decision

    def _annotate(self, call: Call, error: Exception | None, tries: _Tries, reason: StopReason) -> None:
        if error is not None and (tries.made > 1 or reason is StopReason.PUSHBACK):
            tries.annotate(error, call.target, reason)

    # -- deciding: how long to wait before the next attempt, or why there is none ------------------------------------

    def _decide(
        self, call: Call, error: Exception | None, base: float | None, tries: _Tries, wait: float | None = None
    ) -> StopReason | float:
        """Decide after a failure whose category begins to wait with *base*; None is one that is not retried.

        *wait* is what a strategy says; without it backoff does.
        """
        if base is None:
            return StopReason.NOT_RETRYABLE
        made = tries.made
        if self.attempts is not None and made >= self.attempts:
            return StopReason.ATTEMPTS
        if wait is None:
            wait = self.backoff.delay(made - 1, base, tries.last_wait, call.clock.random())
        hint = None if error is None else retry_after(error)
        if hint is None:
            return wait
        if hint > self.backoff.cap:
            return StopReason.PUSHBACK
        # Wait as long as the other side asks for, where that is longer. Whoever was told the same second must not
        # come back in the same second: a tenth of it at random.
        return max(hint, wait) + call.clock.random() * 0.1 * hint

    def _decide_by(
        self, state: RetryCallState, call: Call, outcome: Outcome, base: float | None, tries: _Tries
    ) -> Steps[StopReason | float]:
        """Decide as `_decide` does, asking tenacity's strategies in the order predicate, wait, stop."""
        strategies, category = self.strategies, tries.recent[-1]
        assert strategies is not None
        strategies.record(state, call, outcome, tries.made)
        if base is None and strategies.retry_if is not None and category is not ErrorCategory.CANCELLED:
            answer = yield Invoke(strategies.retry_if, state, role="retry_if strategy")
            if answer.value:
                base = self._base(self.profiles.get(category.value) or row_of(category))
        wait: float | None = None
        if base is not None and strategies.wait is not None and (self.attempts is None or tries.made < self.attempts):
            given = (yield Invoke(strategies.wait, state, role="wait strategy")).value
            if not isinstance(given, int | float) or not 0 <= given < math.inf:
                return StopReason.STRATEGY_FAILED
            wait = float(given)
        decision = self._decide(call, outcome.error, base, tries, wait)
        if not isinstance(decision, StopReason) and strategies.stop is not None:
            state.upcoming_sleep = decision
            answer = yield Invoke(strategies.stop, state, role="stop strategy")
            if answer.error is not None:  # a stop that cannot be asked must not become a loop without end
                return StopReason.STRATEGY_FAILED
            if answer.value:
                return StopReason.STOPPED
        return decision

    def _wants_all(self, group: Exception) -> bool:
        # Every member must be one to retry; the group's own category is that of one of them.
        return all(self._bases[leaf.value] is not None for leaf in categories_of(group))

    def _read(self, row: Profile) -> float | None:
        """Return the first wait of a category that is retried, None of one that is not."""
        wanted = row.retry if self.on is None else row.category in self.on
        return self._base(row) if wanted and row.category is not ErrorCategory.CANCELLED else None

    def _base(self, row: Profile) -> float:
        return _FIRST_WAIT if row.base is None else float(row.base)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _failed(self, call: Call, tries: _Tries, error: Exception) -> AttemptFailed:
        from resilience.events import AttemptFailed

        return AttemptFailed(
            target=call.target, policy="retry", attempt=tries.made, category=tries.recent[-1], error=error
        )

    def _scheduled(self, call: Call, tries: _Tries, wait: float, error: Exception | None) -> RetryScheduled:
        from resilience.events import RetryScheduled

        return RetryScheduled(
            target=call.target, policy="retry", attempt=tries.made, category=tries.recent[-1], wait=wait, error=error
        )

    def _exhausted(self, call: Call, tries: _Tries, reason: StopReason, error: Exception | None) -> RetriesExhausted:
        from resilience.events import RetriesExhausted

        return RetriesExhausted(
            target=call.target,
            policy="retry",
            attempts=tries.made,
            category=tries.recent[-1],
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

    __slots__ = ("last_wait", "made", "recent", "slept", "state")

    def __init__(self, state: RetryCallState | None = None) -> None:
        #: What tenacity's strategies are asked with, where there are any.
        self.state = state
        self.made = 0
        #: The categories of the last failures.
        self.recent: list[ErrorCategory] = []
        self.last_wait = self.slept = 0.0

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
