"""A configuration is read from files, mappings and the environment; each value wins over those before it."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

from resilience import describe, profile_of
from resilience.config import ConfigurationError, Policies

FILE = """
[policies.base]
retry = {on = "transient", attempts = 3}
circuit = {failure_rate = 0.5, window = 20, reset_timeout = "30s"}
timeout = 2.0

[policies.catalogue]
base = "base"
timeout = "400ms"

[policies."the warehouse"]
bulkhead = 10
rate_limit = {rate = "500/min", burst = 20}
"""


def load(tree: Mapping[str, Any], **environment: str) -> Policies:
    return Policies.load({"policies": tree}, environment=environment)


def stack_of(policies: Policies, name: str) -> str:
    return str(policies[name]).partition(": ")[2]


def test_a_file_names_policies_that_guard_functions(tmp_path: pathlib.Path):
    file = tmp_path / "resilience.toml"
    file.write_text(FILE)
    policies = Policies.load(file, environment={})
    assert list(policies) == ["base", "catalogue", "the warehouse"]

    @policies["catalogue"]
    def search(query: str) -> str:
        return query.upper()

    assert search("lamp") == "LAMP"
    assert [type(policy).__name__ for policy in policies["catalogue"].policies()] == [
        "Retry",
        "CircuitBreakerPolicy",
        "Timeout",
    ]
    assert "timeout(0.4)" in str(describe(search))


def test_a_table_of_pyproject_is_read_as_well(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pyproject.toml").write_text("[tool.resilience.policies.catalogue]\nretry = 5\n")
    monkeypatch.chdir(tmp_path)
    policies = Policies.load(environment={})
    assert "attempts=5" in stack_of(policies, "catalogue")


def test_a_file_of_its_own_is_found_before_pyproject(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pyproject.toml").write_text("[tool.resilience.policies.catalogue]\nretry = 5\n")
    (tmp_path / "resilience.toml").write_text("[policies.catalogue]\nretry = 2\n")
    monkeypatch.chdir(tmp_path)
    assert Policies.load(environment={}).value("catalogue", "retry") == 2


def test_the_stack_is_in_the_right_order_whatever_the_order_of_the_file():
    policies = load(
        {
            "shop": {
                "timeout": 1,
                "bulkhead": 5,
                "rate_limit": "10/s",
                "throttle": True,
                "circuit": True,
                "retry": True,
                "deadline": 10,
                "fallback": {"default": []},
            }
        }
    )
    order = [part.partition("(")[0] for part in stack_of(policies, "shop").split(" > ")]
    assert order == [
        "fallback",
        "deadline",
        "retry_on_category",
        "circuit_breaker",
        "throttle",
        "rate_limit",
        "bulkhead",
        "timeout",
    ]


@pytest.mark.parametrize(
    ("written", "seconds"), [(2, 2.0), (0.5, 0.5), ("500ms", 0.5), ("2s", 2.0), ("1.5 min", 90.0), ("1h", 3600.0)]
)
def test_a_duration_is_a_number_of_seconds_or_has_a_unit(written: object, seconds: float):
    assert load({"shop": {"timeout": written}}).value("shop", "timeout") == seconds


def test_what_a_base_says_can_be_changed_and_switched_off():
    policies = load(
        {
            "base": {"retry": {"attempts": 4, "max_delay": 5}, "timeout": 2, "circuit": True},
            "catalogue": {"base": "base", "retry": {"attempts": 2}, "circuit": False},
        }
    )
    assert policies.value("catalogue", "retry.attempts") == 2
    assert policies.value("catalogue", "retry.max_delay") == 5
    assert policies["catalogue"].circuit is None
    assert policies["base"].circuit is not None


def test_each_name_has_a_circuit_and_a_budget_of_its_own():
    policies = load({"base": {"retry": 2, "circuit": True}, "a": {"base": "base"}, "b": {"base": "base"}})
    circuits = [policies[name].circuit for name in ("a", "b")]
    assert [circuit and circuit.name for circuit in circuits] == ["a", "b"]
    assert policies["a"].circuit is policies["a"].circuit


def test_categories_change_rows_of_the_table_for_the_program():
    policies = Policies.load(
        {"policies": {}, "categories": {"rate_limit": {"base": 7.0}}},
        environment={},
    )
    try:
        assert profile_of("rate_limit").base == 7.0
    finally:
        policies.close()
    assert profile_of("rate_limit").base != 7.0


# -- where values come from -------------------------------------------------------------------------------------------


def test_code_then_file_then_environment_then_run_time(tmp_path: pathlib.Path):
    file = tmp_path / "resilience.toml"
    file.write_text("[policies.shop]\nretry = {max_delay = 5, base_delay = 1}\n")
    policies = Policies.load(
        file,
        defaults={"policies": {"shop": {"timeout": 1, "retry": {"attempts": 2, "max_delay": 9, "base_delay": 2}}}},
        environment={"RESILIENCE__POLICIES__SHOP__RETRY__BASE_DELAY": "0.5", "PATH": "/bin"},
    )
    policies.set("shop", "timeout", "3s", by="ada", why="slow tonight")
    assert {option: (each.value, each.origin) for option, each in policies.options()["shop"].items()} == {
        "timeout.limit": (3.0, "set at run time (by ada, slow tonight)"),
        "retry.attempts": (2, "code"),
        "retry.max_delay": (5, "resilience.toml"),
        "retry.base_delay": (0.5, "environment RESILIENCE__POLICIES__SHOP__RETRY__BASE_DELAY"),
    }


def test_the_origin_of_an_inherited_value_names_the_base():
    policies = load({"base": {"timeout": 2}, "shop": {"base": "base", "retry": 2}})
    assert policies.origin("shop", "timeout") == "code, base 'base'"
    assert policies.origin("shop", "retry") == "code"
    assert policies.origin("shop", "retry.max_delay") == "default"


@pytest.mark.parametrize(
    ("variable", "text", "option", "value"),
    [
        ("RETRY__ATTEMPTS", "2", "retry.attempts", 2),
        ("RETRY", "2", "retry.attempts", 2),
        ("RETRY__JITTER", "full", "retry.jitter", "full"),
        ("TIMEOUT", "250ms", "timeout", 0.25),
        ("CIRCUIT__PARTIAL", "true", "circuit.partial", True),
    ],
)
def test_variables_of_the_environment_set_options(variable: str, text: str, option: str, value: object):
    policies = load({"the shop": {"retry": 5}}, **{f"RESILIENCE__POLICIES__THE_SHOP__{variable}": text})
    assert policies.value("the shop", option) == value


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("RESILIENCE__POLICIES__SHOPP__RETRY", "no policy is called 'shopp'; did you mean 'shop'?"),
        ("RESILIENCE__POLICIES__SHOP__RETRY__ATEMPTS", "no such option of retry; did you mean 'attempts'?"),
        ("RESILIENCE__SHOP__RETRY", "no such setting; write RESILIENCE__POLICIES__<name>__<policy>__<option>"),
    ],
)
def test_a_variable_that_sets_nothing_is_an_error(variable: str, message: str):
    with pytest.raises(ConfigurationError) as raised:
        load({"shop": {"retry": 5}}, **{variable: "2"})
    assert message in str(raised.value)
    assert variable in str(raised.value)


# -- invalid configurations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"retry": {"atempts": 3}}}, "policies.a.retry.atempts = 3: no such option of retry; did you mean"),
        ({"a": {"retry": 0}}, "policies.a.retry.attempts: attempts=0: give a whole number of 1 or more"),
        ({"a": {"retry": "three"}}, "policies.a.retry.attempts = \"three\": give a whole number, not 'three'"),
        ({"a": {"retry": {"on": "transiet"}}}, "'transiet' is not an ErrorCategory; did you mean 'transient'?"),
        ({"a": {"retry": {"jitter": "ful"}}}, "one of 'equal', 'full', 'decorrelated', 'none', not 'ful'"),
        ({"a": {"timeot": 1}}, "policies.a.timeot = 1: no such policy; did you mean 'timeout'?"),
        ({"a": {"timeout": "5 parsecs"}}, "give a duration: seconds as a number, or a text such as '500ms'"),
        ({"a": {"timeout": True}}, "policies.a"),
        ({"a": {"timeout": -1}}, "policies.a.timeout"),
        ({"a": {"circuit": {"window": 5}}}, "policies.a.circuit.window: window=5: give failure_rate or"),
        ({"a": {"circuit": 5}}, "a table of options, true for the defaults, or false for none"),
        ({"a": {"rate_limit": "500/mn"}}, "did you mean 'min'?"),
        ({"a": {"retry": {"max_attempts": {"timeout": "x"}}}}, "give a whole number, not 'x'"),
        ({"a": {"base": "b"}}, 'policies.a.base = "b": a policy of this file'),
        ({"a": {"base": "a"}}, "a base that is not its own"),
        ({"a": {"base": "b"}, "b": {"base": "a"}}, "a base that is not its own"),
        ({"a": {}}, "no policy is left; give one"),
        ({"a": 3}, "policies.a = 3: a table"),
    ],
)
def test_what_cannot_be_meant_is_named_with_what_would_be_right(tree: Mapping[str, Any], message: str):
    with pytest.raises(ConfigurationError) as raised:
        load(tree)
    assert message in str(raised.value)
    assert "policies." in str(raised.value)


def test_an_unknown_table_is_an_error():
    with pytest.raises(ConfigurationError, match="no such table; did you mean 'policies'"):
        Policies.load({"polices": {}}, environment={})


@pytest.mark.parametrize(
    ("text", "message"),
    [("[policies", "no TOML"), ("policies = 3", "policies = 3: a table"), ("routes = 3", "a list of tables")],
)
def test_a_file_that_cannot_be_read_names_itself(tmp_path: pathlib.Path, text: str, message: str):
    file = tmp_path / "resilience.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        Policies.load(file, environment={})
    assert "resilience.toml" in str(raised.value)
    assert message in str(raised.value)


def test_a_missing_file_is_an_error_that_says_where_it_was_looked_for(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        Policies.load(tmp_path / "none.toml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"there is no resilience\.toml and no pyproject\.toml in"):
        Policies.load()


def test_a_name_that_there_is_not_is_a_key_error_with_the_nearest():
    policies = load({"catalogue": {"retry": 2}})
    with pytest.raises(KeyError, match="did you mean 'catalogue'"):
        policies["catalog"]
    assert "catalog" not in policies
    assert "catalogue" in policies


def test_an_option_that_there_is_not_is_a_value_error_with_the_nearest():
    policies = load({"catalogue": {"retry": 2}})
    with pytest.raises(ValueError, match=r"did you mean 'retry\.attempts'"):
        policies.origin("catalogue", "retry.atempts")
