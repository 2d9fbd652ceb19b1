"""Adapter to tenacity's wait, stop and retry objects, which are called with a real `RetryCallState`.

tenacity's engine never runs: it catches BaseException and shares its statistics between calls. Its strategies are
functions of the state of one call, and work unchanged. tenacity is imported when a retry with strategies begins a call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, cast

from resilience._callback_errors import log_callback_error
from resilience._runtime.protocol import Call
from resilience._validation import given_options, optional, parse_number, require_callable
from resilience.categories import ErrorCategory

if TYPE_CHECKING:
    import tenacity

    from resilience._outcome import Outcome

__all__ = ["Strategies", "Strategy", "validate_strategy"]

Strategy: TypeAlias = Callable[["tenacity.RetryCallState"], object]
"""A tenacity object, or a function of the user's, that is called with the state of a call."""


class Strategies:
    """The strategies of one retry: *wait* returns seconds, *stop* and *retry_if* are predicates of the call's state.

    *waits* are wait strategies for single categories, by their bit; the caller has checked them. Shared by all calls:
    what belongs to one is its `RetryCallState`, which `begin` makes. Operators of tenacity (``wait_fixed(1) +
    wait_random(0, 1)``, ``stop_after_attempt(3) | stop_after_delay(30)``) return objects that are strategies as well.
    """

    __slots__ = ("_common", "given", "retry_if", "stop", "wait", "waits")

    def __init__(
        self,
        wait: Strategy | float | timedelta | None,
        stop: Strategy | None,
        retry_if: Strategy | None,
        waits: Mapping[int, Strategy],
    ) -> None:
        self.waits: Mapping[int, Strategy] = waits
        self.wait: Strategy | None = optional(_parse_wait, "wait", wait)
        self.stop: Strategy | None = optional(validate_strategy, "stop", stop)
        self.retry_if: Strategy | None = optional(validate_strategy, "retry_if", retry_if)
        self._common = given_options(wait=self.wait, stop=self.stop, retry_if=self.retry_if)
        #: Whether there are any: then each call has a `RetryCallState` from its beginning.
        self.given: bool = bool(self._common or self.waits)

    @property
    def has_waits(self) -> bool:
        """Whether a wait strategy decides how long to wait, for all categories or for some."""
        return self.wait is not None or bool(self.waits)

    def hooks(self) -> dict[str, Strategy]:
        """Return the strategies by the parameter they were given as."""
        return self._common | {f"waits[{ErrorCategory(bit).label!r}]": wait for bit, wait in self.waits.items()}

    def options(self) -> dict[str, str]:
        """Return what a description of a retry shows: the types of the strategies for all categories."""
        return {name: type(strategy).__name__ for name, strategy in self._common.items()}

    @staticmethod
    def validate_wait(strategy: Strategy, answer: Outcome) -> float | None:
        """Return the seconds that a wait strategy returned; None where they are not valid, which is logged."""
        wait = answer.value
        if answer.error is not None:
            return None  # logged where it was raised
        with contextlib.suppress(TypeError, ValueError):
            return parse_number("wait", wait, "seconds of 0 or more", least=0.0)
        shown = f"a {type(wait).__name__}"
        if isinstance(wait, float | str):
            shown = repr(wait)
        wrong = ValueError(f"it returned {shown:.100}: give seconds, a number of 0 or more")
        log_callback_error("wait strategy", strategy, wrong)
        return None

    def begin(self, call: Call, owner: object) -> tenacity.RetryCallState:
        """Return the `RetryCallState` of a call that starts now, by its clock.

        *owner* is the retry, which strategies find as ``retry_object``.
        """
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
    def record(state: tenacity.RetryCallState, call: Call, outcome: Outcome, attempt: int, waited: float) -> None:
        """Record the outcome of an *attempt*, from 1, in *state*; *waited* are the seconds slept so far."""
        state.attempt_number = attempt
        state.idle_for = waited
        if outcome.error is None:
            state.set_result(outcome.value)
        else:
            state.set_exception((type(outcome.error), outcome.error, outcome.error.__traceback__))
        state.outcome_timestamp = call.clock.now()  # tenacity reads the machine's clock itself


def _parse_wait(parameter: str, wait: object) -> Strategy:
    """Return a wait strategy. Seconds are a strategy that always returns them."""
    if callable(wait):
        return validate_strategy(parameter, wait)
    if isinstance(wait, timedelta):
        wait = wait.total_seconds()
    expected = "seconds of 0 or more, a tenacity wait or a function of its RetryCallState"
    fixed = parse_number(parameter, wait, expected, least=0.0)
    return lambda _: fixed


_EXAMPLES = {
    "wait": "wait_fixed(1)",
    "stop": "stop_after_delay(30)",
    "retry_if": "retry_if_exception_type(KeyError)",
}


def validate_strategy(parameter: str, strategy: object) -> Strategy:
    """Return *strategy* if it can be called with a `RetryCallState`. Raises TypeError otherwise.

    >>> validate_strategy("stop", 3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    TypeError: stop=3: give a tenacity object, such as tenacity.stop_after_delay(30), or a function of one argument...
    """
    example = _EXAMPLES.get(parameter, _EXAMPLES["wait"])
    expected = f"a tenacity object, such as tenacity.{example}, or a function of one argument, its RetryCallState"
    return require_callable(parameter, strategy, expected, takes=1)
