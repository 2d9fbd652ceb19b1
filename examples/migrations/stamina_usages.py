"""stamina: the usages that are found most often in public code, before and after."""

from __future__ import annotations

import asyncio

import stamina

from resilience import deadline, retry_on_category, retrying, settings
from resilience.testing import no_waits


def context_before(call):
    for attempt in stamina.retry_context(on=ConnectionError, attempts=3):
        with attempt:
            result = call()
    return result


def context_after(call):
    for attempt in retrying("network", attempts=3):
        with attempt:
            result = call()
    return result


def number_before(call):
    for attempt in stamina.retry_context(on=ConnectionError, attempts=3):
        with attempt:
            call()
            return attempt.num
    return None


def number_after(call):
    for attempt in retrying("network", attempts=3):
        with attempt:
            call()
            return attempt.number
    return None


def caller_before(call):
    return stamina.RetryingCaller(attempts=3)(ConnectionError, call)


def caller_after(call):
    return retry_on_category("network", attempts=3).call(call)


def testing_before(call):
    with stamina.set_testing(True, attempts=3):
        return stamina.retry(on=ConnectionError, attempts=3)(call)()


def testing_after(call):
    with no_waits():
        return retry_on_category("network", attempts=3)(call)()


def on_retry_before(call):
    seen = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: seen.append(details.retry_num)])
    try:
        stamina.retry(on=ConnectionError, attempts=3)(call)()
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    return seen


def on_retry_after(call):
    seen = []
    retry_on_category("network", attempts=3, on_retry=lambda event: seen.append(event.attempt))(call)()
    return seen


def inactive_before(call):
    stamina.set_active(False)
    try:
        return stamina.retry(on=ConnectionError, attempts=3)(call)()
    finally:
        stamina.set_active(True)


def inactive_after(call):
    with settings.disabled():
        return retry_on_category("network", attempts=3)(call)()


def bound_before(call):
    return stamina.RetryingCaller(attempts=3).on(ConnectionError)(call)


def bound_after(call):
    network = retry_on_category("network", attempts=3)  # a policy is a value
    return network.call(call)


quick = {"wait_initial": 0.001, "wait_jitter": 0}  # for the tests: these wait by the event loop


def async_before(call):
    @stamina.retry(on=ConnectionError, attempts=3, **quick)
    async def ask():
        return call()

    return asyncio.run(ask())


def async_after(call):
    @retry_on_category("network", attempts=3)
    async def ask():
        return call()

    return asyncio.run(ask())


def async_context_before(call):
    async def ask():
        async for attempt in stamina.retry_context(on=ConnectionError, attempts=3, **quick):
            with attempt:
                result = call()
        return result

    return asyncio.run(ask())


def async_context_after(call):
    async def ask():
        async for attempt in retrying("network", attempts=3):
            with attempt:
                result = call()
        return result

    return asyncio.run(ask())


def async_caller_before(call):
    async def ask():
        return call()

    return asyncio.run(stamina.AsyncRetryingCaller(attempts=3, **quick)(ConnectionError, ask))


def async_caller_after(call):
    async def ask():
        return call()

    return asyncio.run(retry_on_category("network", attempts=3).acall(ask))


def method_before(call):
    class Client:
        @stamina.retry(on=ConnectionError, attempts=3)
        def get(self):
            return call()

    return Client().get()


def method_after(call):
    class Client:
        @retry_on_category("network", attempts=3)
        def get(self):
            return call()

    return Client().get()


USAGES = {
    "a class": (
        lambda call: stamina.retry(on=ConnectionError, attempts=3)(call)(),
        lambda call: retry_on_category("network", attempts=3)(call)(),
    ),
    "several classes": (
        lambda call: stamina.retry(on=(ConnectionError, TimeoutError), attempts=3)(call)(),
        lambda call: retry_on_category("network", "timeout", attempts=3)(call)(),
    ),
    "the defaults": (
        lambda call: stamina.retry(on=OSError)(call)(),
        lambda call: deadline(45)(retry_on_category(attempts=10, max_delay=5)(call))(),
    ),
    "timeout": (
        lambda call: stamina.retry(on=ConnectionError, attempts=3, timeout=45.0)(call)(),
        lambda call: deadline(45)(retry_on_category("network", attempts=3)(call))(),
    ),
    "waits": (
        lambda call: stamina.retry(on=ConnectionError, attempts=3, wait_initial=1.0, wait_max=30.0, wait_jitter=2.0)(
            call
        )(),
        lambda call: retry_on_category("network", attempts=3, base_delay=1, max_delay=30)(call)(),
    ),
    "a steady wait": (
        lambda call: stamina.retry(on=OSError, attempts=3, wait_jitter=0, wait_exp_base=1, wait_initial=0.5)(call)(),
        lambda call: retry_on_category(attempts=3, wait=0.5)(call)(),
    ),
    "a predicate": (
        lambda call: stamina.retry(on=lambda error: isinstance(error, OSError), attempts=3)(call)(),
        lambda call: retry_on_category(
            attempts=3, retry_if=lambda state: isinstance(state.outcome.exception(), OSError)
        )(call)(),  # or, for all policies: register(predicate, "unavailable")
    ),
    "no number of attempts": (
        lambda call: stamina.retry(on=ConnectionError, attempts=None, timeout=7200)(call)(),
        lambda call: deadline(7200)(retry_on_category("network", attempts=None)(call))(),
    ),
    "retry_context": (context_before, context_after),
    "the number of an attempt": (number_before, number_after),
    "RetryingCaller": (caller_before, caller_after),
    "set_testing": (testing_before, testing_after),
    "set_active(False)": (inactive_before, inactive_after),
    "set_on_retry_hooks": (on_retry_before, on_retry_after),
    "RetryingCaller.on": (bound_before, bound_after),
    "a method": (method_before, method_after),
    "an async function": (async_before, async_after),
    "retry_context, async": (async_context_before, async_context_after),
    "AsyncRetryingCaller": (async_caller_before, async_caller_after),
    "one attempt": (
        lambda call: stamina.retry(on=OSError, attempts=1)(call)(),
        lambda call: retry_on_category(attempts=1)(call)(),
    ),
}
