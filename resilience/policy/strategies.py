"""tenacity's wait, stop and retry objects, driven by hand.

tenacity decides here, its engine never runs: that one catches BaseException and shares its statistics.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from resilience.policy.base import Call
from resilience.policy.check import number

if TYPE_CHECKING:
    import tenacity

    from resilience.outcome import Outcome

    Strategy = Callable[["tenacity.RetryCallState"], object]

__all__ = ["Strategies"]


class Strategies:
    """The strategies of one policy: *wait* in seconds, *stop* and *retry_if* as predicates of the call's state."""

    __slots__ = ("retry_if", "stop", "wait")

    def __init__(
        self,
        wait: Strategy | float | None = None,
        stop: Strategy | None = None,
        retry_if: Strategy | None = None,
    ) -> None:
        if wait is not None and not callable(wait):
            right = "seconds of 0 or more, a tenacity wait or a function of its RetryCallState"
            fixed = number("wait", wait, right, least=0.0)
            wait = lambda _: fixed  # noqa: E731  # as short as the strategy is
        for parameter, strategy in (("wait", wait), ("stop", stop), ("retry_if", retry_if)):
            if strategy is not None and (not callable(strategy) or isinstance(strategy, type)):
                raise TypeError(
                    f"{parameter}={strategy!r}: give a tenacity object, such as"
                    f" tenacity.{_EXAMPLES[parameter]}, or a function of its RetryCallState"
                )
            _takes_one(parameter, strategy)
        self.wait: Strategy | None = wait
        self.stop: Strategy | None = stop
        self.retry_if: Strategy | None = retry_if

    def __bool__(self) -> bool:
        return not (self.wait is None and self.stop is None and self.retry_if is None)

    def begin(self, call: Call, owner: object) -> tenacity.RetryCallState:
        """Return the state of a call that starts now, by the clock in force."""
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
        """Tell *state* how an attempt went."""
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


def _takes_one(parameter: str, strategy: Strategy | None) -> None:
    if strategy is None:
        return
    try:
        signature = inspect.signature(strategy)
    except (TypeError, ValueError):  # a builtin that does not say what it takes
        return
    try:
        signature.bind(None)
    except TypeError:
        raise TypeError(
            f"{parameter}={strategy!r}: give a function of one argument, tenacity's RetryCallState"
        ) from None
