"""Retry: make a call again when it failed with a category that is worth another attempt.

The policy is split by subject:

* `_retry_config`: the options, their checks and their description,
* `_retry_rule`: the options and the row of the table, merged for one category,
* `_retry_state`: the state of one call,
* `_retry_decision`: whether another attempt follows, and after how long,
* `retry_report`: the attempts of a call, as errors and callbacks report them,
* `_retry_events`: the events of a retry,
* this module: the loop, and the ends of a call.
"""

from __future__ import annotations

import math

from resilience._listeners import has_listeners
from resilience._outcome import Outcome
from resilience._runtime.exhaustion import exhaustion_counter
from resilience._runtime.place import Place
from resilience._runtime.protocol import PROCEED, Call, Run, Sleep, Steps
from resilience._shutdown import is_shutting_down
from resilience.categories import ErrorCategory
from resilience.classification.classifier import category_of
from resilience.errors.base import RetriesExhaustedError
from resilience.policies._announce import announce
from resilience.policies._retry_decision import RetryDecision, server_delay
from resilience.policies._retry_events import retries_exhausted
from resilience.policies._retry_rule import RetryRule
from resilience.policies._retry_state import RetryState
from resilience.policies.retry_report import CallReport, attach_report, note_declined, set_last_call
from resilience.policies.stop_reason import StopReason

__all__ = ["Retry"]

# By names of their own: on CPython 3.11 a member of an enum is a call to find.
_REJECTED, _NESTED, _SUCCESS = ErrorCategory.REJECTED, StopReason.NESTED, StopReason.SUCCESS

_NO_EVENT_REASONS = (StopReason.NOT_RETRYABLE, StopReason.COMMITTED)
#: Where there was one attempt: the error itself says all there is to say.
_NO_NOTE_REASONS = (StopReason.NOT_RETRYABLE, StopReason.COMMITTED, StopReason.ATTEMPTS)


class Retry(RetryDecision):
    """Make a call again after failures that are worth another attempt.

    `run` is the loop: attempt, record, decide, wait. The decision reads the state of the call, a `RetryState`, which
    is made at the first failure and is local to the loop. So a success costs nothing, and concurrent calls share
    nothing but the budget.

    The caller gets the last error, the same object, with a `CallReport` as its attribute ``resilience``. A local
    variable of the loop keeps it while it waits, for a shutdown, and none does during an attempt: the frames of the
    error may lead to the loop, and both would wait for the garbage collector.

    >>> from resilience.testing import no_waits
    >>> answers = iter([TimeoutError(), ConnectionResetError(), "hello"])
    >>> def flaky() -> str:
    ...     answer = next(answers)
    ...     if isinstance(answer, Exception):
    ...         raise answer
    ...     return answer
    >>> with no_waits():
    ...     Retry("timeout", "network").call(flaky)
    'hello'
    """

    tracks_exhaustion = True
    guards_local_methods = False
    place: Place | None = Place.RETRY

    def run(self, call: Call) -> Steps[Outcome]:
        """Make attempts until one succeeds or no other may follow; return the outcome of the last one.

        On cancellation, in an attempt, a wait or a callback, a retry that was paid for and not begun is refunded. An
        attempt that was cancelled is neither a success nor a failure.
        """
        exhaustions, started_at = _start_of(call)
        state: RetryState | None = None
        if self.strategies.given:
            state = RetryState(call.target, started_at, exhaustions, self.strategies.begin(call, self))
        try:
            while True:
                outcome: Outcome = yield PROCEED
                if outcome.error is None and not self.judges_results:
                    break
                slow_path = self.needs_slow_path or has_listeners()
                rule = self.rules[category_of(outcome)._value_]
                base_delay = self.base_delay_after(rule, outcome.error)
                if state is None:
                    if not slow_path and _is_final_rejection(rule, base_delay):
                        return outcome  # nothing to report: this is what an open circuit costs
                    state = RetryState(call.target, started_at, exhaustions)
                if slow_path:
                    reason = yield from self.decide_with_callbacks(call, outcome, rule, base_delay, state)
                else:
                    state.record_failure(rule, base_delay, outcome.error, call.clock.now())
                    reason = self.decide(call, outcome, state)
                if reason is _SUCCESS:
                    break
                if reason is None:
                    reason = yield from self._wait(state)
                if reason is not None:
                    return (yield from self._stop(call, outcome, state, reason))
                del outcome  # the frames of its error may lead to this generator
                state.start_attempt(call.clock.now())
            self._record_success(call, state)
            if self.on_success is not None:
                report = _success_report(call, state)
                yield Run(self.on_success, report, role="on_success callback")
            return outcome
        except GeneratorExit:
            self._record_cancellation(call, state)
            raise

    def _wait(self, state: RetryState) -> Steps[StopReason | None]:
        """Wait before the next attempt; return SHUTDOWN, with that attempt refunded, where a shutdown ends the wait."""
        if state.next_wait > self.skipped_wait:
            yield Sleep(state.next_wait, ends_at_shutdown=True)
            if is_shutting_down():
                self.refund(state)
                state.unschedule_retry()
                return StopReason.SHUTDOWN
        return None

    # -- the ends of a call ------------------------------------------------------------------------------------------

    def _record_success(self, call: Call, state: RetryState | None) -> None:
        """Refund the last retry, or count a success at the first attempt, which pays for retries of other calls."""
        if state is not None:
            _restore_arguments(call, state)
            if state.attempts:
                self.refund(state)
                set_last_call(state)
                return
        if self.budget is not None:
            self.budget.passes += 1

    def _record_cancellation(self, call: Call, state: RetryState | None) -> None:
        """Refund a retry that is not made. A call that is cancelled in its first attempt leaves no report."""
        if state is None or not state.attempts:
            return
        _restore_arguments(call, state)
        if state.retry_pending:
            self.refund(state)
        set_last_call(CallReport(state, StopReason.CANCELLED))

    def _stop(self, call: Call, outcome: Outcome, state: RetryState, reason: StopReason) -> Steps[Outcome]:
        """Report on a failed call that is not retried; return its last outcome, or its error wrapped.

        Where a nested retry was exhausted and this one made a single attempt, it had no part in the failure: the report
        of the nested one stays the only one, and a note says that this retry made no further attempt.
        """
        _restore_arguments(call, state)
        retried = state.attempts > 1
        had_part = retried or reason is not _NESTED
        final = outcome
        if not had_part:
            note_declined(outcome.error, call.target, state.inner)
        if had_part or self.wraps:
            final = self._report(call, outcome, state, reason, noted=retried or reason not in _NO_NOTE_REASONS)
        if had_part and reason not in _NO_EVENT_REASONS:
            yield from announce(retries_exhausted, state, reason, outcome.error)
        return final

    def _report(self, call: Call, outcome: Outcome, state: RetryState, reason: StopReason, *, noted: bool) -> Outcome:
        """Hand the report to `last_call` and, with a note where *noted*, to the error; wrap the error if asked to.

        Only what a limit of the retry has ended is wrapped: an error that is not retryable passes as it is.
        """
        error, inner = outcome.error, None
        if reason is _NESTED:
            inner = state.inner
        report = CallReport(state, reason, circuits=_circuit_states(call), time_left=_time_left(call), inner=inner)
        set_last_call(report)
        if error is not None and (inner is None or state.attempts > 1):
            attach_report(error, report, noted=noted)
        if not self.wraps or not reason.gave_up:
            return outcome
        wrapper = RetriesExhaustedError(call.target, state.attempts, reason.value, server_delay(outcome))
        wrapper.__cause__ = error
        attach_report(wrapper, report, noted=False)
        return Outcome(None, wrapper)


def _start_of(call: Call) -> tuple[int, float | None]:
    """Return the exhaustion counter at the start of the first attempt, and the time of that; None where it is unknown.

    On the fast path the first attempt has been made when the retry begins to run.
    """
    if call.admitted:
        return call.exhaustions_at_start, None
    return exhaustion_counter.count, call.clock.now()


def _is_final_rejection(rule: RetryRule, base_delay: float | None) -> bool:
    """Whether a policy rejected the call, and rejections are not retried."""
    return base_delay is None and rule.row.category is _REJECTED


def _success_report(call: Call, state: RetryState | None) -> CallReport:
    return CallReport(state or RetryState(call.target), StopReason.SUCCESS)


def _restore_arguments(call: Call, state: RetryState) -> None:
    """Leave the arguments to enclosing policies as they came in, and nothing of the call to its report."""
    if state.original_arguments is not None:
        call.arguments, call.keywords = state.original_arguments
    state.forget_call()


def _time_left(call: Call) -> float | None:
    """Return the seconds that are left of the call's deadline, None without one."""
    if call.due == math.inf:
        return None
    return max(0.0, call.due - call.clock.now())


def _circuit_states(call: Call) -> tuple[str, ...]:
    return tuple(state for policy in call.stack if (state := policy.status(call)) is not None)
