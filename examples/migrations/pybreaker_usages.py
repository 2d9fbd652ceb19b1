"""pybreaker: the usages that are found most often in public code, before and after; each function is called 9 times."""

from __future__ import annotations

import pybreaker

from resilience import CircuitOpenError, ErrorCategory, circuit_breaker

quiet = {"throw_new_error_on_trip": False}  # the call that opens the circuit raises its own error, as here
_numbers = iter(range(10_000))


def new_name() -> str:
    """Return a name for a circuit; a program writes it out, ``circuit_breaker("billing")``."""
    return f"migrating {next(_numbers)}"


def nine(call):
    """Call nine times; return what came of it."""
    seen = []
    for _ in range(9):
        try:
            seen.append(call())
        except pybreaker.CircuitBreakerError:  # `CircuitOpenError` is one, too
            seen.append("open")
        except Exception as error:
            seen.append(type(error).__name__)
    return seen


class Opened(pybreaker.CircuitBreakerListener):
    """A listener that notes the states."""

    def __init__(self) -> None:
        self.states = []

    def state_change(self, cb, old_state, new_state):
        self.states.append(new_state.name)


def listener_before(call):
    listener = Opened()
    guarded = pybreaker.CircuitBreaker(fail_max=5, listeners=[listener], **quiet)(call)
    nine(guarded)
    return listener.states


def listener_after(call):
    listener = Opened()
    nine(circuit_breaker(new_name(), failure_threshold=5, listeners=[listener])(call))
    return listener.states


def state_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, **quiet)
    nine(breaker(call))
    return breaker.current_state == pybreaker.STATE_OPEN, breaker.fail_max


def state_after(call):
    breaker = circuit_breaker(new_name(), failure_threshold=5)
    nine(breaker(call))
    return breaker.current_state == pybreaker.STATE_OPEN, breaker.fail_max


def block_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, **quiet)

    def run():
        with breaker.calling():
            return call()

    return nine(run)


def block_after(call):
    breaker = circuit_breaker(new_name(), failure_threshold=5)

    def run():
        with breaker:
            return call()

    return nine(run)


def substitute_before(call):
    guarded = pybreaker.CircuitBreaker(fail_max=5, **quiet)(call)

    def ask():
        try:
            return guarded()
        except pybreaker.CircuitBreakerError:
            return "open"

    return nine(ask)


def substitute_after(call):
    guarded = circuit_breaker(new_name(), failure_threshold=5)(call)

    def ask():
        try:
            return guarded()
        except CircuitOpenError:
            return "open"

    return nine(ask)


def call_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, **quiet)
    return nine(lambda: breaker.call(call))


def call_after(call):
    breaker = circuit_breaker(new_name(), failure_threshold=5)
    return nine(lambda: breaker.call(call))


def by_hand_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, **quiet)
    breaker.open()
    first = nine(breaker(call))
    breaker.close()
    return first, breaker.current_state


def by_hand_after(call):
    breaker = circuit_breaker(new_name(), failure_threshold=5)
    breaker.open()
    first = nine(breaker(call))
    breaker.close()
    return first, breaker.current_state


USAGES = {
    "fail_max, reset_timeout": (
        lambda call: nine(pybreaker.CircuitBreaker(fail_max=5, reset_timeout=30, **quiet)(call)),
        lambda call: nine(circuit_breaker(new_name(), failure_threshold=5, reset_timeout=30)(call)),
    ),
    "name": (
        lambda call: nine(pybreaker.CircuitBreaker(fail_max=3, reset_timeout=30, name="billing", **quiet)(call)),
        lambda call: nine(circuit_breaker(new_name(), failure_threshold=3, reset_timeout=30)(call)),
    ),
    "call": (call_before, call_after),
    "exclude": (
        lambda call: nine(pybreaker.CircuitBreaker(fail_max=5, exclude=[KeyError], **quiet)(call)),
        lambda call: nine(circuit_breaker(new_name(), failure_threshold=5, trip_on=ErrorCategory.INFRASTRUCTURE)(call)),
    ),
    "listeners": (listener_before, listener_after),
    "current_state, fail_max": (state_before, state_after),
    "calling()": (block_before, block_after),
    "except CircuitBreakerError": (substitute_before, substitute_after),
    "open(), close()": (by_hand_before, by_hand_after),
}
