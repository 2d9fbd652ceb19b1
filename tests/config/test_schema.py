"""The JSON Schema takes what `Policies` takes, and refuses names that there are not."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from resilience.config import ConfigurationError, Policies
from tests.config.test_mutated_files import FILE

VALIDATOR = jsonschema.Draft202012Validator(Policies.schema())


def test_it_is_a_schema_and_a_whole_file_satisfies_it():
    VALIDATOR.check_schema(Policies.schema())
    VALIDATOR.validate(tomllib.loads(FILE))


@pytest.mark.parametrize(
    "section",
    [
        {"retry": 3},
        {"retry": True},
        {"retry": {"on": "transient", "attempts": 3, "idempotent": "unless_post", "waits": {"timeout": "1s"}}},
        {"retry": {"atempts": 3}},
        {"retry": {"attempts": "three"}},
        {"retry": {"jitter": "ful"}},
        {"timeout": "5 parsecs"},
        {"timeout": 0.5},
        {"circuit": {"failure_rate": 0.5, "partial": False}},
        {"circuit": {"failure_rat": 0.5}},
        {"circuit": 5},
        {"bulkhead": 10},
        {"bulkhead": {"limit": 10, "order": "oldest"}},
        {"hedge": "p95", "timeout": 1},
        {"rate_limit": "500/min"},
        {"timeot": 1},
    ],
    ids=str,
)
def test_it_agrees_with_the_program_about_a_section(section: dict[str, Any]):
    tree = {"policies": {"shop": section}}
    try:
        Policies.load(tree, environment={})
        means_something = True
    except ConfigurationError:
        means_something = False
    assert VALIDATOR.is_valid(tree) == means_something


def test_every_option_of_each_policy_is_in_it_or_takes_what_a_file_cannot_say():
    from resilience.config._sections import SECTIONS

    options = {section.name: set(section.options) for section in SECTIONS}
    assert {"on", "attempts", "max_delay", "waits", "idempotent", "budget", "reset_after"} <= options["retry"]
    assert {"failure_threshold", "failure_rate", "slow_call_seconds", "partial", "trip_on"} <= options["circuit"]
    assert not options["retry"] & {"revise", "on_retry", "stop", "retry_if", "only", "exclude"}
    assert not options["circuit"] & {"key", "failure_if", "listeners", "storage", "only", "exclude"}
