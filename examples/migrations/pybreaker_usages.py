"""pybreaker: the usages that are found most often in public code, before and after; each function is called 9 times."""

from __future__ import annotations

import pybreaker
import tenacity

from resilience import CircuitOpenError, ErrorCategory, circuit_breaker, circuits, retry_on_category

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


def counter_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=20, **quiet)
    nine(breaker(call))
    return breaker.fail_counter


def counter_after(call):
    breaker = circuit_breaker(new_name(), failure_threshold=20)
    nine(breaker(call))
    return breaker.fail_counter


def half_open_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, **quiet)
    breaker.half_open()
    return nine(breaker(call))[0], breaker.current_state


def half_open_after(call):
    breaker = circuit_breaker(new_name(), failure_threshold=5)
    breaker.half_open()
    return nine(breaker(call))[0], breaker.current_state


class Failures(pybreaker.CircuitBreakerListener):
    """A listener that counts failures and successes."""

    def __init__(self) -> None:
        self.seen = []

    def failure(self, cb, exc):
        self.seen.append(type(exc).__name__)

    def success(self, cb):
        self.seen.append("success")


def failures_before(call):
    listener = Failures()
    nine(pybreaker.CircuitBreaker(fail_max=20, listeners=[listener], **quiet)(call))
    return listener.seen


def failures_after(call):
    listener = Failures()
    nine(circuit_breaker(new_name(), failure_threshold=20, listeners=[listener])(call))
    return listener.seen


def added_before(call):
    breaker, listener = pybreaker.CircuitBreaker(fail_max=5, **quiet), Opened()
    breaker.add_listener(listener)
    nine(breaker(call))
    return listener.states


def added_after(call):
    breaker, listener = circuit_breaker(new_name(), failure_threshold=5), Opened()
    breaker.add_listener(listener)
    nine(breaker(call))
    return listener.states


def storage_before(call):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    nine(pybreaker.CircuitBreaker(fail_max=5, state_storage=storage, **quiet)(call))
    return storage.state


def storage_after(call):
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    nine(circuit_breaker(new_name(), failure_threshold=5, storage=storage)(call))
    return storage.state


def per_service_before(call):
    breakers = {}

    def ask(service):
        if service not in breakers:
            breakers[service] = pybreaker.CircuitBreaker(fail_max=5, name=service, **quiet)
        return breakers[service].call(call)

    return nine(lambda: ask("one")), nine(lambda: ask("two"))


def per_service_after(call):
    @circuit_breaker(new_name(), failure_threshold=5, key=lambda service: service)
    def ask(service):  # noqa: ARG001
        return call()

    return nine(lambda: ask("one")), nine(lambda: ask("two"))


def with_tenacity_before(call):
    guarded = pybreaker.CircuitBreaker(fail_max=5, **quiet)(call)
    again = tenacity.retry_if_not_exception_type((pybreaker.CircuitBreakerError, KeyError))
    return nine(tenacity.retry(retry=again, stop=tenacity.stop_after_attempt(2), reraise=True)(guarded))


def with_tenacity_after(call):
    guarded = circuit_breaker(new_name(), failure_threshold=5)(call)
    return nine(retry_on_category(attempts=2)(guarded))


def method_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, **quiet)

    class Client:
        @breaker
        def get(self):
            return call()

    return nine(Client().get)


def method_after(call):
    @circuit_breaker(new_name(), failure_threshold=5)  # the whole class: each of its methods
    class Client:
        def get(self):
            return call()

    return nine(Client().get)


def health_before(call):
    breaker = pybreaker.CircuitBreaker(fail_max=5, name="billing", **quiet)
    nine(breaker(call))
    return {"billing": breaker.current_state}


def health_after(call):
    breaker = circuit_breaker(name := new_name(), failure_threshold=5)
    nine(breaker(call))
    states = {one["name"]: one["state"] for one in circuits.snapshot()}
    return {"billing": states[name]}


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
    "half_open()": (half_open_before, half_open_after),
    "fail_counter": (counter_before, counter_after),
    "failure(), success() of a listener": (failures_before, failures_after),
    "add_listener": (added_before, added_after),
    "state_storage": (storage_before, storage_after),
    "a breaker for each service": (per_service_before, per_service_after),
    "below tenacity": (with_tenacity_before, with_tenacity_after),
    "a method": (method_before, method_after),
    "the state for a health check": (health_before, health_after),
    "exclude by a function": (
        lambda call: nine(
            pybreaker.CircuitBreaker(fail_max=5, exclude=[lambda e: isinstance(e, KeyError)], **quiet)(call)
        ),
        lambda call: nine(circuit_breaker(new_name(), failure_threshold=5, trip_on=ErrorCategory.INFRASTRUCTURE)(call)),
    ),
    "failures one by one": (
        lambda call: nine(pybreaker.CircuitBreaker(fail_max=1, **quiet)(call)),
        lambda call: nine(circuit_breaker(new_name(), failure_threshold=1)(call)),
    ),
}
