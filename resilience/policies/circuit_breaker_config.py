"""The configuration of a circuit breaker: its parameters, validated, and what follows from them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from resilience._validation import count, need, number, seconds
from resilience.category import ErrorCategory, combine
from resilience.profile import Profile, Reading

if TYPE_CHECKING:
    from datetime import timedelta

    from resilience.policies.sliding_window import WindowSnapshot

__all__ = ["IGNORED", "SUCCESS", "Rules"]

# The weight of an outcome that is no failure: the dependency answered, if only to refuse; or it says nothing about it.
SUCCESS, IGNORED = 0, -1

_MINIMUM = 10
_WINDOW = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Rules:
    """The parameters of `circuit_breaker`, with their units, as one value that many circuits may share."""

    failure_threshold: int | None = 5
    failure_rate: float | None = None
    slow_call_rate: float | None = None
    slow_call_seconds: float | timedelta | None = None
    window: int | None = None
    window_seconds: float | timedelta | None = None
    minimum_calls: int | None = None
    trip_on: ErrorCategory | None = None
    open_for: ErrorCategory | None = None
    failure_if: Callable[..., object] | None = None
    reset_timeout: float | timedelta = 60.0
    max_reset_timeout: float | timedelta | None = None
    probes: int = 1
    success_threshold: int = 1
    probe_timeout: float | timedelta | None = None
    ramp_up: float | timedelta = 0.0
    profiles: Mapping[int, Profile] = dataclasses.field(default_factory=dict[int, Profile])

    #: The durations in seconds.
    reset_seconds: float = dataclasses.field(init=False, repr=False)
    lease_seconds: float = dataclasses.field(init=False, repr=False)
    ramp_up_seconds: float = dataclasses.field(init=False, repr=False)
    max_reset_seconds: float | None = dataclasses.field(init=False, repr=False)
    slow_seconds: float | None = dataclasses.field(init=False, repr=False)
    period: float | None = dataclasses.field(init=False, repr=False)
    #: The number of calls below which rates do not open the circuit.
    min_calls: int = dataclasses.field(init=False, repr=False)
    #: The weight of a failure by category, or SUCCESS, or IGNORED.
    weights: Reading[int] = dataclasses.field(init=False, repr=False)
    #: Whether the circuit opens by rates, and whether each call's time has to be known for that.
    uses_rates: bool = dataclasses.field(init=False, repr=False)
    needs_timing: bool = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.failure_threshold is not None:
            count("failure_threshold", self.failure_threshold)
        for parameter in ("failure_rate", "slow_call_rate"):
            rate = getattr(self, parameter)
            if rate is not None:
                right = "a share of the calls, more than 0 and at most 1, such as 0.5"
                need(number(parameter, rate, right, least=0.0, above=True) <= 1, parameter, rate, right)
        self._set(uses_rates=self.failure_rate is not None or self.slow_call_rate is not None)
        self._check_windows()
        self._check_times()
        count("probes", self.probes)
        count("success_threshold", self.success_threshold)
        if self.failure_if is not None and not callable(self.failure_if):
            raise TypeError(
                f"failure_if={self.failure_if!r}: give a function of a call's result that says True or False"
            )
        if inspect.iscoroutinefunction(self.failure_if) or inspect.iscoroutinefunction(
            getattr(self.failure_if, "__call__", None)  # noqa: B004  # an object whose call is async
        ):
            raise TypeError(
                f"failure_if={self.failure_if!r}: give a plain function; what an async one says is not awaited"
            )
        for parameter in ("trip_on", "open_for"):
            given = getattr(self, parameter)
            self._set(**{parameter: None if given is None else combine(parameter, [given])})
        self._set(
            weights=self._weights(), needs_timing=self.window_seconds is not None or self.slow_call_rate is not None
        )
        if self.trip_on is not None and not any(self.weights[leaf.value] > 0 for leaf in self.trip_on):
            raise ValueError(
                f"trip_on={self.trip_on.label!r}: failures of this category have weight 0 and would never open the"
                f" circuit; add a category that counts, or give it weight with profiles={{...: {{'weight': 1}}}}"
            )

    def _check_windows(self) -> None:
        if (self.slow_call_rate is None) != (self.slow_call_seconds is None):
            given, missing = ("slow_call_rate", "slow_call_seconds")
            if self.slow_call_rate is None:
                given, missing = missing, given
            raise TypeError(f"{given}={getattr(self, given)!r}: give {missing} with it")
        slow, period = self.slow_call_seconds, self.window_seconds
        self._set(slow_seconds=None if slow is None else seconds("slow_call_seconds", slow))
        if self.failure_threshold is None and not self.uses_rates:
            raise TypeError("failure_threshold=None: give failure_rate or slow_call_rate, or nothing opens the circuit")
        for parameter in ("window", "window_seconds", "minimum_calls"):
            if getattr(self, parameter) is not None and not self.uses_rates:
                raise TypeError(
                    f"{parameter}={getattr(self, parameter)!r}: give failure_rate or slow_call_rate with it"
                )
        self._set(period=None if period is None else seconds("window_seconds", period))
        if self.uses_rates and self.window is None and period is None:
            self._set(window=_WINDOW)
        if self.window is not None:
            count("window", self.window)
        self._set(min_calls=min(_MINIMUM, self.window or _MINIMUM))
        if self.minimum_calls is not None:
            self._set(min_calls=self.minimum_calls)
            count("minimum_calls", self.minimum_calls)
            right = f"at most window={self.window}, or the circuit would never open"
            need(self.window is None or self.minimum_calls <= self.window, "minimum_calls", self.minimum_calls, right)

    def _check_times(self) -> None:
        reset = seconds("reset_timeout", self.reset_timeout)
        longest = None if self.max_reset_timeout is None else seconds("max_reset_timeout", self.max_reset_timeout)
        if longest is not None:
            need(longest >= reset, "max_reset_timeout", longest, f"at least reset_timeout={reset:g}")
        lease = reset if self.probe_timeout is None else seconds("probe_timeout", self.probe_timeout)
        ramp_up = seconds("ramp_up", self.ramp_up, zero=True)
        self._set(reset_seconds=reset, max_reset_seconds=longest, lease_seconds=lease, ramp_up_seconds=ramp_up)

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _weights(self) -> Reading[int]:
        # Those that differ in nothing share one: there may be a circuit for each of thousands of keys.
        if self.profiles:
            return Reading(self._weigh, self.profiles)
        found = _readings.get(self.trip_on)
        if found is None:
            found = _readings.setdefault(self.trip_on, Reading(self._weigh, {}))
        return found

    def _weigh(self, row: Profile) -> int:
        if row.weight and (self.trip_on is None or row.category in self.trip_on):
            return row.weight
        # It answered, if only to refuse. That decides nothing while the circuit is closed, but it satisfies a probe.
        return SUCCESS if row.category in ErrorCategory.CLIENT_ERROR else IGNORED

    def rate_exceeded(self, window: WindowSnapshot) -> bool:
        """Whether the failure rate or the rate of slow calls in *window* opens the circuit."""
        calls = window.calls
        if calls < self.min_calls:
            return False
        # Divided, not multiplied: 0.07 * 100 is more than 7.
        return (self.failure_rate is not None and window.failed / calls >= self.failure_rate) or (
            self.slow_call_rate is not None and window.slow / calls >= self.slow_call_rate
        )

    def non_default_options(self) -> list[str]:
        """Return the parameters that differ from their defaults, as they would be written."""
        always = ("failure_threshold", "reset_timeout")
        options: list[str] = []
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            if not field.init or field.name == "profiles" or (given == field.default and field.name not in always):
                continue
            if isinstance(given, ErrorCategory):
                text = given.label
            elif callable(given):
                text = getattr(given, "__qualname__", type(given).__name__)
            else:
                text = str(given) if given is None else f"{_seconds(given):g}"
            options.append(f"{field.name}={text}")
        return options

    def open_seconds(self, consecutive_opens: int, chance: float) -> float:
        """Return for how many seconds the circuit stays open; *chance* is uniform in [0, 1).

        ``v (0.5 + 0.5 chance)`` with ``v = min(max_reset_timeout, reset_timeout 2^(consecutive_opens - 1))``: equal
        jitter, so that the clients of one dependency do not come back all at once. Without `max_reset_timeout`,
        `reset_timeout`.
        """
        if self.max_reset_seconds is None:
            return self.reset_seconds
        grown = self.reset_seconds * 2.0 ** min(consecutive_opens - 1, 64)
        return min(self.max_reset_seconds, grown) * (0.5 + 0.5 * chance)


def _seconds(given: float | timedelta) -> float:
    return given if isinstance(given, int | float) else given.total_seconds()


_readings: dict[ErrorCategory | None, Reading[int]] = {}
