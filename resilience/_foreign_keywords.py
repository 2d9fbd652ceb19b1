"""Keywords of other libraries' decorators, and what to write in their place.

Imported when a decorator is given a keyword that it does not have. The names are those of tenacity, stamina, backoff,
retrying, urllib3, pybreaker, circuitbreaker, aiobreaker, purgatory, interlock, pyresilience, redress and nopanic, those
of resilience4j and Polly as Python would spell them, and those that are often guessed.
"""

from __future__ import annotations

import re

__all__ = ["advice_on"]

_CATEGORIES = "name categories, as in retry_on_category('network', 'timeout'), and register() your own exceptions"
_BY_CATEGORY = "categories decide what counts: give trip_on=, and register() your own exceptions"
_EVENTS = "resilience.subscribe(listener) receives the events of every call"
_DEADLINE = "put @deadline(seconds) above the retry"
_NEXT_CALL = "leave it out: the next call after reset_timeout is the probe"
_FALLBACK = "put @fallback(...) above this decorator"
_OF_FUNCTION = "leave it out: events and metrics carry the name of the function"
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
    "max_unknown_attempts": "write max_attempts={'unknown': ...}",
    "per_class_max_attempts": "write max_attempts={...}, by category",
    "max_duration": _DEADLINE,
    "overall_timeout": _DEADLINE,
    "deadline": _DEADLINE,
    "attempt_timeout": "put @timeout(seconds) below the retry",
    "per_attempt": "put @timeout(seconds) below the retry",
    "max_time": _DEADLINE,
    "stop_max_delay": _DEADLINE,
    "timeout": f"{_DEADLINE} for all attempts, or @timeout(seconds) below it for each",
    # how long between
    "delay": "write base_delay=",
    "retry_delay": "write base_delay=",
    "initial_delay": "write base_delay=",
    "initial_interval": "write base_delay=",
    "wait_duration": "write wait=, in seconds, for the same wait each time",
    "multiplier": "write exponential_base=",
    "backoff_multiplier": "write exponential_base=",
    "randomization_factor": "write jitter=, such as jitter='full'",
    "use_jitter": "write jitter='full', or jitter='none'",
    "backoff_type": "write exponential_base=1 for equal waits; they grow exponentially otherwise",
    "delay_generator": "write wait=",
    "delay_func": "write wait=",
    "interval_function": "write wait=",
    "interval_bi_function": "write wait=",
    "strategy": "write wait=",
    "strategies": "write waits={...}, by category",
    "class_strategies": "write waits={...}, by category",
    "default_strategy": "write wait=",
    "sleeper": "leave it out; in tests, resilience.testing.virtual_time() replaces all waits",
    "clock": "leave it out; in tests, resilience.testing.virtual_time() replaces it",
    "honor_retry_after": "leave it out: the Retry-After header is always respected",
    "retry_after_cap": "write max_delay=: a longer Retry-After ends the retries",
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
    "should_handle": f"{_CATEGORIES}; or write retry_if=",
    "retry_exceptions": _CATEGORIES,
    "ignore_exceptions": _CATEGORIES,
    "ignore": _CATEGORIES,
    "ignore_on": _CATEGORIES,
    "abort_if": f"{_CATEGORIES}; or write retry_if=",
    "abort_on": _CATEGORIES,
    "retry_on_exception_predicate": f"{_CATEGORIES}; or write retry_if=",
    "retry_on_result_predicate": "write retry_if_result=",
    "on_result": "write retry_if_result=",
    "classifier": _CATEGORIES,
    "result_classifier": "write retry_if_result=",
    "consume_result_before_retry_attempt": _EVENTS,
    "retry_on_status_codes": "call response.raise_for_status(); the status of the error decides",
    "status_forcelist": "call response.raise_for_status(); the status of the error decides",
    "respect_retry_after_header": "leave it out: the Retry-After header is always respected",
    "allowed_methods": "write idempotent=by_method",
    # what is called, and how it ends
    "before": _EVENTS,
    "after": _EVENTS,
    "before_sleep": "write on_retry=",
    "on_backoff": "write on_retry=",
    "on_attempt_start": _EVENTS,
    "on_attempt_end": _EVENTS,
    "on_metric": _EVENTS,
    "on_failure": _EVENTS,
    "on_log": "leave it out: resilience.integrations.logging.log_events() logs the events of every call",
    "operation": _OF_FUNCTION,
    "fail_after_max_attempts": _WRAPPED,
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
    "name": _OF_FUNCTION,
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
    "failure_ratio": "write failure_rate=, a share such as 0.5",
    "slow_call_threshold": "write slow_call_rate=, a share such as 0.5",
    "slow_call_duration": "write slow_call_seconds=",
    "slow_call_rate_threshold": "write slow_call_rate=, a share such as 0.5",
    "slow_call_duration_threshold": "write slow_call_seconds=",
    "sliding_window_size": "write window= for calls, or window_seconds=",
    "sliding_window_type": "write window= for calls, or window_seconds=",
    "window_type": "write window= for calls, or window_seconds=",
    "window_s": "write window_seconds=",
    "window_size": "write window= for calls, or window_seconds=",
    "window_buckets": "write window= for calls, or window_seconds=",
    "sampling_duration": "write window_seconds=",
    "minimum_throughput": "write minimum_calls=",
    "default_threshold": "write failure_threshold=",
    "class_thresholds": "write profiles={...}: the weight of a category is how much it counts",
    "minimum_number_of_calls": "write minimum_calls=",
    "min_calls": "write minimum_calls=",
    # when it closes
    "recovery_timeout": "write reset_timeout=",
    "timeout_duration": "write reset_timeout=",
    "cooldown": "write reset_timeout=",
    "ttl": "write reset_timeout=",
    "timeout": "write reset_timeout= for the time it stays open; a limit of the call is @timeout(seconds) below it",
    "wait_duration_in_open_state": "write reset_timeout=",
    "default_ttl": "write reset_timeout=",
    "break_duration": "write reset_timeout=",
    "break_duration_generator": "write max_reset_timeout=: the time doubles each time",
    "wait_duration_in_open": "write reset_timeout=",
    "wait_duration_in_open_max": "write max_reset_timeout=: the time doubles each time",
    "wait_duration_backoff_multiplier": "write max_reset_timeout=: the time doubles each time",
    "wait_interval_function_in_open_state": "write max_reset_timeout=: the time doubles each time",
    "max_wait_duration_in_half_open_state": "write probe_timeout=",
    "automatic_transition_from_open_to_half_open_enabled": _NEXT_CALL,
    "auto_transition": _NEXT_CALL,
    "max_concurrent_probes": "write probes=",
    "permitted_calls_in_half_open": "write success_threshold= for how many succeed, probes= for how many at a time",
    "half_open_max_calls": "write probes=",
    "permitted_number_of_calls_in_half_open_state": "write probes=",
    # what counts
    "expected_exception": _BY_CATEGORY,
    "exceptions": _BY_CATEGORY,
    "excluded_exceptions": _BY_CATEGORY,
    "ignore": _BY_CATEGORY,
    "record_exceptions": _BY_CATEGORY,
    "on": _BY_CATEGORY,
    "error_types": _BY_CATEGORY,
    "ignore_on": _BY_CATEGORY,
    "should_handle": _BY_CATEGORY,
    "classifier": _BY_CATEGORY,
    "unreachable_exceptions": _BY_CATEGORY,
    "record_exception_predicate": _BY_CATEGORY,
    "ignore_exception_predicate": _BY_CATEGORY,
    "record_failure_predicate": _BY_CATEGORY,
    "record_result_predicate": "write failure_if=",
    "ignore_exceptions": _BY_CATEGORY,
    # the rest
    "state_storage": "write storage=",
    "uow": "write storage=",
    "circuit": "give the name first: circuit_breaker('billing')",
    "listener": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_opened": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_closed": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_half_opened": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "manual_control": "leave it out: the circuit has isolate() and reset()",
    "state_provider": "leave it out: the circuit has current_state; resilience.circuits.snapshot() shows all",
    "initial_state": "leave it out: the circuit has open() and isolate()",
    "clock": "leave it out; in tests, resilience.testing.virtual_time() replaces it",
    "on_open": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_close": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "on_state_change": f"{_EVENTS}; listeners= takes pybreaker's listeners",
    "fallback_function": _FALLBACK,
    "fallback": _FALLBACK,
    "throw_new_error_on_trip": "leave it out: the call that opens the circuit raises its own error",
}

_FALLBACK_VALUE = "write default=, or factory= for a function that makes it"

_FALLBACKS: dict[str, str] = {
    **dict.fromkeys(("value", "fallback", "fallback_value", "return_value", "outcome"), _FALLBACK_VALUE),
    **dict.fromkeys(("handler", "fallback_function", "fallback_action", "func", "function"), "write factory="),
    **dict.fromkeys(("exception", "exceptions", "fallback_on", "should_handle"), "write on=, with categories"),
    "ttl": "write max_age=, with stale=",
    "cache": "write stale=",
    "on_fallback": _EVENTS,
    "name": _OF_FUNCTION,
}

_SECONDS = "give the seconds first: timeout(2.5)"

_TIME_LIMITS = {
    **dict.fromkeys(("timeout", "limit", "duration", "timeout_duration", "timeout_seconds", "delay"), _SECONDS),
    **dict.fromkeys(("per_item", "item_timeout", "read_timeout"), "write idle=, the time between items"),
    "use_signals": "write mode='signal'",
    "cancel_running_future": "leave it out: an async call is cancelled, a thread cannot be",
    "exception": "leave it out: it raises a CallTimeoutError, which is a TimeoutError",
    "timeout_exception": "leave it out: it raises a CallTimeoutError, which is a TimeoutError",
    "on_timeout": _EVENTS,
    "name": _OF_FUNCTION,
    "max_abandoned": "leave it out: resilience.settings.limit_abandoned_threads() sets it",
}

_DEADLINES: dict[str, str] = dict.fromkeys(
    ("timeout", "limit", "duration", "total", "max_time", "budget"), "give the seconds first: deadline(2.5)"
)

_MAX_WAIT = "write max_wait=, in seconds"
_LIMIT = "give the limit after the name: bulkhead('stock', 10)"

_BULKHEADS = {
    **dict.fromkeys(("max_concurrent", "max_concurrent_calls", "max_concurrency", "max_parallel", "capacity"), _LIMIT),
    **dict.fromkeys(("permit_limit", "permits", "max_calls", "max_parallelization"), _LIMIT),
    **dict.fromkeys(("max_wait_duration", "timeout", "wait_timeout", "acquire_timeout"), _MAX_WAIT),
    **dict.fromkeys(("queue_limit", "queue_size", "queue_capacity", "max_queuing_actions"), "write max_queue="),
    "fair_call_handling_strategy_enabled": "write order='oldest'",
    "queue_processing_order": "write order='oldest' or order='newest'",
    "listener": _EVENTS,
    "on_rejected": _EVENTS,
}

_ADAPTIVE_LIMITS = {
    **{name: advice for name, advice in _BULKHEADS.items() if advice in (_MAX_WAIT, _EVENTS, "write max_queue=")},
    **dict.fromkeys(("limit", "initial_limit", "initial", "start_limit"), "write start="),
    **dict.fromkeys(("min_limit", "minimum", "min_concurrency"), "write least="),
    **dict.fromkeys(("max_limit", "maximum", "max_concurrency", "max_concurrent"), "write most="),
}

_ADVICE: dict[str, dict[str, str]] = {
    "retry_on_category": _RETRY,
    "circuit_breaker": _CIRCUIT,
    "fallback": _FALLBACKS,
    "timeout": _TIME_LIMITS,
    "deadline": _DEADLINES,
    "bulkhead": _BULKHEADS,
    "adaptive_limit": _ADAPTIVE_LIMITS,
}
_UNITS = re.compile("_(s|secs?|seconds|ms|millis|milliseconds)$")


def advice_on(function: str, keyword: str) -> str | None:
    """Return what to write in place of a keyword that *function* does not have; None of one that is not known.

    A keyword of Java or .NET is understood in its own spelling, and one with a unit at its end.

    >>> advice_on("circuit_breaker", "fail_max"), advice_on("circuit_breaker", "colour")
    ('write failure_threshold=', None)
    >>> advice_on("circuit_breaker", "waitDurationInOpenState"), advice_on("retry_on_category", "retry_delay_ms")
    ('write reset_timeout=', 'write base_delay=, in seconds')
    """
    advice = _ADVICE.get(function, {})
    name = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", keyword).lower()
    if name in advice:
        return advice[name]
    without_unit = _UNITS.sub("", name)
    if without_unit in advice and without_unit != name:
        return f"{advice[without_unit]}, in seconds".replace(", in seconds, in seconds", ", in seconds")
    return None
