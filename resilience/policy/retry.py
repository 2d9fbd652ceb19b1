"""Call again when the failure is worth another try."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from resilience.category import ErrorCategory
from resilience.classify.decide import category_of
from resilience.classify.hint import retry_after, retry_after_of_result
from resilience.classify.structure import category_of_result
from resilience.errors.base import RetriesExhaustedError
from resilience.outcome import Outcome
from resilience.policy.again import FIRST_WAIT, Again, base_of
from resilience.policy.base import Call, Emit, Invoke, Policy, Steps
from resilience.policy.give_ups import GIVE_UPS
from resilience.policy.history import CallReport, History, attach, remember
from resilience.policy.nested import exhausted_inside
from resilience.policy.revision import look_of
from resilience.policy.stop import StopReason
from resilience.policy.telling import exhausted, failed, scheduled
from resilience.subscription import listened

if TYPE_CHECKING:
    from resilience.policy.budget import RetryBudget
    from resilience.policy.revision import Reviser

__all__ = ["Retry"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_REJECTED, _CANCELLED, _UNKNOWN = ErrorCategory.REJECTED, ErrorCategory.CANCELLED, ErrorCategory.UNKNOWN
_NOT_RETRYABLE, _ATTEMPTS, _NESTED = StopReason.NOT_RETRYABLE, StopReason.ATTEMPTS, StopReason.NESTED
_UNREMARKABLE = (_NOT_RETRYABLE, _ATTEMPTS, StopReason.COMMITTED)  # of a first attempt: needs no note
_UNTOLD = (_NOT_RETRYABLE, StopReason.COMMITTED)


class Retry(Again, Policy):
    """Retry failures by what `Again` says: this is how calls go through it, who is asked, told and paid."""

    @property
    def fast_path(self) -> bool:  # type: ignore[override]  # strategies judge results and measure from the start
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
        if error is None and not self.judges_results:
            return self._content(call, outcome, kept)
        category = category_of(outcome)
        base = None if error is None else self.bases[category._value_]
        if isinstance(error, BaseExceptionGroup) and not self.wants_all(error):
            base = None
        if kept.__class__ is not History:
            if base is None and category is _REJECTED and not self.slow and not listened():
                return outcome  # nothing was tried, nothing is to be said: this is what an open circuit costs
            kept = call.held[at] = History(call.target, kept, call.since)
        if self.slow or listened():
            return self._deliberate(call, outcome, category, base, kept)
        kept.failed(category, error, call.clock.now())
        decision = self.decide(call, error, category, base, kept)
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
        history.unmade = False

    def release(self, call: Call, at: int) -> None:
        history = call.held.pop(at, None)
        if isinstance(history, History) and history.made:
            self._finish(call, history)
            if self.budget is not None and history.unmade:  # cancelled while it waited: that retry is not made
                self.budget.refund(history.paid)
            remember(CallReport(history, StopReason.CANCELLED))

    def _content(self, call: Call, outcome: Outcome, kept: Any) -> Outcome | Steps[Outcome]:
        """Take a success for what it is."""
        if kept.__class__ is History and kept.made:
            if self.slow:  # else there is nothing to put away
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
                paid = budget.spend(self.cost(history.recent[-1][0]), call.clock.now())
            if paid is not None:
                history.paid = paid
                history.unmade = decision > 0
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
        hint = retry_after_of_result(outcome.value) if error is None else retry_after(error)
        wrapped = RetriesExhaustedError(call.target, history.made, reason.value, hint)
        wrapped.__cause__ = error
        attach(wrapped, report, noted=False)
        return Outcome(None, wrapped)

    # -- deciding where somebody is to be asked or told --------------------------------------------------------------

    def _deliberate(
        self, call: Call, outcome: Outcome, category: ErrorCategory, base: float | None, history: History
    ) -> Steps[Outcome | float]:
        """Do what `after` does where somebody is to be asked or told."""
        error = outcome.error
        state: Any = history.state  # there is one where there are strategies
        strategies = self.strategies
        if strategies is not None:
            strategies.record(state, call, outcome, history.made + 1)
            if base is None and strategies.retry_if is not None and category is not _CANCELLED:
                answer = yield Invoke(strategies.retry_if, state, role="retry_if strategy")
                if answer.value:
                    category = category if error is not None else category_of_result(outcome.value)
                    base = base_of(self.rows[category._value_])
        if error is None and base is None and self.retry_if_result is not None:
            answer = yield Invoke(self.retry_if_result, outcome.value, role="retry_if_result")
            if answer.value:
                category = category_of_result(outcome.value)
                base = FIRST_WAIT if category is _UNKNOWN else base_of(self.rows[category._value_])
        if error is None and base is None:
            content = self._content(call, outcome, history)
            return content if isinstance(content, Outcome) else (yield from content)
        history.failed(category, error, call.clock.now())
        if self.no_progress is not None or self.reviser is not None:
            look = look_of(category, error)
            history.alike = history.alike + 1 if look == history.last_look else 1
            history.last_look = look
        if error is not None and listened():
            yield Emit(failed(history, error))
        if self.reviser is not None and error is not None and category in self.reviser.on:
            reason = self._stuck(self.reviser, call, history)
            if reason is None:
                reason = yield from self.reviser.revise(call, error, history, self.min_attempt_time)
            if reason is None:
                return 0.0
            decision: StopReason | float = reason
        else:
            decision = yield from self._consult(call, outcome, category, base, history)
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
                    if self.is_too_late(call, settled):  # to be told may have taken its time
                        if self.budget is not None:
                            self.budget.refund(history.paid)
                        history.slept -= settled
                        settled = self._ended(call, outcome, history, StopReason.DEADLINE)
                        if listened():
                            yield Emit(exhausted(history, StopReason.DEADLINE, error))
        elif listened():
            # The budget has its say after the others.
            reason = decision if isinstance(decision, StopReason) else StopReason.BUDGET
            if reason not in _UNTOLD and not (reason is _NESTED and history.made == 1):
                yield Emit(exhausted(history, reason, error))
        return settled

    def _consult(
        self, call: Call, outcome: Outcome, category: ErrorCategory, base: float | None, history: History
    ) -> Steps[StopReason | float]:
        """Decide as `decide` does, asking the strategies in the order wait, stop."""
        error, result = outcome.error, outcome.value
        state: Any = history.state
        strategies = self.strategies
        if strategies is None:
            return self.decide(call, error, category, base, history, result=result)
        wait: float | None = None
        strategy = strategies.wait_for(category._value_, category._value_ in self.backoffs)
        left = self.attempts is None or history.made - history.revisions < self.attempts
        if base is not None and strategy is not None and left:
            wait = strategies.a_wait(strategy, (yield Invoke(strategy, state, role="wait strategy")))
            if wait is None:
                return StopReason.STRATEGY_FAILED
        decision = self.decide(call, error, category, base, history, wait, result)
        if not isinstance(decision, StopReason) and strategies.stop is not None:
            state.upcoming_sleep = decision
            answer = yield Invoke(strategies.stop, state, role="stop strategy")
            if answer.error is not None:  # a stop that cannot be asked must not become a loop without end
                return StopReason.STRATEGY_FAILED
            if answer.value:
                return StopReason.STOPPED
        return decision

    def _stuck(self, reviser: Reviser, call: Call, history: History) -> StopReason | None:
        """Say why there is no use in a revision."""
        if call.committed:
            return StopReason.COMMITTED
        if history.alike >= reviser.alike:
            return StopReason.NO_PROGRESS
        return StopReason.DEADLINE if self.is_too_late(call, 0.0) else None
