"""Retry: make a call again when it failed with a category that is worth another attempt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.protocol import Call, Emit, Proceed, Run, Sleep, Steps
from resilience.category import ErrorCategory
from resilience.classify.decide import category_of
from resilience.classify.structure import category_of_result
from resilience.errors.base import RetriesExhaustedError
from resilience.outcome import Outcome
from resilience.policies.nested_retries import inner_exhaustion
from resilience.policies.retry_config import DEFAULT_BASE_DELAY, RetryConfig, base_delay_of
from resilience.policies.retry_report import CallReport, RetryState, attach_report, set_last_call
from resilience.policies.revision import failure_fingerprint
from resilience.policies.stop_reason import StopReason
from resilience.subscription import has_listeners

if TYPE_CHECKING:
    from resilience.events import AttemptFailed, RetriesExhausted, RetryScheduled

__all__ = ["Retry"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_REJECTED, _CANCELLED, _UNKNOWN = ErrorCategory.REJECTED, ErrorCategory.CANCELLED, ErrorCategory.UNKNOWN
_NESTED = StopReason.NESTED
_NO_EVENT_REASONS = (StopReason.NOT_RETRYABLE, StopReason.COMMITTED)
#: Where there was one attempt: the error itself says all there is to say.
_NO_NOTE_REASONS = (StopReason.NOT_RETRYABLE, StopReason.COMMITTED, StopReason.ATTEMPTS)

_PROCEED = Proceed()


class Retry(RetryConfig):
    """Make a call again after failures that are worth another attempt.

    `run` is the loop: attempt, judge, decide, wait. `RetryConfig.next_delay` decides; what it needs to know of the call
    is a `RetryState`, which is made at the first failure and is local to the loop, so that a success costs nothing and
    concurrent calls share nothing but the budget.

    A failed attempt takes one of two paths to the decision. `_decide` is plain code. `_decide_with_callbacks` yields
    effects as well: it calls the functions that the retry was given and emits events, where there are any.
    """

    tracks_exhaustion = True

    def run(self, call: Call) -> Steps[Outcome]:
        """Make attempts until one succeeds or no other may follow; return the outcome of the last one.

        On cancellation, in an attempt, a wait or a callback, a retry that was paid for and not begun is refunded.
        """
        exhaustions, started_at = call.exhaustions_at_start, None  # on the fast path the first attempt has been made
        if not call.admitted:
            exhaustions, started_at = exhaustion_counter.count, call.clock.now()
        state: RetryState | None = None
        if self.strategies is not None:
            state = RetryState(call.target, started_at, exhaustions, self.strategies.begin(call, self))
        try:
            while True:
                outcome: Outcome = yield _PROCEED
                if outcome.error is None and not self.judges_results:
                    return (yield from self._on_success(call, outcome, state))
                category = category_of(outcome)
                base_delay = self.base_delay_after(category, outcome.error)
                slow_path = self.needs_slow_path or has_listeners()
                if state is None:
                    if category is _REJECTED and base_delay is None and not slow_path:
                        return outcome  # nothing to report: this is what an open circuit costs
                    state = RetryState(call.target, started_at, exhaustions)
                if slow_path:
                    decision = yield from self._decide_with_callbacks(call, outcome, category, base_delay, state)
                else:
                    decision = self._decide(call, outcome, category, base_delay, state)
                if isinstance(decision, Outcome):
                    return decision
                del outcome  # the frames of its error may lead to this generator
                if decision > 0:
                    yield Sleep(decision)
                state.start_attempt(call.clock.now())
        except GeneratorExit:
            self._on_cancellation(call, state)
            raise

    # -- the ends of a call ------------------------------------------------------------------------------------------

    def _on_success(self, call: Call, outcome: Outcome, state: RetryState | None) -> Steps[Outcome]:
        """Refund the last retry, or count a success at the first attempt; call ``on_success``."""
        if state is not None:
            self._restore_arguments(call, state)
        if state is not None and state.attempts:
            self._refund(state)
            set_last_call(state)
        elif self.budget is not None:
            self.budget.passes += 1
        if self.on_success is not None:
            report = CallReport(state or RetryState(call.target), StopReason.SUCCESS)
            yield Run(self.on_success, report, role="on_success callback")
        return outcome

    def _on_cancellation(self, call: Call, state: RetryState | None) -> None:
        """Refund a retry that is not made. A call that is cancelled in its first attempt leaves no report."""
        if state is None or not state.attempts:
            return
        self._restore_arguments(call, state)
        if state.retry_pending:
            self._refund(state)
        set_last_call(CallReport(state, StopReason.CANCELLED))

    def _exhaust(self, call: Call, outcome: Outcome, state: RetryState, reason: StopReason) -> Outcome:
        """Report on a failed call that is not retried; return its last outcome, or its error wrapped.

        The report goes to `last_call`, and with a note to the error. Where a nested retry was exhausted and this one
        made a single attempt, the report of the nested one stays the only one.
        """
        error = outcome.error
        self._restore_arguments(call, state)
        inner = None
        if reason is _NESTED and error is not None:
            inner = inner_exhaustion(error, state.exhaustions_at_start)
            if state.attempts == 1 and not self.wraps:
                return outcome  # the report of the nested retry says it all
        report = CallReport(
            state,
            reason,
            circuits=_circuit_states(call),
            time_left=None if call.due == math.inf else max(0.0, call.due - call.clock.now()),
            inner=inner,
        )
        set_last_call(report)
        retried = state.attempts > 1
        if error is not None and (inner is None or retried):
            attach_report(error, report, noted=retried or reason not in _NO_NOTE_REASONS)
        if not self.wraps or not reason.gave_up:
            return outcome
        wrapper = RetriesExhaustedError(call.target, state.attempts, reason.value, self.server_delay(outcome))
        wrapper.__cause__ = error
        attach_report(wrapper, report, noted=False)
        return Outcome(None, wrapper)

    def _refund(self, state: RetryState) -> None:
        """Give the budget back what the last retry took from it."""
        if self.budget is not None:
            self.budget.refund(state.tokens_spent)

    @staticmethod
    def _restore_arguments(call: Call, state: RetryState) -> None:
        """Leave the arguments to enclosing policies as they came in, and nothing of the call to its report."""
        if state.original_arguments is not None:
            call.arguments, call.keywords = state.original_arguments
        state.forget_call()

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _decide(
        self, call: Call, outcome: Outcome, category: ErrorCategory, base_delay: float | None, state: RetryState
    ) -> Outcome | float:
        """Return the seconds to wait before the next attempt, or the outcome of the call."""
        state.record_failure(category, base_delay, outcome.error, call.clock.now())
        decision = self._commit_decision(call, state, self.next_delay(call, outcome, state))
        if isinstance(decision, StopReason):
            return self._exhaust(call, outcome, state, decision)
        return decision

    def _commit_decision(self, call: Call, state: RetryState, decision: StopReason | float) -> StopReason | float:
        """Pay for the next attempt where *decision* is to make one; return why there is none, or the seconds to wait.

        The budget is asked last: nothing that is paid for is then refused for another reason.
        """
        if isinstance(decision, StopReason):
            return decision
        tokens: float | None = 0.0
        if self.budget is not None:
            tokens = self.budget.spend(self.cost(state.category), call.clock.now())
        if tokens is None:
            return StopReason.BUDGET
        state.schedule_retry(decision, tokens)
        return decision

    def _decide_with_callbacks(
        self, call: Call, outcome: Outcome, category: ErrorCategory, base_delay: float | None, state: RetryState
    ) -> Steps[Outcome | float]:
        """Decide as `_decide` does, with callbacks called and events emitted."""
        error = outcome.error
        if self.strategies is not None:
            self.strategies.record(_tenacity_state(state), call, outcome, state.attempts + 1)
        if base_delay is None and self.judges_results and category is not _CANCELLED:
            category, base_delay = yield from self._ask_whether_to_retry(outcome, category, state)
        if error is None and base_delay is None:
            return (yield from self._on_success(call, outcome, state))
        state.record_failure(category, base_delay, error, call.clock.now())
        if self.limits_repeats:
            state.record_fingerprint(failure_fingerprint(category, error))
        if error is not None and has_listeners():
            yield Emit(_attempt_failed(state, error))
        decision = yield from self._revise_or_schedule(call, outcome, state)
        if not isinstance(decision, StopReason):
            return decision
        final = self._exhaust(call, outcome, state, decision)
        if has_listeners() and self._is_event(decision, state):
            yield Emit(_retries_exhausted(state, decision, error))
        return final

    @staticmethod
    def _is_event(reason: StopReason, state: RetryState) -> bool:
        """Whether a listener is to know *reason*: not where this retry had no part in the failure."""
        if reason is _NESTED and state.attempts == 1:
            return False
        return reason not in _NO_EVENT_REASONS

    def _ask_whether_to_retry(
        self, outcome: Outcome, category: ErrorCategory, state: RetryState
    ) -> Steps[tuple[ErrorCategory, float | None]]:
        """Ask ``retry_if`` and ``retry_if_result``; return category and base delay of what one of them retries."""
        strategies, error = self.strategies, outcome.error
        if strategies is not None and strategies.retry_if is not None:
            answer: Outcome = yield Run(strategies.retry_if, state.tenacity_state, role="retry_if strategy")
            if answer.value:
                category = category if error is not None else category_of_result(outcome.value)
                return category, base_delay_of(self.rows[category._value_])
        if self.retry_if_result is not None and error is None:
            answer = yield Run(self.retry_if_result, outcome.value, role="retry_if_result")
            if answer.value:
                category = category_of_result(outcome.value)
                base_delay = DEFAULT_BASE_DELAY if category is _UNKNOWN else base_delay_of(self.rows[category._value_])
                return category, base_delay
        return category, None

    def _revise_or_schedule(self, call: Call, outcome: Outcome, state: RetryState) -> Steps[StopReason | float]:
        """Replace the arguments, for another attempt at once, where ``revise`` is for such a failure; else schedule."""
        error = outcome.error
        if self.reviser is None or error is None or state.category not in self.reviser.on:
            return (yield from self._schedule_retry(call, outcome, state))
        reason = yield from self.reviser.revise(call, error, state, self.min_attempt_time)
        return 0.0 if reason is None else reason

    def _schedule_retry(self, call: Call, outcome: Outcome, state: RetryState) -> Steps[StopReason | float]:
        """Decide on a retry, pay for it and announce it; return why there is none, or the seconds to wait.

        Where ``on_retry`` takes so long that the attempt could not end in time, the retry is called off and refunded.
        """
        decision = yield from self._ask_strategies(call, outcome, state)
        decision = self._commit_decision(call, state, decision)
        if isinstance(decision, StopReason):
            return decision
        if state.tenacity_state is not None:
            state.tenacity_state.idle_for += decision
        if self.on_retry is None and not has_listeners():
            return decision
        event = _retry_scheduled(state, decision, outcome.error)
        if has_listeners():
            yield Emit(event)
        if self.on_retry is not None:
            yield Run(self.on_retry, event, role="on_retry callback")
            if call.lacks_time(decision + self.min_attempt_time):  # the callback has taken some
                self._refund(state)
                state.unschedule_retry()
                return StopReason.DEADLINE
        return decision

    def _ask_strategies(self, call: Call, outcome: Outcome, state: RetryState) -> Steps[StopReason | float]:
        """Decide as `next_delay` does, with the answers of a wait and a stop strategy, asked in this order."""
        strategies = self.strategies
        if strategies is None:
            return self.next_delay(call, outcome, state)
        wait: float | None = None
        bit = state.category._value_
        strategy = strategies.wait_for(bit, bit in self.backoffs)
        attempts_left = self.attempts is None or state.attempts - state.revisions < self.attempts
        if strategy is not None and state.base_delay is not None and attempts_left:
            answer: Outcome = yield Run(strategy, state.tenacity_state, role="wait strategy")
            wait = strategies.validate_wait(strategy, answer)
            if wait is None:
                return StopReason.STRATEGY_FAILED
        decision = self.next_delay(call, outcome, state, wait)
        if isinstance(decision, StopReason) or strategies.stop is None:
            return decision
        _tenacity_state(state).upcoming_sleep = decision
        answer = yield Run(strategies.stop, state.tenacity_state, role="stop strategy")
        if answer.error is not None:  # without its answer the retries might never end
            return StopReason.STRATEGY_FAILED
        return StopReason.STOPPED if answer.value else decision


def _tenacity_state(state: RetryState) -> Any:
    """Return what tenacity's strategies are called with: there is one where there are strategies."""
    return state.tenacity_state


def _circuit_states(call: Call) -> tuple[str, ...]:
    states = (policy.status(call) for policy in call.stack)
    return tuple(each for each in states if each is not None)


# -- events, made only where something listens, as importing them takes time ------------------------------------------


def _attempt_failed(state: RetryState, error: Exception) -> AttemptFailed:
    from resilience.events import AttemptFailed

    return AttemptFailed(
        target=state.target, policy="retry", attempt=state.attempts, category=state.category, error=error
    )


def _retry_scheduled(state: RetryState, wait: float, error: Exception | None) -> RetryScheduled:
    from resilience.events import RetryScheduled

    return RetryScheduled(
        target=state.target,
        policy="retry",
        attempt=state.attempts,
        category=state.category,
        wait=wait,
        error=error,
    )


def _retries_exhausted(state: RetryState, reason: StopReason, error: Exception | None) -> RetriesExhausted:
    from resilience.events import RetriesExhausted

    return RetriesExhausted(
        target=state.target,
        policy="retry",
        attempts=state.attempts,
        category=state.category,
        reason=reason.value,
        error=error,
    )
