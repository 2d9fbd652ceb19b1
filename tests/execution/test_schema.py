"""The JSON Schema of an execution's report describes the documents of real executions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import resilience
from resilience.execution import ExecutionRequest, FallbackExecutor, SubprocessExecutor, execution_schema
from tests.execution.stand_ins import Known, refused

LEVELS = (1, 2, 3, 4)
VALIDATORS = {level: jsonschema.Draft202012Validator(execution_schema(level)) for level in (None, *LEVELS)}
PAGE = Path(resilience.__file__).parent.parent / "docs" / "execution-report.schema.json"
PROGRAMS = {
    "a value": "1 + 1",
    "NaN and output": "print('one')\nfloat('nan')",
    "an exception": "prices = [1]\nprices[3]",
    "a chain": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('no') from error",
    "a group": "raise ExceptionGroup('both', [ValueError('a'), KeyError('b')])",
    "no Python": "if True print(1)",
    "a violation": "import os",
    "a missing module": "import jsn",
    "an exit": "raise SystemExit(3)",
    "too much memory": "x = bytearray(10**9)",
}


@pytest.fixture(scope="module")
def executor() -> Iterator[SubprocessExecutor]:
    with SubprocessExecutor() as executor:
        yield executor


@pytest.mark.parametrize("name", PROGRAMS)
def test_documents_of_all_levels_are_as_the_schema_says(executor: SubprocessExecutor, name: str):
    report = executor.execute_sync(PROGRAMS[name])
    for level in LEVELS:
        document = json.loads(report.to_json(level))
        VALIDATORS[level].validate(document)
        VALIDATORS[None].validate(document)


def test_artifacts_and_notes_of_a_success_are_in_it(executor: SubprocessExecutor):
    code = "class Square:\n    def _repr_svg_(self):\n        return '<svg/>'\nSquare()"
    report = executor.execute_sync(ExecutionRequest(code, assigned_by="planner"))
    assert report.artifacts
    VALIDATORS[2].validate(report.to_dict(2))


def test_executors_that_were_tried_before_are_in_it(executor: SubprocessExecutor):
    report = FallbackExecutor(Known(refused()), executor, attempts=1).execute_sync("1 + 1")
    assert report.tried
    VALIDATORS[3].validate(report.to_dict())


def test_another_key_is_refused(executor: SubprocessExecutor):
    document = {**executor.execute_sync("1").to_dict(), "surprise": 1}
    with pytest.raises(jsonschema.ValidationError):
        VALIDATORS[None].validate(document)


def test_the_page_of_the_documentation_is_this_schema():
    assert json.loads(PAGE.read_text("utf-8")) == execution_schema()
