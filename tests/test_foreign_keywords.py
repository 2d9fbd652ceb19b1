"""Keywords of other libraries are answered with what to write here; the libraries' own signatures are the list."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import re

import backoff
import circuitbreaker
import interlock
import nopanic
import purgatory
import pybreaker
import pyresilience
import pytest
import redress
import stamina
import tenacity

import resilience
from resilience import (
    adaptive_limit,
    bulkhead,
    circuit_breaker,
    deadline,
    fallback,
    retry_on_category,
    retrying,
    timeout,
)
from resilience._foreign_keywords import _ADVICE, advice_on
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies._retry_config import RetryOptions

RETRY = set(RetryOptions.__annotations__)
CIRCUIT = {field.name for field in dataclasses.fields(CircuitBreakerConfig) if field.init}
OPTIONS = {
    "retry_on_category": RETRY,
    "circuit_breaker": CIRCUIT,
    **{each.__name__: set(inspect.signature(each).parameters) for each in (fallback, timeout, deadline)},
    "bulkhead": set(inspect.signature(bulkhead).parameters),
    "adaptive_limit": set(inspect.signature(adaptive_limit).parameters),
}


def keywords_of(function) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind in kinds and each.name != "self"]


RIVALS = {
    "retry_on_category": (
        *(tenacity.BaseRetrying, stamina.retry, backoff.on_exception, backoff.on_predicate, nopanic.retry),
        *(pyresilience.RetryConfig, redress.Retry),
    ),
    "circuit_breaker": (
        *(pybreaker.CircuitBreaker, circuitbreaker.CircuitBreaker, nopanic.circuit_breaker, redress.CircuitBreaker),
        *(pyresilience.CircuitBreakerConfig, interlock.Config, purgatory.AsyncCircuitBreakerFactory),
        purgatory.AsyncCircuitBreakerFactory.get_breaker,
    ),
    "fallback": (nopanic.fallback, pyresilience.FallbackConfig),
    "timeout": (nopanic.timeout, interlock.timeout),
    "bulkhead": (nopanic.bulkhead, pyresilience.BulkheadConfig, interlock.BulkheadStrategy),
}
# Java's and C#'s own, from resilience4j's RetryConfig, CircuitBreakerConfig, BulkheadConfig and TimeLimiterConfig, and
# from Polly's RetryStrategyOptions, CircuitBreakerStrategyOptions, FallbackStrategyOptions and TimeoutStrategyOptions.
OF_OTHER_LANGUAGES = {
    "retry_on_category": """waitDuration intervalFunction intervalBiFunction retryOnResultPredicate retryExceptions
        retryOnExceptionPredicate ignoreExceptions failAfterMaxAttempts consumeResultBeforeRetryAttempt
        ShouldHandle MaxRetryAttempts BackoffType UseJitter Delay DelayGenerator""",
    "circuit_breaker": """failureRateThreshold slowCallRateThreshold slowCallDurationThreshold
        permittedNumberOfCallsInHalfOpenState maxWaitDurationInHalfOpenState slidingWindowType slidingWindowSize
        minimumNumberOfCalls waitDurationInOpenState automaticTransitionFromOpenToHalfOpenEnabled recordExceptions
        waitIntervalFunctionInOpenState ignoreExceptions recordExceptionPredicate ignoreExceptionPredicate
        recordFailurePredicate recordResultPredicate
        ShouldHandle FailureRatio SamplingDuration MinimumThroughput BreakDuration BreakDurationGenerator
        ManualControl StateProvider OnOpened OnClosed OnHalfOpened""",
    "fallback": "ShouldHandle FallbackAction OnFallback",
    "timeout": "timeoutDuration cancelRunningFuture Timeout OnTimeout",
    "bulkhead": "maxConcurrentCalls maxWaitDuration fairCallHandlingStrategyEnabled PermitLimit QueueLimit",
}
FOREIGN = [(name, word) for name, rivals in RIVALS.items() for rival in rivals for word in keywords_of(rival)] + [
    (name, word) for name, words in OF_OTHER_LANGUAGES.items() for word in words.split()
]


@pytest.mark.parametrize(("function", "keyword"), sorted(set(FOREIGN)))
def test_each_keyword_of_another_library_is_an_option_here_or_answered_with_advice(function, keyword):
    assert keyword in OPTIONS[function] or advice_on(function, keyword) is not None


@pytest.mark.parametrize("function", OPTIONS)
def test_advice_names_options_that_exist_and_no_option_has_advice(function):
    options = OPTIONS[function]
    for keyword, advice in _ADVICE[function].items():
        assert keyword not in options, f"{keyword} is an option, so that its advice is never given"
        assert set(re.findall(r"\b([a-z_]+)=", advice)) <= options | RETRY | CIRCUIT, advice
        for dotted in re.findall(r"resilience\.([a-z_.]+)", advice):
            assert callable(pkgutil.resolve_name(f"resilience.{dotted}"))
        for decorator in re.findall(r"@(\w+)", advice):
            assert decorator in resilience.__all__


@pytest.mark.parametrize(
    ("decorator", "keyword", "said"),
    [
        (circuit_breaker, "fail_max", "keyword argument 'fail_max'; write failure_threshold="),
        (circuit_breaker, "recovery_timeout", "keyword argument 'recovery_timeout'; write reset_timeout="),
        (circuit_breaker, "expected_exception", "categories decide what counts: give trip_on="),
        (circuit_breaker, "reset_timout", "did you mean 'reset_timeout'?"),
        (retry_on_category, "retries", "keyword argument 'retries'; write max_retries="),
        (retry_on_category, "max_tries", "keyword argument 'max_tries'; write attempts="),
        (retry_on_category, "on", "without the keyword: retry_on_category('network', 'timeout')"),
        (retry_on_category, "retry", "name categories, as in retry_on_category('network', 'timeout')"),
        (retry_on_category, "atempts", "did you mean 'attempts'?"),
        (retrying, "reraise", "the last error is raised unchanged"),
        (circuit_breaker, "waitDurationInOpenState", "'waitDurationInOpenState'; write reset_timeout="),
        (circuit_breaker, "recovery_timeout_s", "'recovery_timeout_s'; write reset_timeout=, in seconds"),
        (circuit_breaker, "reset_timeout_seconds", "did you mean 'reset_timeout'?"),
        (retry_on_category, "retry_delay_ms", "write base_delay=, in seconds"),
        (fallback, "fallback_value", "fallback() got an unexpected keyword argument 'fallback_value'; write default="),
        (fallback, "handler", "write factory="),
        (fallback, "defualt", "did you mean 'default'?"),
        (timeout, "timeout", "timeout() got an unexpected keyword argument 'timeout'; give the seconds first"),
        (timeout, "secnds", "did you mean 'seconds'?"),
        (deadline, "max_time", "deadline() got an unexpected keyword argument 'max_time'; give the seconds first"),
        (
            bulkhead,
            "max_concurrent_calls",
            "bulkhead() got an unexpected keyword argument 'max_concurrent_calls'; give",
        ),
        (bulkhead, "max_queu", "did you mean 'max_queue'?"),
    ],
)
def test_a_foreign_keyword_fails_where_it_is_written_and_says_what_to_write(decorator, keyword, said):
    with pytest.raises(TypeError) as raised:
        decorator(**{keyword: 3})
    assert said in str(raised.value)


def test_a_keyword_that_resembles_nothing_gets_no_advice():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'colour'$"):
        circuit_breaker(colour="red")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: circuit_breaker(5, 60), r"circuit_breaker\(5, 60\): give the name alone by its position, and options"),
        (lambda: circuit_breaker("b", 5), r"as in circuit_breaker\('billing', failure_threshold=5, reset_timeout=60\)"),
        (
            lambda: retry_on_category(max_attempts=3),
            r"max_attempts=3: give a mapping by category.*attempts= is for all",
        ),
        (lambda: retry_on_category(("network", "timeout")), r"several are one text, such as 'network\|timeout'"),
        (lambda: fallback(default=1, on=["network"]), r"several are one text, such as 'network\|timeout'"),
        (
            lambda: circuit_breaker(trip_on=KeyError),
            "give an ErrorCategory.*, not an exception class; .*resilience.register",
        ),
        (
            lambda: fallback(default=1, on=KeyError),
            "give an ErrorCategory.*, not an exception class; .*resilience.register",
        ),
    ],
)
def test_values_as_other_libraries_take_them_are_answered_with_what_to_write(wrong, said):
    with pytest.raises(TypeError, match=said):
        wrong()


def test_the_parameters_of_the_decorators_are_shown_as_they_are():
    assert list(inspect.signature(deadline).parameters) == ["seconds", "only", "exclude"]
    assert timeout.__qualname__ == "timeout"
    assert "first_item" in inspect.signature(timeout).parameters
