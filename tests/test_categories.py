"""The vocabulary. Bits and labels are append-only: what is listed here never changes, it only grows."""

from __future__ import annotations

from typing import get_args

import pytest

from resilience.categories import ErrorCategory, Label, combine

C = ErrorCategory

_LEAVES = [
    (0, "TIMEOUT", "timeout"),
    (1, "NETWORK", "network"),
    (2, "RATE_LIMIT", "rate_limit"),
    (3, "UNAVAILABLE", "unavailable"),
    (4, "SERVER_ERROR", "server_error"),
    (5, "DEPENDENCY", "dependency"),
    (6, "REJECTED", "rejected"),
    (7, "CAPACITY", "capacity"),
    (8, "AUTHENTICATION", "authentication"),
    (9, "AUTHORIZATION", "authorization"),
    (10, "VALIDATION", "validation"),
    (11, "NOT_FOUND", "not_found"),
    (12, "CONFLICT", "conflict"),
    (13, "CONFIGURATION", "configuration"),
    (14, "SYNTAX", "syntax_error"),
    (15, "RUNTIME", "runtime_error"),
    (16, "IMPORT", "import_error"),
    (17, "GENERATION", "generation"),
    (18, "MEMORY", "memory_error"),
    (19, "SECURITY", "security_error"),
    (20, "EXECUTION_TIMEOUT", "timeout_error"),
    (21, "EXHAUSTED", "attempts_exhausted"),
    (22, "APPROVAL", "approval"),
    (23, "CANCELLED", "cancelled"),
    (24, "INTERNAL", "internal"),
    (25, "UNKNOWN", "unknown"),
]
_GROUPS = {
    "RETRYABLE": {"RATE_LIMIT", "SERVER_ERROR", "UNAVAILABLE"},
    "TRANSIENT": {"RATE_LIMIT", "SERVER_ERROR", "UNAVAILABLE", "TIMEOUT", "NETWORK"},
    "INFRASTRUCTURE": {"RATE_LIMIT", "SERVER_ERROR", "UNAVAILABLE", "TIMEOUT", "NETWORK", "DEPENDENCY"},
    "CODE_RELATED": {"SYNTAX", "RUNTIME", "IMPORT", "GENERATION", "MEMORY"},
    "WORKFLOW": {"EXECUTION_TIMEOUT", "EXHAUSTED", "APPROVAL", "CANCELLED", "INTERNAL"},
    "AUTH_FAILURE": {"AUTHENTICATION", "AUTHORIZATION"},
    "CLIENT_ERROR": {"VALIDATION", "NOT_FOUND", "CONFLICT", "AUTHENTICATION", "AUTHORIZATION"},
    "RESOURCE": {"RATE_LIMIT", "UNAVAILABLE", "CAPACITY"},
    "SYSTEM": {"DEPENDENCY", "NETWORK", "TIMEOUT", "INTERNAL"},
    "EXTERNAL": {"DEPENDENCY", "SERVER_ERROR"},
    "EXECUTION": {"SYNTAX", "RUNTIME", "IMPORT", "SECURITY", "EXECUTION_TIMEOUT", "MEMORY"},
    "ANY_TIMEOUT": {"TIMEOUT", "EXECUTION_TIMEOUT"},
}


def test_leaves_keep_their_bits_names_and_labels() -> None:
    assert [(leaf.value, leaf.name, leaf.label) for leaf in ErrorCategory] == [
        (1 << bit, name, label) for bit, name, label in _LEAVES
    ]


def test_groups_hold_their_leaves() -> None:
    for name, leaves in _GROUPS.items():
        assert {leaf.name for leaf in ErrorCategory[name]} == leaves, name
    outside = {leaf.name for leaf in C.TRANSIENT | C.AUTH_FAILURE}
    assert {leaf.name for leaf in C.NON_RETRYABLE} == {name for _, name, _ in _LEAVES} - outside


def test_every_named_group_is_listed_here() -> None:
    groups = {name for name, member in ErrorCategory.__members__.items() if not member.is_leaf}
    assert groups == {*_GROUPS, "NON_RETRYABLE"}


@pytest.mark.parametrize("member", ErrorCategory.__members__.values(), ids=str)
def test_a_label_or_a_name_leads_back_to_its_category(member: ErrorCategory) -> None:
    assert ErrorCategory(member.label) is ErrorCategory(str(member)) is member
    assert ErrorCategory(str(member.name)) is ErrorCategory(str(member.name).lower()) is member


def test_a_group_without_a_name_is_written_as_its_leaves() -> None:
    mixed = C.TIMEOUT | C.CONFLICT
    assert mixed.label == str(mixed) == "timeout|conflict"
    assert ErrorCategory("timeout|conflict") == mixed
    assert not mixed.is_leaf


def test_an_unknown_word_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(ValueError, match="did you mean 'timeout'"):
        ErrorCategory("tiemout")
    with pytest.raises(ValueError, match="one of .*network"):
        ErrorCategory("zzz")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "on=\\(\\): give at least one"),
        ([ErrorCategory(0)], ValueError, "on=.*empty category"),
        ([3], TypeError, "on=3: give an ErrorCategory"),
        (["tiemout"], ValueError, "on: 'tiemout'"),
    ],
)
def test_what_is_no_category_is_refused_where_it_is_written(
    given: list[object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        combine("on", given)


def test_several_categories_make_one() -> None:
    assert combine("on", ["timeout", C.NETWORK, "CONFLICT"]) == C.TIMEOUT | C.NETWORK | C.CONFLICT


def test_type_checkers_know_each_label_and_each_name():
    words = {member.label for member in ErrorCategory.__members__.values()} | {
        name.lower() for name in ErrorCategory.__members__
    }
    assert set(get_args(Label)) == words
    assert all(ErrorCategory(word) for word in get_args(Label))
