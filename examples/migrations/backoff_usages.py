"""backoff: the usages that are found most often in public code, before and after."""

from __future__ import annotations

import asyncio

import backoff

from resilience import deadline, fallback, retry_on_category


def on_success_before(call):
    seen = []
    backoff.on_exception(backoff.expo, OSError, max_tries=3, on_success=lambda d: seen.append(d["tries"]))(call)()
    return seen


def on_success_after(call):
    seen = []
    retry_on_category(attempts=3, on_success=lambda report: seen.append(report.made))(call)()
    return seen


def on_backoff_before(call):
    seen = []
    backoff.on_exception(backoff.expo, OSError, max_tries=3, on_backoff=lambda d: seen.append(d["tries"]))(call)()
    return seen


def on_backoff_after(call):
    seen = []
    retry_on_category(attempts=3, on_retry=lambda event: seen.append(event.attempt))(call)()
    return seen


def on_giveup_before(call):
    seen = []
    try:
        backoff.on_exception(backoff.expo, OSError, max_tries=3, on_giveup=lambda d: seen.append(d["tries"]))(call)()
    except OSError:
        return seen
    return seen


def on_giveup_after(call):
    try:
        retry_on_category(attempts=3)(call)()
    except OSError as error:
        return [error.resilience.made]  # or the event RetriesExhausted, for all retries of the program
    return []


def async_before(call):
    @backoff.on_exception(backoff.expo, OSError, max_tries=3, factor=0.001)
    async def ask():
        return call()

    return asyncio.run(ask())


def async_after(call):
    @retry_on_category(attempts=3)
    async def ask():
        return call()

    return asyncio.run(ask())


def method_before(call):
    class Client:
        @backoff.on_exception(backoff.expo, OSError, max_tries=3)
        def get(self):
            return call()

    return Client().get()


def method_after(call):
    class Client:
        @retry_on_category(attempts=3)
        def get(self):
            return call()

    return Client().get()


USAGES = {
    "expo, max_tries": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_tries=3)(call)(),
        lambda call: retry_on_category(attempts=3)(call)(),
    ),
    "several classes": (
        lambda call: backoff.on_exception(backoff.expo, (ConnectionError, TimeoutError), max_tries=3)(call)(),
        lambda call: retry_on_category("network", "timeout", attempts=3)(call)(),
    ),
    "max_time": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_time=30)(call)(),
        lambda call: deadline(30)(retry_on_category(attempts=None)(call))(),
    ),
    "max_tries and max_time": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_tries=3, max_time=300)(call)(),
        lambda call: deadline(300)(retry_on_category(attempts=3)(call))(),
    ),
    "no end": (
        lambda call: backoff.on_exception(backoff.expo, OSError)(call)(),
        lambda call: retry_on_category(attempts=None)(call)(),
    ),
    "factor, max_value": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_tries=7, factor=0.1, max_value=5)(call)(),
        lambda call: retry_on_category(attempts=7, base_delay=0.1, max_delay=5, jitter="full")(call)(),
    ),
    "no jitter": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_tries=3, jitter=None)(call)(),
        lambda call: retry_on_category(attempts=3, base_delay=1, jitter="none")(call)(),
    ),
    "constant": (
        lambda call: backoff.on_exception(backoff.constant, OSError, max_tries=3, interval=2, jitter=None)(call)(),
        lambda call: retry_on_category(attempts=3, wait=2)(call)(),
    ),
    "fibo": (
        lambda call: backoff.on_exception(backoff.fibo, OSError, max_tries=3)(call)(),
        lambda call: retry_on_category(attempts=3, base_delay=1, exponential_base=1.6)(call)(),
    ),
    "giveup": (
        lambda call: backoff.on_exception(
            backoff.expo, Exception, max_tries=3, giveup=lambda error: not isinstance(error, OSError)
        )(call)(),
        lambda call: retry_on_category(attempts=3)(call)(),  # a category says the same once, for all policies
    ),
    "raise_on_giveup=False": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_tries=3, raise_on_giveup=False)(call)(),
        lambda call: fallback(default=None)(retry_on_category(attempts=3)(call))(),
    ),
    "on_predicate": (
        lambda call: backoff.on_predicate(backoff.expo, max_tries=3)(call)(),
        lambda call: retry_on_category(attempts=3, retry_if_result=lambda result: not result)(call)(),
    ),
    "on_predicate with a function": (
        lambda call: backoff.on_predicate(backoff.constant, lambda r: r is None, max_tries=3, interval=1)(call)(),
        lambda call: retry_on_category(attempts=3, wait=1, retry_if_result=lambda r: r is None)(call)(),
    ),
    "two decorators": (
        lambda call: backoff.on_exception(backoff.expo, TimeoutError, max_tries=2)(
            backoff.on_exception(backoff.expo, ConnectionError, max_tries=3)(call)
        )(),
        lambda call: retry_on_category("timeout", "network", attempts=3, max_attempts={"timeout": 2})(call)(),
    ),
    "logger=None": (
        lambda call: backoff.on_exception(backoff.expo, OSError, max_tries=3, logger=None)(call)(),
        lambda call: retry_on_category(attempts=3)(call)(),  # nothing is logged unless log_events() is called
    ),
    "an async function": (async_before, async_after),
    "a method": (method_before, method_after),
    "on_backoff": (on_backoff_before, on_backoff_after),
    "on_giveup": (on_giveup_before, on_giveup_after),
    "on_success": (on_success_before, on_success_after),
}
