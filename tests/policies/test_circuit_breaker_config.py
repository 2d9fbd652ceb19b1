"""The options of a circuit breaker: written once, and seen wherever callers look for them."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

import resilience
from resilience import CircuitBreaker, circuit_breaker
from resilience.policies._circuit_breaker_config import CircuitBreakerConfig

OPTIONS = [option.name for option in dataclasses.fields(CircuitBreakerConfig) if option.init]


def test_the_decorator_is_the_class_and_takes_the_options_of_the_config():
    assert circuit_breaker is CircuitBreaker
    taken = inspect.signature(circuit_breaker).parameters
    assert list(taken) == OPTIONS
    assert list(taken.values()) == list(inspect.signature(CircuitBreakerConfig).parameters.values())
    kinds = {name: parameter.kind for name, parameter in taken.items()}
    assert kinds.pop("name") is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert set(kinds.values()) == {inspect.Parameter.KEYWORD_ONLY}


def test_help_shows_what_each_option_means():
    assert circuit_breaker.__init__.__doc__ == CircuitBreakerConfig.__doc__


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_has_a_sentence(option: str):
    assert re.search(rf"^ {{4}}{option}: [A-Z]", inspect.getdoc(CircuitBreakerConfig), re.MULTILINE)


def test_an_unknown_option_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'failure_treshold'; did you mean 'fail"):
        circuit_breaker("b", failure_treshold=3)


def test_circuits_of_keys_share_one_config():
    hosts = circuit_breaker("hosts", key=str)
    assert hosts.of("a").circuit.config is hosts.of("b").circuit.config is hosts.circuit.config


def test_an_option_set_on_a_circuit_is_checked_and_changes_no_other_circuit():
    hosts = circuit_breaker("hosts", key=str)
    hosts.of("a").fail_max = 9
    assert (hosts.of("a").fail_max, hosts.of("b").fail_max) == (9, 5)
    with pytest.raises(ValueError, match="failure_threshold=0: give a whole number of 1 or more"):
        hosts.of("a").fail_max = 0


def test_a_changed_option_leaves_the_others_as_they_were_given():
    breaker = circuit_breaker(
        "b",
        failure_rate=0.5,
        window=8,
        trip_on="timeout|network",
        profiles={"network": {"weight": 2}},
        close_rate=0.5,
        max_reset_timeout=90,
    )
    before = str(breaker)
    breaker.success_threshold = 3
    assert str(breaker) == before.replace(", close_rate", ", success_threshold=3, close_rate")
    assert breaker.circuit.config.weights[resilience.ErrorCategory.NETWORK.value] == 2
