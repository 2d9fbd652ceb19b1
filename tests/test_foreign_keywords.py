"""Keywords of other libraries are answered with what to write here; the libraries' own signatures are the list."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import re

import backoff
import circuitbreaker
import pybreaker
import pytest
import stamina
import tenacity

import resilience
from resilience import circuit_breaker, retry_on_category, retrying
from resilience._foreign_keywords import _ADVICE, advice_on
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig
from resilience.policies._retry_config import RetryOptions

RETRY = set(RetryOptions.__annotations__)
CIRCUIT = {field.name for field in dataclasses.fields(CircuitBreakerConfig) if field.init}


def keywords_of(function) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind in kinds and each.name != "self"]


FOREIGN = [
    ("retry_on_category", RETRY, keyword)
    for function in (tenacity.BaseRetrying, stamina.retry, backoff.on_exception, backoff.on_predicate)
    for keyword in keywords_of(function)
] + [
    ("circuit_breaker", CIRCUIT, keyword)
    for function in (pybreaker.CircuitBreaker, circuitbreaker.CircuitBreaker)
    for keyword in keywords_of(function)
]


@pytest.mark.parametrize(
    ("function", "options", "keyword"), FOREIGN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_keyword_of_another_library_is_an_option_here_or_answered_with_advice(function, options, keyword):
    assert keyword in options or advice_on(function, keyword) is not None


@pytest.mark.parametrize(("function", "options"), [("retry_on_category", RETRY), ("circuit_breaker", CIRCUIT)])
def test_advice_names_options_that_exist_and_no_option_has_advice(function, options):
    for keyword, advice in _ADVICE[function].items():
        assert keyword not in options, f"{keyword} is an option, so that its advice is never given"
        assert set(re.findall(r"\b([a-z_]+)=", advice)) <= RETRY | CIRCUIT, advice
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
    ],
)
def test_a_foreign_keyword_fails_where_it_is_written_and_says_what_to_write(decorator, keyword, said):
    with pytest.raises(TypeError) as raised:
        decorator(**{keyword: 3})
    assert said in str(raised.value)


def test_a_keyword_that_resembles_nothing_gets_no_advice():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'colour'$"):
        circuit_breaker(colour="red")
