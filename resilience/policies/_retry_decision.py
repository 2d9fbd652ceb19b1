"""The decision of a retry after a failed attempt: whether another attempt follows, and after how long.

The decision has three steps, in this order:

1. What blocks a further attempt, whatever the wait: the failure itself, an exhausted nested retry, a call that must not
   happen twice, the limits of attempts.
2. The wait: backoff or wait strategy, the server's Retry-After, the deadline.
3. The budget, which pays for the attempt. It is last, so that nothing is paid for and then refused for another reason.

`RetryDecision` takes them in two ways that come to the same answers. `decide` is plain code, for a retry without
callbacks while nothing listens to events: this is the path of most failures, and its length is what a failure costs.
`decide_with_callbacks` is a generator of effects as well: it calls the functions that the retry was given and emits
events.

A new reason to stop is a row of `StopReason` and a line in `RetryDecision.blocked_by`.
"""

from __future__ import annotations

import math
from sys import is_finalizing
from typing import TYPE_CHECKING, Any

from resilience._outcome import Outcome
from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.protocol import Call, Run, Steps
from resilience._shutdown import is_shutting_down
from resilience.categories import ErrorCategory
from resilience.classification._attributes import category_of_result
from resilience.classification.classifier import categories_of
from resilience.classification.retry_hints import retry_after, retry_after_of_result
from resilience.policies._announce import announce
from resilience.policies._nested_retries import inner_exhaustion
from resilience.policies._retry_config import RetryConfig
from resilience.policies._retry_events import attempt_failed, retry_scheduled
from resilience.policies._retry_rule import DEFAULT_BASE_DELAY, RetryRule
from resilience.policies._retry_state import RetryState
from resilience.policies._unrepeatable import forbidden_repeat
from resilience.policies.backoff import hint_jitter
from resilience.policies.revision import failure_fingerprint
from resilience.policies.stop_reason import StopReason
from resilience.profiles import Profile
from resilience.settings import ATTEMPTS_CAP, REPEATED_POSTS

if TYPE_CHECKING:
    from resilience.policies.idempotency import Idempotency

__all__ = ["RetryDecision"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_CANCELLED, _REJECTED, _UNKNOWN = ErrorCategory.CANCELLED, ErrorCategory.REJECTED, ErrorCategory.UNKNOWN


class RetryDecision(RetryConfig):
    """The decision after a failed attempt, from the options of the retry and the state of the call.

    It never waits and never calls the function: `Retry` has the loop. Each step of the decision returns the
    `StopReason` that ends the attempts, or None where another attempt may follow. How long to wait before it is written
    to the `RetryState`, which is all that a decision changes.

    A subclass may override a step: `blocked_by` to stop for a reason of its own, `plan_wait` to wait otherwise.
    """

    def base_delay_after(self, rule: RetryRule, error: Exception | None) -> float | None:
        """Return the first wait after a failure by *error*, in seconds; None: it is not retryable by its category."""
        if not rule.retried or error is None:
            return None
        # The category of a group is that of one of its members: all of them must be retryable.
        if isinstance(error, BaseExceptionGroup) and not self._retries_all(categories_of(error)):
            return None
        return rule.base_delay

    def _retries_all(self, categories: ErrorCategory) -> bool:
        return all(self.rules[leaf._value_].retried for leaf in categories)

    def decide(self, call: Call, outcome: Outcome, state: RetryState) -> StopReason | None:
        """Decide on the failure that *state* has recorded last, without callbacks and events.

        Return why no further attempt is made; None: one follows after `RetryState.next_wait` seconds, and is paid for.
        """
        return (
            self.blocked_by(call, outcome, state)
            or self.plan_wait(call, outcome, state)
            or self._pay(call, outcome, state)
        )

    def blocked_by(self, call: Call, outcome: Outcome, state: RetryState) -> StopReason | None:
        """Return why no attempt may follow, whatever the wait; None: one may.

        Of several reasons the first one is returned. They are ordered by what they say of the failure: that the failure
        is not retryable at all tells the caller more than that the attempts are used up.
        """
        if state.base_delay is None:
            return StopReason.NOT_RETRYABLE
        if call.streaming_started:
            return StopReason.COMMITTED
        if state.exhaustions_at_start != exhaustion_counter.count and self._is_exhausted_inside(outcome, state):
            return StopReason.NESTED
        if (forbidden := forbidden_repeat(outcome.error)) is not None:
            return forbidden
        if self.idempotency is not None and not self._is_safe_to_repeat(self.idempotency, call, outcome, state):
            return StopReason.NOT_IDEMPOTENT
        if REPEATED_POSTS.allowed is False and self._repeats_post(outcome, state) is not None:
            return StopReason.NOT_IDEMPOTENT
        if self._is_used_up(state):
            return StopReason.ATTEMPTS
        if state.repeated_failures >= self.no_progress:
            return StopReason.NO_PROGRESS
        if is_shutting_down():
            return StopReason.SHUTDOWN
        return None

    def plan_wait(
        self, call: Call, outcome: Outcome, state: RetryState, wait: float | None = None
    ) -> StopReason | None:
        """Plan the wait before another attempt, as `RetryState.next_wait` in seconds; return why none follows, if so.

        *wait* is the answer of a wait strategy; without it the backoff is computed. The server's Retry-After is the
        least that is waited. Clients that were given the same second must not come back in the same second, so a tenth
        of it is added at random. One that is longer than the cap of the backoff ends the attempts (PUSHBACK), as does
        a deadline that leaves too little time for the wait and the attempt (DEADLINE), and a circuit inside that has
        opened and would only reject the attempt (CIRCUIT_OPEN).
        """
        backoff, random = state.rule.backoff, call.clock.random
        if wait is None:
            previous = state.last_wait
            if state.counted == 1:  # the count may have begun anew after a wait
                previous = 0.0
            wait = backoff.delay(state.counted - 1, state.base_delay or 0.0, previous, random)
        asked = server_delay(outcome)
        if asked is not None:
            if asked > backoff.cap:
                return StopReason.PUSHBACK
            wait = hint_jitter(wait, asked, random())
        state.next_wait = wait
        if wait > 0 and self._would_be_rejected(call, wait):
            return StopReason.CIRCUIT_OPEN
        # Checked now, not when the attempt failed: a wait strategy may have taken some time as well.
        if call.due != math.inf and call.lacks_time(wait + self.min_attempt_time):
            return StopReason.DEADLINE
        return None

    def _would_be_rejected(self, call: Call, wait: float) -> bool:
        """Whether a policy inside this retry, such as an open circuit, rejects a call for longer than *wait* seconds.

        A pause would be in vain then. The circuit may have opened by the very failure that is to be retried. Where
        rejections are retried too, one is waited for: it says how long.
        """
        for policy in reversed(call.stack):
            if policy is self:
                return False
            if policy.rejects_for(call) > wait:
                return not self.rules[_REJECTED._value_].retried
        return False

    def _is_exhausted_inside(self, outcome: Outcome, state: RetryState) -> bool:
        """Whether the error has exhausted a nested retry, which is then final; keep the report of that retry.

        Asked only where some retry was exhausted since the attempt began.
        """
        if outcome.error is not None:
            state.inner = inner_exhaustion(outcome.error, state.exhaustions_at_start)
        return state.inner is not None and not self.retry_exhausted

    def _is_safe_to_repeat(self, idempotency: Idempotency, call: Call, outcome: Outcome, state: RetryState) -> bool:
        """Whether the failed *outcome* proves that the call has not happened, or the call may happen twice.

        The proof is looked for first: it costs less than asking the user's function.
        """
        return self._has_not_happened(idempotency, outcome, state) or idempotency.allows(call, _failure_of(outcome))

    def _repeats_post(self, outcome: Outcome, state: RetryState) -> str | None:
        """Return POST or PATCH where another attempt repeats one that may have been processed, and no option allows it.

        Most failures carry no request, and are done with after a look at their attributes.
        """
        if not self.leaves_posts_to_settings:
            return None
        if (outcome.error is not None and _carries_nothing(outcome.error)) or is_finalizing():
            return None  # while the interpreter finalizes, nothing can be imported
        from resilience.policies.idempotency import Idempotency, repeated_post

        method = repeated_post(_failure_of(outcome))
        if method is None or self._has_not_happened(Idempotency, outcome, state):
            return None
        return method

    def _has_not_happened(self, proofs: Idempotency | type[Idempotency], outcome: Outcome, state: RetryState) -> bool:
        """Whether the failed *outcome* proves that the server has not processed the call."""
        row, error = state.rule.row, outcome.error
        if error is None:
            return proofs.result_may_be_followed_by_another(row, outcome.value)
        # Of several attempts of a nested retry the last one proves nothing about the others.
        return state.inner is None and proofs.may_be_sent_again(row, error, self._row_of)

    def _row_of(self, leaf: ErrorCategory) -> Profile:
        return self.rules[leaf._value_].row

    def _is_used_up(self, state: RetryState) -> bool:
        """Whether the attempts are used up: all of them, or those for failures of the category, which are counted here.

        Attempts that followed a revision are counted by the reviser.
        """
        if state.counted >= self.attempts:
            return True
        if ATTEMPTS_CAP.active and state.counted >= ATTEMPTS_CAP.lowest():
            return True
        return bool(self.max_attempts) and state.count_failure() >= state.rule.max_failures

    def _restart_after_work(self, call: Call, state: RetryState) -> None:
        """Begin the count of attempts anew where the one that has just ended took `reset_after` seconds or longer.

        It worked for a while, so the retry that led to it succeeded, and gets its tokens back.
        """
        if self.reset_after == math.inf or state.started_at is None:
            return
        if call.clock.now() - state.started_at < self.reset_after:
            return
        self.refund(state)
        state.restart_count()

    def _pay(self, call: Call, outcome: Outcome, state: RetryState) -> StopReason | None:
        """Pay for the retry that is planned, and schedule it; return BUDGET where the tokens do not suffice.

        A POST that it repeats is warned about before, so that nothing is paid where warnings are errors.
        """
        if REPEATED_POSTS.allowed is None and (method := self._repeats_post(outcome, state)) is not None:
            from resilience.policies.idempotency import warn_of_repeated_post

            warn_of_repeated_post(call.target, method)
        if self.budget is not None:
            tokens = self.budget.spend(state.rule.cost, call.clock.now())
            if tokens is None:
                return StopReason.BUDGET
            state.tokens_spent = tokens
        state.schedule_retry()
        return None

    def refund(self, state: RetryState) -> None:
        """Give the budget back what the last retry took from it: the attempt succeeded, or was not made after all."""
        if self.budget is not None:
            self.budget.refund(state.tokens_spent)

    # -- with callbacks and events -----------------------------------------------------------------------------------

    def decide_with_callbacks(
        self, call: Call, outcome: Outcome, rule: RetryRule, base_delay: float | None, state: RetryState
    ) -> Steps[StopReason | None]:
        """Record an attempt and decide as `decide` does, with callbacks called and events emitted.

        The attempt may not have failed at all: where its result is judged, and found good, the answer is SUCCESS.
        """
        error = outcome.error
        self._restart_after_work(call, state)
        if self.strategies.given:
            number = state.attempts - state.attempts_before_restart + 1
            self.strategies.record(_tenacity_state(state), call, outcome, number, state.total_wait)
        if base_delay is None and self.judges_results and rule.row.category is not _CANCELLED:
            rule, base_delay = yield from self._ask_whether_to_retry(outcome, rule, state)
        if error is None and base_delay is None:
            return StopReason.SUCCESS
        state.record_failure(rule, base_delay, error, call.clock.now())
        if self.limits_repeats:
            state.record_fingerprint(failure_fingerprint(state.category, error))
        if error is not None:
            is_revised = state.category._value_ & self.reviser.bits and not is_shutting_down()
            retryable = (is_revised or base_delay is not None) and not call.streaming_started
            yield from announce(attempt_failed, state, error, retryable=bool(retryable))
            if is_revised:
                return (yield from self.reviser.revise(call, error, state, self.min_attempt_time))
        reason = self.blocked_by(call, outcome, state)
        if reason is not None:
            return reason
        return (yield from self._schedule_retry(call, outcome, state))

    def _ask_whether_to_retry(
        self, outcome: Outcome, rule: RetryRule, state: RetryState
    ) -> Steps[tuple[RetryRule, float | None]]:
        """Ask ``retry_if`` and ``retry_if_result``; return rule and base delay of what one of them retries.

        A result has the category of its status where it is a response, so that a 429 waits as a rate limit does.
        The base delay is None where neither of them wants another attempt.
        """
        is_error = outcome.error is not None
        if self.strategies.retry_if is not None:
            answer: Outcome = yield Run(self.strategies.retry_if, state.tenacity_state, role="retry_if strategy")
            if answer.value:
                if not is_error:
                    rule = self._rule_of_result(outcome)
                return rule, rule.base_delay
        if self.retry_if_result is not None and not is_error:
            answer = yield Run(self.retry_if_result, outcome.value, role="retry_if_result")
            if answer.value:
                rule = self._rule_of_result(outcome)
                if rule.row.category is _UNKNOWN:  # no response: its row says nothing about results
                    return rule, DEFAULT_BASE_DELAY
                return rule, rule.base_delay
        return rule, None

    def _rule_of_result(self, outcome: Outcome) -> RetryRule:
        return self.rules[category_of_result(outcome.value)._value_]

    def _schedule_retry(self, call: Call, outcome: Outcome, state: RetryState) -> Steps[StopReason | None]:
        """Plan the wait before a retry that nothing blocks, pay for it and announce it; return why there is none.

        Where ``on_retry`` takes so long that the attempt could not end in time, the retry is called off and refunded.
        """
        reason = (yield from self._ask_strategies(call, outcome, state)) or self._pay(call, outcome, state)
        if reason is not None:
            return reason
        yield from announce(retry_scheduled, state, outcome.error)
        if self.on_retry is None or is_finalizing():  # nothing can be imported any more, so there is no event
            return None
        yield Run(self.on_retry, retry_scheduled(state, outcome.error), role="on_retry callback")
        if call.lacks_time(state.next_wait + self.min_attempt_time):  # the callback has taken some
            self.refund(state)
            state.unschedule_retry()
            return StopReason.DEADLINE
        return None

    def _ask_strategies(self, call: Call, outcome: Outcome, state: RetryState) -> Steps[StopReason | None]:
        """Plan as `plan_wait` does, with the answers of a wait and a stop strategy, asked in this order.

        One that fails ends the retries: without its answer they might never end.
        """
        wait: float | None = None
        if state.rule.wait_strategy is not None:
            answer: Outcome = yield Run(state.rule.wait_strategy, state.tenacity_state, role="wait strategy")
            wait = self.strategies.validate_wait(state.rule.wait_strategy, answer)
            if wait is None:
                return StopReason.STRATEGY_FAILED
        reason = self.plan_wait(call, outcome, state, wait)
        if reason is not None or self.strategies.stop is None:
            return reason
        _tenacity_state(state).upcoming_sleep = state.next_wait
        answer = yield Run(self.strategies.stop, state.tenacity_state, role="stop strategy")
        if answer.error is not None:
            return StopReason.STRATEGY_FAILED
        if answer.value:
            return StopReason.STOPPED
        return None


def server_delay(outcome: Outcome) -> float | None:
    """Return the seconds that the server asks to wait (Retry-After), if it does: by an error, or by a response."""
    if outcome.error is None:
        return retry_after_of_result(outcome.value)
    return retry_after(outcome.error)


def _failure_of(outcome: Outcome) -> object:
    """Return the error of an attempt; without one, the result that is to be tried again."""
    if outcome.error is None:
        return outcome.value
    return outcome.error


def _carries_nothing(error: Exception) -> bool:
    """Whether *error* has no attributes of its own, no cause and no members: then it has no request either."""
    try:
        return not error.__dict__ and error.__cause__ is None and not isinstance(error, BaseExceptionGroup)
    except Exception:  # a class that reads its attributes in a way of its own
        return False


def _tenacity_state(state: RetryState) -> Any:
    """Return what tenacity's strategies are called with: there is one where there are strategies."""
    return state.tenacity_state
