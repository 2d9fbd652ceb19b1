"""Keywords of other libraries' decorators, and what to write in their place.

Imported when a decorator is given a keyword that it does not have. The names are those of tenacity, stamina, backoff,
retrying, urllib3, pybreaker, circuitbreaker, aiobreaker and resilience4j, and those that are often guessed.
"""

from __future__ import annotations

__all__ = ["advice_on"]

_CATEGORIES = "name categories, as in retry_on_category('network', 'timeout'), and register() your own exceptions"
_BY_CATEGORY = "categories decide what counts: give trip_on=, and register() your own exceptions"
_EVENTS = "resilience.subscribe(listener) receives the events of every call"
_DEADLINE = "put @deadline(seconds) above the retry"
_FALLBACK = "put @fallback(...) above this decorator"
_SAME_ERROR = "leave it out: the last error is raised unchanged"
_WRAPPED = 'write on_exhausted="wrap", which raises RetriesExhaustedError from the last error'

_RETRY = {
    # how often
    "max_tries": "write attempts=",
    "tries": "write attempts=",
    "total": "write max_retries=",
    "retries": "write max_retries=, or attempts= with the first call included",
    "max_retry": "write max_retries=",
    "num_retries": "write max_retries=",
    "retry_count": "write max_retries=",
    "max_retry_attempts": "write max_retries=",
    "stop_max_attempt_number": "write attempts=",
    "max_time": _DEADLINE,
    "stop_max_delay": _DEADLINE,
    "timeout": f"{_DEADLINE} for all attempts, or @timeout(seconds) below it for each",
    # how long between
    "delay": "write base_delay=",
    "wait_initial": "write base_delay=",
    "interval": "write wait=, in seconds, for the same wait each time",
    "wait_fixed": "write wait=, in seconds",
    "factor": "write base_delay=",
    "backoff_factor": "write base_delay=",
    "backoff": "write exponential_base=",
    "base": "write exponential_base=",
    "wait_exp_base": "write exponential_base=",
    "wait_gen": "write base_delay= and exponential_base=, or wait=",
    "max_value": "write max_delay=",
    "max_wait": "write max_delay=",
    "backoff_max": "write max_delay=",
    "wait_max": "write max_delay=",
    "wait_jitter": "write jitter=, such as jitter='full'",
    "backoff_jitter": "write jitter=, such as jitter='full'",
    "sleep": "leave it out; in tests, resilience.testing.virtual_time() replaces all waits",
    # what is retried
    "on": "name categories without the keyword: retry_on_category('network', 'timeout')",
    "retry": f"{_CATEGORIES}; a tenacity predicate is retry_if=",
    "exception": _CATEGORIES,
    "exceptions": _CATEGORIES,
    "retry_on": _CATEGORIES,
    "retry_on_exception": f"{_CATEGORIES}; or write retry_if=",
    "giveup": f"{_CATEGORIES}; or write retry_if=",
    "predicate": "write retry_if_result=",
    "retry_on_result": "write retry_if_result=",
    "status_forcelist": "call response.raise_for_status(); the status of the error decides",
    "respect_retry_after_header": "leave it out: the Retry-After header is always respected",
    "allowed_methods": "write idempotent=by_method",
    # what is called, and how it ends
    "before": _EVENTS,
    "after": _EVENTS,
    "before_sleep": "write on_retry=",
    "on_backoff": "write on_retry=",
    "on_giveup": _EVENTS,
    "retry_error_callback": _FALLBACK,
    "fallback": _FALLBACK,
    "retry_error_cls": _WRAPPED,
    "wrap_exception": _WRAPPED,
    "reraise": _SAME_ERROR,
    "raise_on_giveup": f"{_SAME_ERROR}; to return a value instead, {_FALLBACK}",
    "logger": "leave it out: resilience.integrations.logging.log_events() logs the events of every call",
    "backoff_log_level": "leave it out: resilience.integrations.logging.log_events() logs the events of every call",
    "giveup_log_level": "leave it out: resilience.integrations.logging.log_events() logs the events of every call",
    "name": "leave it out: events and metrics carry the name of the function",
    "enabled": "leave it out; resilience.settings.disabled() switches policies off",
}

_CIRCUIT = {
    # when it opens
    "fail_max": "write failure_threshold=",
    "max_failures": "write failure_threshold=",
    "threshold": "write failure_threshold=",
    "failures": "write failure_threshold=",
    "failure_rate_threshold": "write failure_rate=, a share such as 0.5",
    "error_rate": "write failure_rate=, a share such as 0.5",
    "slow_call_rate_threshold": "write slow_call_rate=, a share such as 0.5",
    "slow_call_duration_threshold": "write slow_call_seconds=",
    "sliding_window_size": "write window= for calls, or window_seconds=",
    "minimum_number_of_calls": "write minimum_calls=",
    "min_calls": "write minimum_calls=",
    # when it closes
    "recovery_timeout": "write reset_timeout=",
    "timeout_duration": "write reset_timeout=",
    "cooldown": "write reset_timeout=",
    "ttl": "write reset_timeout=",
    "timeout": "write reset_timeout= for the time it stays open; a limit of the call is @timeout(seconds) below it",
    "wait_duration_in_open_state": "write reset_timeout=",
    "half_open_max_calls": "write probes=",
    "permitted_number_of_calls_in_half_open_state": "write probes=",
    # what counts
    "expected_exception": _BY_CATEGORY,
    "exceptions": _BY_CATEGORY,
    "excluded_exceptions": _BY_CATEGORY,
    "ignore": _BY_CATEGORY,
    "record_exceptions": _BY_CATEGORY,
    "ignore_exceptions": _BY_CATEGORY,
    # the rest
    "state_storage": "write storage=",
    "on_open": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_close": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_state_change": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "fallback_function": _FALLBACK,
    "fallback": _FALLBACK,
    "throw_new_error_on_trip": "leave it out: the call that opens the circuit raises its own error",
}

_ADVICE = {"retry_on_category": _RETRY, "circuit_breaker": _CIRCUIT}


def advice_on(function: str, keyword: str) -> str | None:
    """Return what to write in place of a keyword that *function* does not have; None of one that is not known.

    >>> advice_on("circuit_breaker", "fail_max"), advice_on("circuit_breaker", "colour")
    ('write failure_threshold=', None)
    """
    return _ADVICE.get(function, {}).get(keyword)
