"""Four levels, each with all of the one below, and each as its schema says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import resilience
from resilience.categories import ErrorCategory as C
from resilience.errors._json_safe import Json
from resilience.report import Failure, Progress, Violation, report_schema
from resilience.report._explain import explain
from tests.report.failures import FAILURES, NOON

LEVELS = (1, 2, 3, 4)
VALIDATORS = {level: jsonschema.Draft202012Validator(report_schema(level)) for level in (None, *LEVELS)}
PAGE = Path(resilience.__file__).parent.parent / "docs" / "error-report.schema.json"

words = st.text(max_size=20)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
variables = st.dictionaries(words, values, max_size=4)
lines = st.none() | st.integers(1, 9)
progresses = st.builds(
    Progress,
    completed_lines=st.integers(0, 9),
    total_lines=st.integers(0, 9),
    last_successful_line=lines,
    path=st.lists(st.integers(1, 9), max_size=4),
    stdout=words,
    variables=variables,
    snippet=words,
)
violations = st.builds(
    Violation,
    kind=words,
    attempted_operation=words,
    blocked_code=words,
    reason=words,
    subject=words,
    alternatives=st.lists(words, max_size=2),
    line=lines,
)
failures = st.builds(
    Failure,
    category=st.sampled_from([each for each in C if each.is_leaf]),
    error_type=st.sampled_from(["NameError", "TypeError", "Odd"]),
    message=words,
    exception=st.sampled_from([failure.exception for failure in FAILURES.values()]),
    source=st.none() | words | st.just("x = 1\ny = x / 0\nprint(y)\n"),
    line=lines,
    column=st.none() | st.integers(0, 9),
    specifics=st.dictionaries(st.sampled_from(["signal", "other", "password"]), values),
    progress=st.none() | progresses,
    violation=st.none() | violations,
    system=variables,
    timestamp=st.just(NOON),
)


def contains(more: Json, less: Json) -> bool:
    """Whether *more* has all of *less*, however deep."""
    if isinstance(less, dict):
        return isinstance(more, dict) and all(key in more and contains(more[key], each) for key, each in less.items())
    if isinstance(less, list):
        return isinstance(more, list) and len(more) == len(less) and all(map(contains, more, less))
    return more == less


@given(failures)
def test_each_level_has_all_of_the_one_below_and_is_as_its_schema_says(failure: Failure):
    report = explain(failure)
    found = [report.to_dict(level) for level in LEVELS]
    for level, each in zip(LEVELS, found, strict=True):
        VALIDATORS[level].validate(each)
        VALIDATORS[None].validate(each)
        assert json.loads(report.to_json(level)) == each
    for less, more in zip(found, found[1:], strict=False):
        assert contains(more, less)


@pytest.mark.parametrize("name", FAILURES)
def test_each_level_has_more_than_the_one_below(name: str):
    report = explain(FAILURES[name])
    sizes = [len(report.to_json(level)) for level in LEVELS]
    assert sizes == sorted(set(sizes))


def test_every_level_has_what_a_consumer_relies_on():
    for level in LEVELS:
        found = explain(FAILURES["runtime"]).to_dict(level)
        assert found["success"] is False
        assert found["error_category"] == "runtime_error"
        assert found["error_details"]["error_type"] == "NameError"


def test_the_levels_are_a_summary_the_technical_side_the_context_and_the_system():
    one, two, three, four = (explain(FAILURES["runtime"]).to_dict(level) for level in LEVELS)
    assert set(one["error_details"]) == {"error_type", "error_message", "line_number"}
    assert "exception_info" not in one
    assert "local_vars" not in two["exception_info"]["traceback"][0]
    assert "suggestions" not in two["error_details"]
    assert three["error_details"]["suggestions"]
    assert "system_state" not in three
    assert four["system_state"] == {"python_version": "3.13.0", "memory_limit": "100MB", "DB_PASSWORD": "[redacted]"}
    assert four["exception_info"]["global_variables"] == {"x": 10, "y": 15}
    assert four["exception_info"]["traceback"][0]["column_number"] == 6


@pytest.mark.parametrize("level", [0, 5, -1, "3", None])
def test_a_level_that_is_none_is_refused(level: object):
    with pytest.raises(ValueError, match="give 1"):
        explain(FAILURES["network"]).to_dict(level)


@pytest.mark.parametrize("level", [None, *LEVELS])
def test_the_schemas_are_schemas(level: int | None):
    jsonschema.Draft202012Validator.check_schema(report_schema(level))


@pytest.mark.parametrize(
    "change",
    [
        {"success": True},
        {"error_category": "odd"},
        {"timestamp": "yesterday"},
        {"more": 1},
        {"error_details": {"error_type": "NameError"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_refuses_what_is_no_report(change: dict[str, object]):
    found = {**explain(FAILURES["runtime"]).to_dict(), **change}
    with pytest.raises(jsonschema.ValidationError):
        VALIDATORS[None].validate(found)


def test_the_schema_knows_which_details_belong_to_which_category():
    found = explain(FAILURES["memory"]).to_dict()
    found["error_details"]["problematic_code"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATORS[None].validate(found)


def test_the_schema_in_the_docs_is_the_one_of_the_code():
    assert json.loads(PAGE.read_text("utf-8")) == report_schema()
