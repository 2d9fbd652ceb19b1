"""Adapter to tenacity's wait, stop and retry objects, which are called with a real `RetryCallState`.

tenacity's engine never runs: it catches BaseException and shares its statistics between calls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from resilience._runtime.protocol import Call
from resilience._validation import a_function, number
from resilience.category import ErrorCategory
from resilience.trouble import report_trouble

if TYPE_CHECKING:
    import tenacity

    from resilience.outcome import Outcome

    Strategy = Callable[["tenacity.RetryCallState"], object]

__all__ = ["Strategies", "validate_strategy"]


_FOREVER = sys.float_info.max  # whole numbers may be longer


class Strategies:
    """The strategies of one retry: *wait* returns seconds, *stop* and *retry_if* are predicates of the call's state.

    *waits* are wait strategies for single categories, by their bit.
    """

    __slots__ = ("retry_if", "stop", "wait", "waits")

    def __init__(
        self,
        wait: Strategy | float | timedelta | None = None,
        stop: Strategy | None = None,
        retry_if: Strategy | None = None,
        waits: Mapping[int, Strategy] | None = None,
    ) -> None:
        if isinstance(wait, timedelta):
            wait = wait.total_seconds()
        if wait is not None and not callable(wait):
            right = "seconds of 0 or more, a tenacity wait or a function of its RetryCallState"
            fixed = number("wait", wait, right, least=0.0)
            wait = lambda _: fixed  # noqa: E731  # as short as the strategy is
        for parameter, strategy in (("wait", wait), ("stop", stop), ("retry_if", retry_if)):
            if strategy is not None:
                validate_strategy(parameter, strategy)
        self.waits: Mapping[int, Strategy] = waits or {}
        self.wait: Strategy | None = wait
        self.stop: Strategy | None = stop
        self.retry_if: Strategy | None = retry_if

    def hooks(self) -> dict[str, Callable[..., object]]:
        """Return them by the parameter they were given as."""
        given = {name: getattr(self, name) for name in ("wait", "stop", "retry_if")}
        given |= {f"waits[{ErrorCategory(bit).label!r}]": wait for bit, wait in self.waits.items()}
        return {name: strategy for name, strategy in given.items() if strategy is not None}

    def wait_for(self, bit: int, otherwise: bool) -> Strategy | None:
        """Return the wait strategy for a category; None where there is none, or a backoff of its own (*otherwise*)."""
        return self.waits.get(bit) or (None if otherwise else self.wait)

    @staticmethod
    def validate_wait(strategy: Strategy, answer: Outcome) -> float | None:
        """Return the seconds that a wait strategy returned; None where they are not valid, which is logged."""
        given = answer.value
        if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < _FOREVER:
            return float(given)
        if answer.error is None:
            shown = repr(given) if isinstance(given, float | str) else f"a {type(given).__name__}"
            wrong = ValueError(f"it returned {shown:.100}: give seconds, a number of 0 or more")
            report_trouble("wait strategy", strategy, wrong)
        return None

    def begin(self, call: Call, owner: object) -> tenacity.RetryCallState:
        """Return the `RetryCallState` of a call that starts now, by its clock."""
        import tenacity

        state = tenacity.RetryCallState(
            retry_object=cast("tenacity.BaseRetrying", owner),
            fn=call.function,
            args=call.arguments,
            kwargs=dict(call.keywords),
        )
        state.start_time = call.clock.now()
        return state

    @staticmethod
    def record(state: tenacity.RetryCallState, call: Call, outcome: Outcome, attempt: int) -> None:
        """Record the outcome of an attempt in *state*."""
        state.attempt_number = attempt
        if outcome.error is None:
            state.set_result(outcome.value)
        else:
            state.set_exception((type(outcome.error), outcome.error, outcome.error.__traceback__))
        state.outcome_timestamp = call.clock.now()  # tenacity reads the machine's clock itself


_EXAMPLES = {
    "wait": "wait_fixed(1)",
    "stop": "stop_after_delay(30)",
    "retry_if": "retry_if_exception_type(KeyError)",
}


def validate_strategy(parameter: str, strategy: object) -> Strategy:
    """Return *strategy* if it can be called with a `RetryCallState`. Raises TypeError otherwise."""
    example = _EXAMPLES.get(parameter, _EXAMPLES["wait"])
    right = f"a tenacity object, such as tenacity.{example}, or a function of one argument, its RetryCallState"
    return a_function(parameter, strategy, right, takes=1)
