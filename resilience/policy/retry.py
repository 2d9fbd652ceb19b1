"""Call again when the failure is worth another try."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from resilience.category import ErrorCategory, combine
from resilience.classify.decide import categories_of, category_of
from resilience.classify.hint import retry_after
from resilience.errors.base import RetriesExhaustedError
from resilience.outcome import Outcome
from resilience.policy.backoff import Backoff
from resilience.policy.base import Call, Emit, Invoke, Policy, Steps
from resilience.policy.give_ups import GIVE_UPS
from resilience.policy.history import CallReport, History, attach, exhausted_inside, remember
from resilience.policy.revision import REVISED, Reviser, look_of
from resilience.policy.stop import StopReason
from resilience.policy.telling import exhausted, failed, scheduled
from resilience.profile import Profile, Reading
from resilience.subscription import listened

if TYPE_CHECKING:
    from resilience.policy.budget import RetryBudget
    from resilience.policy.idempotency import Idempotency
    from resilience.policy.strategies import Strategies
    from resilience.policy.worst import WorstCase

__all__ = ["Retry"]

_FIRST_WAIT = 0.1  # for a category that is not retried by default and so has no base of its own

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_UNKNOWN, _REJECTED, _CANCELLED = ErrorCategory.UNKNOWN, ErrorCategory.REJECTED, ErrorCategory.CANCELLED
_NOT_RETRYABLE, _ATTEMPTS, _NESTED = StopReason.NOT_RETRYABLE, StopReason.ATTEMPTS, StopReason.NESTED
_UNREMARKABLE = (_NOT_RETRYABLE, _ATTEMPTS, StopReason.COMMITTED)  # of a first attempt: needs no note
_UNTOLD = (_NOT_RETRYABLE, StopReason.COMMITTED)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Retry(Policy):
    """Retry failures whose category is in *on*, at most *attempts* calls in all (None: no limit).

    Without *on* the table decides: the categories whose row says ``retry``, which are TRANSIENT as shipped. Where a
    parameter goes by category, its keys are the bits of leaves.
    """

    on: ErrorCategory | None = None
    attempts: int | None = 3
    #: How many failures of a category there may be.
    most: Mapping[int, int] = dataclasses.field(default_factory=dict[int, int])
    backoff: Backoff = dataclasses.field(default_factory=Backoff)
    backoffs: Mapping[int, Backoff] = dataclasses.field(default_factory=dict[int, Backoff])
    strategies: Strategies | None = None
    budget: RetryBudget | None = None
    #: Whether a call may happen twice; None: any.
    idempotency: Idempotency | None = None
    #: Whether a failure is retried that a retry further in has given up on.
    retry_exhausted: bool = False
    #: Seconds: with fewer left no attempt begins.
    min_attempt_time: float = 0.0
    #: How many failures in a row may look the same; None: any number.
    no_progress: int | None = None
    reviser: Reviser | None = None
    retry_if_result: Callable[[Any], object] | None = None
    on_retry: Callable[..., object] | None = None
    on_success: Callable[[CallReport], object] | None = None
    wraps: bool = False
    profiles: Mapping[int, Profile] = dataclasses.field(default_factory=dict[int, Profile])

    #: The first wait of each category that is retried, None for the others.
    _bases: Reading[float | None] = dataclasses.field(init=False, repr=False)
    _rows: Reading[Profile] = dataclasses.field(init=False, repr=False)
    _judges_results: bool = dataclasses.field(init=False, repr=False)
    #: Whether somebody is to be asked or told of every failure.
    _slow: bool = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        on = ErrorCategory.TRANSIENT if self.on is None else combine("on", [self.on])
        if on is _CANCELLED:
            raise ValueError("on='cancelled': a cancelled call is never retried; name another category")
        asks = self.retry_if_result is not None or (
            self.strategies is not None and self.strategies.retry_if is not None
        )
        slow = asks or self.strategies is not None or self.on_retry is not None or self.on_success is not None
        slow = slow or self.no_progress is not None or self.reviser is not None
        object.__setattr__(self, "_bases", Reading(self._read, self.profiles))
        object.__setattr__(self, "_rows", Reading(_itself, self.profiles))
        object.__setattr__(self, "_judges_results", asks)
        object.__setattr__(self, "_slow", slow)

    @property
    def plain(self) -> bool:  # type: ignore[override]  # strategies judge results and measure from the start
        return self.strategies is None and self.retry_if_result is None and self.on_success is None

    dated = True

    @property
    def streams(self) -> bool:  # type: ignore[override]  # what a stream comes to is known when it is handed out
        return self.retry_if_result is None

    @property
    def tally(self) -> RetryBudget | None:  # type: ignore[override]
        return self.budget

    def hooks(self) -> Mapping[str, Callable[..., object]]:
        names = ("on_retry", "on_success", "retry_if_result")
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.reviser is not None:
            given["revise"] = self.reviser.callback
        if self.strategies is not None:
            given |= self.strategies.hooks()
        return {name: hook for name, hook in given.items() if hook is not None}

    # -- the call ----------------------------------------------------------------------------------------------------

    def before(self, call: Call, at: int) -> None:
        began = call.clock.now()
        call.since = GIVE_UPS.count
        # Else nothing is kept but the time, and nothing of a run before. Tenacity measures from the start.
        strategies = self.strategies
        call.held[at] = (
            began if strategies is None else History(call.target, began, call.since, strategies.begin(call, self))
        )

    def after(self, call: Call, at: int, outcome: Outcome) -> Outcome | float | Steps[Outcome | float]:
        error = outcome.error
        kept: Any = call.held.get(at)
        if error is None and not self._judges_results:
            return self._content(call, outcome, kept)
        category = category_of(outcome)
        base = None if error is None else self._bases[category._value_]
        if base is not None and isinstance(error, BaseExceptionGroup) and not self._wants_all(error):
            base = None
        if kept.__class__ is not History:
            if base is None and category is _REJECTED and not self._slow and not listened():
                return outcome  # nothing was tried, nothing is to be said: this is what an open circuit costs
            kept = call.held[at] = History(call.target, kept, call.since)
        if self._slow or listened():
            return self._deliberate(call, outcome, category, base, kept)
        kept.failed(category, error, call.clock.now())
        decision = self._decide(call, error, category, base, kept)
        if self.budget is None and not isinstance(decision, StopReason):
            kept.last_wait = decision
            kept.slept += decision
            kept.since = GIVE_UPS.count
            return decision
        return self._settle(call, outcome, kept, decision)

    def resumed(self, call: Call, at: int) -> None:
        history: Any = call.held[at]
        history.began = call.clock.now()
        history.since = GIVE_UPS.count

    def release(self, call: Call, at: int) -> None:
        history = call.held.pop(at, None)
        if isinstance(history, History) and history.made:
            self._finish(call, history)
            remember(CallReport(history, StopReason.CANCELLED))

    def _content(self, call: Call, outcome: Outcome, kept: Any) -> Outcome | Steps[Outcome]:
        """Take a success for what it is."""
        if kept.__class__ is History and kept.made:
            self._finish(call, kept)
            if self.budget is not None:
                self.budget.refund(kept.paid)
            remember(kept)
        elif self.budget is not None:
            self.budget.passes += 1
        return outcome if self.on_success is None else self._told_success(self.on_success, call, outcome, kept)

    @staticmethod
    def _finish(call: Call, history: History) -> None:
        """Keep nothing of the call alive by its report, and leave to those outside what they gave in."""
        history.state = None
        if history.given is not None:
            call.arguments, call.keywords = history.given
            history.given = None

    def _told_success(
        self, on_success: Callable[[CallReport], object], call: Call, outcome: Outcome, kept: Any
    ) -> Steps[Outcome]:
        history = kept if kept.__class__ is History else History(call.target, kept)
        yield Invoke(on_success, CallReport(history, StopReason.SUCCESS), role="on_success callback")
        return outcome

    def _settle(self, call: Call, outcome: Outcome, history: History, decision: StopReason | float) -> Outcome | float:
        """Pay for the next attempt and have it waited for, or end here."""
        if not isinstance(decision, StopReason):
            budget = self.budget
            paid: float | None = 0.0
            if budget is not None:
                paid = budget.spend(self._rows[history.recent[-1][0]._value_].cost, call.clock.now())
            if paid is not None:
                history.paid = paid
                history.last_wait = decision
                history.slept += decision
                history.since = GIVE_UPS.count
                return decision
            decision = StopReason.BUDGET
        return self._ended(call, outcome, history, decision)

    def _ended(self, call: Call, outcome: Outcome, history: History, reason: StopReason) -> Outcome:
        error = outcome.error
        self._finish(call, history)
        inner = None
        if reason is _NESTED and error is not None:
            inner = exhausted_inside(error, history.since)
            if history.made == 1 and not self.wraps:  # what the retry further in has to say is all there is to say
                return outcome
        report = CallReport(
            history,
            reason,
            circuits=tuple(
                status for depth, policy in enumerate(call.stack) if (status := policy.status(call, depth)) is not None
            ),
            time_left=None if call.due == math.inf else max(0.0, call.due - call.clock.now()),
            inner=inner,
        )
        remember(report)
        if error is not None and (inner is None or history.made > 1):
            attach(error, report, noted=history.made > 1 or reason not in _UNREMARKABLE)
        if not self.wraps or not reason.gave_up:
            return outcome
        wrapped = RetriesExhaustedError(
            call.target, history.made, reason.value, None if error is None else retry_after(error)
        )
        wrapped.__cause__ = error
        attach(wrapped, report, noted=False)
        return Outcome(None, wrapped)

    # -- deciding: how long to wait before the next attempt, or why there is none ------------------------------------

    def _decide(
        self,
        call: Call,
        error: Exception | None,
        category: ErrorCategory,
        base: float | None,
        history: History,
        wait: float | None = None,
    ) -> StopReason | float:
        """Decide after a failure whose category begins to wait with *base*; None is one that is not retried.

        *wait* is what a strategy says; without it backoff does.
        """
        if base is None:
            return _NOT_RETRYABLE
        if call.committed:
            return StopReason.COMMITTED
        # Somebody gave up on something since the attempt began. On this?
        if history.since != GIVE_UPS.count and not self.retry_exhausted and error is not None:
            inside = exhausted_inside(error, history.since)
            if inside is not None:
                return _NESTED
        bit = category._value_
        if self.idempotency is not None and not self._may_happen_twice(self.idempotency, call, error, bit):
            return StopReason.NOT_IDEMPOTENT
        made = history.made - history.revisions
        if self.attempts is not None and made >= self.attempts:
            return _ATTEMPTS
        if self.most and bit in self.most:
            kinds = history.kinds = history.kinds or {}
            kinds[bit] = kinds.get(bit, 0) + 1
            if kinds[bit] >= self.most[bit]:
                return _ATTEMPTS
        if self.no_progress is not None and history.alike >= self.no_progress:
            return StopReason.NO_PROGRESS
        backoff = self.backoffs.get(bit, self.backoff) if self.backoffs else self.backoff
        if wait is None:
            wait = backoff.delay(made - 1, base, history.last_wait, call.clock.random())
        hint = None if error is None else retry_after(error)
        if hint is not None:
            if hint > backoff.cap:
                return StopReason.PUSHBACK
            # As long as the other side asks for, where that is longer. Whoever was told the same second must not come
            # back in the same second: a tenth of it at random.
            wait = max(hint, wait) + call.clock.random() * 0.1 * hint
        # Not `due - now`, which is NaN for a deadline of its own making: where none is set, due is infinite.
        if history.began is not None and history.began + wait + self.min_attempt_time >= call.due:
            return StopReason.DEADLINE
        return wait

    def _may_happen_twice(self, idempotency: Idempotency, call: Call, error: Exception | None, bit: int) -> bool:
        from resilience.policy.idempotency import may_be_sent_again

        if error is not None and may_be_sent_again(self._rows[bit], error, lambda leaf: self._rows[leaf._value_]):
            return True
        return idempotency.allows(call)

    # -- deciding where somebody is to be asked or told --------------------------------------------------------------

    def _deliberate(
        self, call: Call, outcome: Outcome, category: ErrorCategory, base: float | None, history: History
    ) -> Steps[Outcome | float]:
        """Do what `after` does where somebody is to be asked or told."""
        error = outcome.error
        state, strategies = history.state, self.strategies
        if state is not None and strategies is not None:
            strategies.record(state, call, outcome, history.made + 1)
            if base is None and strategies.retry_if is not None and category is not _CANCELLED:
                answer = yield Invoke(strategies.retry_if, state, role="retry_if strategy")
                base = self._base(self._rows[category._value_]) if answer.value else None
        if error is None and base is None and self.retry_if_result is not None:
            answer = yield Invoke(self.retry_if_result, outcome.value, role="retry_if_result")
            base = _FIRST_WAIT if answer.value else None
        if error is None and base is None:
            content = self._content(call, outcome, history)
            return content if isinstance(content, Outcome) else (yield from content)
        history.failed(category, error, call.clock.now())
        if self.no_progress is not None:
            look = look_of(category, error)
            history.alike = history.alike + 1 if look == history.last_look else 1
            history.last_look = look
        if error is not None and listened():
            yield Emit(failed(history, error))
        if self.reviser is not None and error is not None and category in REVISED:
            reason = self._stuck(call, history) or (yield from self.reviser.revise(call, error, history))
            if reason is None:
                return 0.0
            decision: StopReason | float = reason
        else:
            decision = yield from self._consult(call, error, category, base, history)
        settled = self._settle(call, outcome, history, decision)
        if not isinstance(settled, Outcome):
            if state is not None:
                state.idle_for += settled
            if self.on_retry is not None or listened():
                told = scheduled(history, settled, error)
                if listened():
                    yield Emit(told)
                if self.on_retry is not None:
                    yield Invoke(self.on_retry, told, role="on_retry callback")
        elif listened():
            # The budget has its say after the others.
            reason = decision if isinstance(decision, StopReason) else StopReason.BUDGET
            if reason not in _UNTOLD and not (reason is _NESTED and history.made == 1):
                yield Emit(exhausted(history, reason, error))
        return settled

    def _consult(
        self, call: Call, error: Exception | None, category: ErrorCategory, base: float | None, history: History
    ) -> Steps[StopReason | float]:
        """Decide as `_decide` does, asking the strategies in the order wait, stop."""
        state, strategies = history.state, self.strategies
        if state is None or strategies is None:
            return self._decide(call, error, category, base, history)
        wait: float | None = None
        strategy = strategies.wait_for(category._value_, category._value_ in self.backoffs)
        left = self.attempts is None or history.made - history.revisions < self.attempts
        if base is not None and strategy is not None and left:
            wait = strategies.a_wait(strategy, (yield Invoke(strategy, state, role="wait strategy")))
            if wait is None:
                return StopReason.STRATEGY_FAILED
        decision = self._decide(call, error, category, base, history, wait)
        if not isinstance(decision, StopReason) and strategies.stop is not None:
            state.upcoming_sleep = decision
            answer = yield Invoke(strategies.stop, state, role="stop strategy")
            if answer.error is not None:  # a stop that cannot be asked must not become a loop without end
                return StopReason.STRATEGY_FAILED
            if answer.value:
                return StopReason.STOPPED
        return decision

    def _stuck(self, call: Call, history: History) -> StopReason | None:
        """Say why there is no use in a revision."""
        if call.committed:
            return StopReason.COMMITTED
        if self.no_progress is not None and history.alike >= self.no_progress:
            return StopReason.NO_PROGRESS
        return StopReason.DEADLINE if call.clock.now() + self.min_attempt_time >= call.due else None

    def worst(self, inside: WorstCase) -> WorstCase:
        from resilience.policy.worst import longest_waits

        retried = [leaf for leaf in ErrorCategory if self._bases[leaf._value_] is not None]
        bits = sum(leaf._value_ for leaf in retried)
        # What has been given up further in is not tried again: then these attempts are not multiplied by those.
        again = self.retry_exhausted or bool(bits & ~inside.retried) or self._judges_results
        attempts = (math.inf if self.attempts is None else self.attempts) if again else 1
        attempts += 0 if self.reviser is None else self.reviser.most
        retries = attempts - 1
        waits = max(
            (
                longest_waits(self.backoffs.get(leaf._value_, self.backoff), self._bases[leaf._value_] or 0.0, retries)
                for leaf in retried
            ),
            default=0.0,
        )
        if retries and self.strategies is not None and (self.strategies.wait is not None or self.strategies.waits):
            waits = math.inf  # who knows
        caps = [self.backoff.cap, *(backoff.cap for backoff in self.backoffs.values())]
        return inside._replace(
            calls=attempts * inside.calls,
            waits=waits + (attempts * inside.waits if inside.waits else 0.0),  # infinity times 0 is no number
            seconds=attempts * inside.seconds + waits,
            hint=max(inside.hint, 1.1 * max(caps)) if retries else inside.hint,
            retried=inside.retried | bits,
        )

    # -- reading the table -------------------------------------------------------------------------------------------

    def _wants_all(self, group: Exception) -> bool:
        # Every member must be one to retry; the group's own category is that of one of them.
        return all(self._bases[leaf.value] is not None for leaf in categories_of(group))

    def _read(self, row: Profile) -> float | None:
        """Return the first wait of a category that is retried, None of one that is not."""
        wanted = row.retry if self.on is None else row.category in self.on
        return self._base(row) if wanted and row.category is not _CANCELLED else None

    def _base(self, row: Profile) -> float:
        return _FIRST_WAIT if row.base is None else float(row.base)

    def __str__(self) -> str:
        on = ErrorCategory.TRANSIENT if self.on is None else self.on
        parts = [on.label, f"attempts={'unlimited' if self.attempts is None else self.attempts}"]
        if self.strategies is None or self.strategies.wait is None:
            base = "by category" if self.backoff.base_delay is None else f"{self.backoff.base_delay:g}"
            parts += [f"base_delay={base}", f"max_delay={self.backoff.cap:g}", f"jitter={self.backoff.jitter}"]
        if self.strategies is not None:
            names = {name: getattr(self.strategies, name) for name in ("wait", "stop", "retry_if")}
            parts += [f"{name}={type(given).__name__}" for name, given in names.items() if given is not None]
        if self.most:
            parts.append(
                f"max_attempts={{{', '.join(f'{ErrorCategory(bit)}: {most}' for bit, most in self.most.items())}}}"
            )
        if self.budget is not None:
            parts.append(f"budget={self.budget.name or 'unnamed'}")
        if self.idempotency is not None:
            parts.append(f"idempotent={self.idempotency}")
        if self.reviser is not None:
            parts.append(f"max_revisions={self.reviser.most}")
        if self.no_progress is not None:
            parts.append(f"no_progress={self.no_progress}")
        if self.min_attempt_time:
            parts.append(f"min_attempt_time={self.min_attempt_time:g}")
        if self.retry_exhausted:
            parts.append("retry_exhausted=True")
        if self.wraps:
            parts.append("on_exhausted=wrap")
        return f"retry_on_category({', '.join(parts)})"


def _itself(row: Profile) -> Profile:
    return row
