"""The tables of messages are searched without compiling what cannot match; that must never lose a match."""

from __future__ import annotations

import warnings

import pytest

from resilience.report._diagnosis import (
    runtime_errors,
    syntax_lines,
    syntax_table,
    system_rules,
    type_rules,
    value_rules,
)
from resilience.report._diagnosis.regex_cache import compiled_pattern, search_pattern
from tests.report.faulty import names, raised_by, runtime, syntax

TABLES = {
    "types": [each.pattern for each in type_rules.RULES],
    "values": [each.pattern for each in value_rules.RULES],
    "runtime": [each.pattern for each in runtime_errors._RUNTIME],
    "system": [each.pattern for rules in system_rules.RULES.values() for each in rules],
    "syntax": [each.pattern for each in syntax_table.ROWS],
    "habits": [each.pattern for each in syntax_lines._HABITS],
}


@pytest.fixture(scope="module")
def messages() -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        failing = [each for corpus in (names, syntax, runtime) for each in corpus.CORPUS if each.runs_here]
        errors = [raised_by(each.code) for each in failing]
    texts = [error.msg if isinstance(error, SyntaxError) else str(error) for error in errors]
    return [*texts, *(line for each in failing for line in each.code.split("\n"))]


@pytest.mark.parametrize("table", TABLES)
def test_what_is_searched_is_found_as_without_the_short_cut(table: str, messages: list[str]):
    found = 0
    for pattern in TABLES[table]:
        for message in messages:
            matched = compiled_pattern(pattern).search(message)
            assert (matched is None) == (search_pattern(pattern, message) is None), (pattern, message)
            found += matched is not None
    assert found >= 5


def test_few_patterns_are_compiled_for_a_message():
    compiled_pattern.cache_clear()
    for pattern in TABLES["types"]:
        search_pattern(pattern, "Object of type set is not JSON serializable")
    assert compiled_pattern.cache_info().misses <= 3
