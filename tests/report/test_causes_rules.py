"""The tables of messages fill their texts: each place is a group of the pattern, or a part of the program."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping

import pytest

from resilience import ErrorCategory
from resilience.report import _diagnosis
from resilience.report._diagnosis import rules
from resilience.report._diagnosis.rules import Rule
from resilience.report.failure import Failure
from tests.report.faulty import failure_of

PARTS = {*rules._WITHOUT, *rules._OPERANDS}


def rules_in(value: object) -> Iterator[Rule]:
    if isinstance(value, Rule):
        yield value
    elif isinstance(value, Mapping):
        yield from rules_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from rules_in(each)


def modules() -> list[str]:
    names = [each.name for each in pkgutil.iter_modules(_diagnosis.__path__)]
    return [
        name
        for name in names
        if any(map(list, map(rules_in, vars(importlib.import_module(f"{_diagnosis.__name__}.{name}")).values())))
    ]


@pytest.mark.parametrize("module", modules())
def test_each_place_of_a_text_can_be_filled(module: str):
    tables = vars(importlib.import_module(f"{_diagnosis.__name__}.{module}")).values()
    for rule in (rule for table in tables for rule in rules_in(table)):
        known = PARTS | re.compile(rule.pattern).groupindex.keys()
        for text in (rule.cause, *rule.tips, rule.fix):
            assert rules._places(text) <= known, (rule.pattern, text)


def test_there_are_some_hundred_rules():
    assert len(modules()) >= 4


def test_shapes_that_do_not_go_together_are_told():
    failure = Failure(category=ErrorCategory.RUNTIME, error_type="ValueError", message="shapes 5x3 and 4x3 mismatch")
    assert _diagnosis.diagnose(failure).immediate_cause.endswith("do not go together: shapes 5x3 and 4x3 mismatch")


def test_an_array_that_does_not_fit_into_its_place_is_told_with_both_shapes():
    pytest.importorskip("numpy")
    found = _diagnosis.diagnose(failure_of("import numpy as np\nx = np.ones((5, 3))\nx[:, 0] = np.ones(4)\n"))
    assert found.immediate_cause == "an array of the shape (4,) does not fit into a place of the shape (5,)"


@pytest.mark.parametrize(
    ("line", "message", "cause"),
    [
        ("print(found[0])", "'NoneType' object is not subscriptable", "found is None, which cannot be indexed"),
        ("print(len(found))", "object of type 'NoneType' has no len()", "found is None, which cannot be measured"),
        ("print(int(found(2)))", "'NoneType' object is not callable", "the value is None, which cannot be called"),
        ("print(sum(found))", "'NoneType' object is not iterable", "the value is None, which cannot be iterated over"),
        ("x = found[0] + other[1]", "'NoneType' object is not subscriptable", "the value is None, which cannot be"),
        (
            "for each in found: pass",
            "'NoneType' object is not iterable",
            "found is None, which cannot be iterated over",
        ),
    ],
)
def test_a_traceback_without_marks_names_what_can_have_failed_and_nothing_else(line: str, message: str, cause: str):
    source = f"found = load()\n{line}\n"
    failure = Failure(category=ErrorCategory.RUNTIME, error_type="TypeError", message=message, source=source, line=2)
    assert _diagnosis.diagnose(failure).immediate_cause.startswith(cause)
