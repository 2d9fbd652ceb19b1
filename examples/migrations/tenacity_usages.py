"""tenacity: the usages that are found most often in public code, before and after."""

from __future__ import annotations

import logging

import tenacity as t

from resilience import (
    ErrorCategory,
    ResilienceError,
    RetriesExhaustedError,
    deadline,
    fallback,
    retry_on_category,
    retrying,
)

logger = logging.getLogger(__name__)


class NotReady(ResilienceError, category=ErrorCategory.UNAVAILABLE):
    """A failure of the program's own that is worth another attempt."""


def loop_before(call):
    for attempt in t.Retrying(stop=t.stop_after_attempt(3), reraise=True):
        with attempt:
            result = call()
    return result


def loop_after(call):
    for attempt in retrying(attempts=3):
        with attempt:
            result = call()
    return result


def handler_before(call):
    try:
        return t.retry(stop=t.stop_after_attempt(3))(call)()
    except t.RetryError as error:
        return type(error.last_attempt.exception()).__name__


def handler_after(call):
    try:
        return retry_on_category(attempts=3, on_exhausted="wrap")(call)()
    except RetriesExhaustedError as error:
        return type(error.__cause__).__name__


def try_again_before(call):
    @t.retry(stop=t.stop_after_attempt(3), reraise=True)
    def ask():
        if call() is None:
            raise t.TryAgain
        return "there"

    return ask()


def try_again_after(call):
    @retry_on_category(attempts=3)
    def ask():
        if call() is None:
            raise NotReady
        return "there"

    return ask()


def retry_with_before(call):
    guarded = t.retry(stop=t.stop_after_attempt(3), reraise=True)(call)
    return guarded.retry_with(stop=t.stop_after_attempt(5))()


def retry_with_after(call):  # a policy is a value: another one is made for the same function
    return retry_on_category(attempts=5).call(call)


def statistics_before(call):
    guarded = t.retry(stop=t.stop_after_attempt(3), reraise=True)(call)
    guarded()
    return guarded.statistics["attempt_number"]


def statistics_after(call):  # of a failure: report_of(error).made
    reports = []
    retry_on_category(attempts=3, on_success=reports.append)(call)()
    return reports[0].made


three = t.stop_after_attempt(3)
USAGES = {
    "three attempts": (
        lambda call: t.retry(stop=three, reraise=True)(call)(),
        lambda call: retry_on_category(attempts=3)(call)(),
    ),
    "no end": (
        lambda call: t.retry(call)(),
        lambda call: retry_on_category(attempts=None)(call)(),
    ),
    "wait_exponential": (
        lambda call: t.retry(stop=three, wait=t.wait_exponential(multiplier=1, min=2, max=10), reraise=True)(call)(),
        lambda call: retry_on_category(attempts=3, base_delay=2, max_delay=10)(call)(),
    ),
    "wait_fixed": (
        lambda call: t.retry(stop=three, wait=t.wait_fixed(2), reraise=True)(call)(),
        lambda call: retry_on_category(attempts=3, wait=2)(call)(),
    ),
    "wait_random_exponential": (
        lambda call: t.retry(stop=three, wait=t.wait_random_exponential(max=60), reraise=True)(call)(),
        lambda call: retry_on_category(attempts=3, base_delay=1, jitter="full")(call)(),
    ),
    "waits that are added": (
        lambda call: t.retry(stop=three, wait=t.wait_fixed(1) + t.wait_random(0, 2), reraise=True)(call)(),
        lambda call: retry_on_category(attempts=3, wait=t.wait_fixed(1) + t.wait_random(0, 2))(call)(),
    ),
    "retry_if_exception_type": (
        lambda call: t.retry(retry=t.retry_if_exception_type(ConnectionError), stop=three, reraise=True)(call)(),
        lambda call: retry_on_category("network", attempts=3)(call)(),
    ),
    "several types": (
        lambda call: t.retry(
            retry=t.retry_if_exception_type((ConnectionError, TimeoutError)), stop=three, reraise=True
        )(call)(),
        lambda call: retry_on_category("network", "timeout", attempts=3)(call)(),
    ),
    "retry_if_not_exception_type": (
        lambda call: t.retry(retry=t.retry_if_not_exception_type(KeyError), stop=three, reraise=True)(call)(),
        lambda call: retry_on_category(attempts=3)(call)(),  # a KeyError is not retried
    ),
    "retry_if_exception": (
        lambda call: t.retry(retry=t.retry_if_exception(lambda e: isinstance(e, OSError)), stop=three, reraise=True)(
            call
        )(),
        lambda call: retry_on_category(attempts=3, retry_if=t.retry_if_exception(lambda e: isinstance(e, OSError)))(
            call
        )(),
    ),
    "retry_if_result": (
        lambda call: t.retry(
            retry=t.retry_if_result(lambda r: r is None), stop=three, retry_error_callback=lambda s: s.outcome.result()
        )(call)(),
        lambda call: retry_on_category(attempts=3, retry_if_result=lambda r: r is None)(call)(),
    ),
    "errors and results": (
        lambda call: t.retry(
            retry=t.retry_if_exception_type(OSError) | t.retry_if_result(lambda r: r is None),
            stop=t.stop_after_attempt(9),
            reraise=True,
        )(call)(),
        lambda call: retry_on_category(attempts=9, retry_if_result=lambda r: r is None)(call)(),
    ),
    "before_sleep_log": (
        lambda call: t.retry(stop=three, before_sleep=t.before_sleep_log(logger, logging.WARNING), reraise=True)(
            call
        )(),
        lambda call: retry_on_category(
            attempts=3, on_retry=lambda event: logger.warning("retrying in %.1f s", event.wait)
        )(call)(),  # for all retries of the program: resilience.integrations.logging.log_events()
    ),
    "stop_after_delay": (
        lambda call: t.retry(stop=t.stop_after_delay(30) | three, reraise=True)(call)(),
        lambda call: deadline(30)(retry_on_category(attempts=3)(call))(),
    ),
    "retry_error_callback": (
        lambda call: t.retry(stop=three, retry_error_callback=lambda _: None)(call)(),
        lambda call: fallback(default=None)(retry_on_category(attempts=3)(call))(),
    ),
    "RetryError": (handler_before, handler_after),
    "Retrying": (loop_before, loop_after),
    "TryAgain": (try_again_before, try_again_after),
    "retry_with": (retry_with_before, retry_with_after),
    "statistics": (statistics_before, statistics_after),
}
