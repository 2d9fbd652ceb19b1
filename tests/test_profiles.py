"""The table: what each category means to each policy."""

from __future__ import annotations

from typing import cast

import pytest

from resilience.categories import ErrorCategory, Recovery, Severity
from resilience.profiles import (
    PROFILES,
    DerivedTable,
    Profile,
    RetrySafety,
    changed_profiles,
    override_profiles,
    profile_of,
)

C = ErrorCategory

_ROWS = [
    # leaf, recovery, retried, base, cost, weight, pressure, unsafe, HTTP, gRPC, severity
    ("TIMEOUT", "retry", True, 0.1, 14, 1, 1, "unconnected", 504, "DEADLINE_EXCEEDED", "warning"),
    ("NETWORK", "retry", True, 0.1, 14, 1, 0, "unconnected", 502, "UNAVAILABLE", "warning"),
    ("RATE_LIMIT", "wait", True, 1.0, 5, 0, 1, "always", 429, "RESOURCE_EXHAUSTED", "warning"),
    ("UNAVAILABLE", "retry", True, 0.5, 5, 1, 1, "hinted", 503, "UNAVAILABLE", "warning"),
    ("SERVER_ERROR", "retry", True, 0.25, 14, 1, 0, "never", 502, "INTERNAL", "error"),
    ("DEPENDENCY", "use_alternative", False, 0.25, 14, 1, 0, "never", 502, "UNKNOWN", "error"),
    ("REJECTED", "wait", False, None, 0, 0, 0, "always", 503, "UNAVAILABLE", "warning"),
    ("CAPACITY", "use_alternative", False, None, 0, 0, 1, "never", 503, "RESOURCE_EXHAUSTED", "error"),
    ("AUTHENTICATION", "reauthenticate", False, None, 0, 0, 0, "never", 401, "UNAUTHENTICATED", "error"),
    ("AUTHORIZATION", "escalate", False, None, 0, 0, 0, "never", 403, "PERMISSION_DENIED", "error"),
    ("VALIDATION", "fix_input", False, None, 0, 0, 0, "never", 400, "INVALID_ARGUMENT", "info"),
    ("NOT_FOUND", "fix_input", False, None, 0, 0, 0, "never", 404, "NOT_FOUND", "info"),
    ("CONFLICT", "fix_input", False, None, 0, 0, 0, "never", 409, "ABORTED", "warning"),
    ("CONFIGURATION", "fix_configuration", False, None, 0, 0, 0, "never", 500, "FAILED_PRECONDITION", "critical"),
    ("SYNTAX", "regenerate", False, None, 0, 0, 0, "never", 422, "INVALID_ARGUMENT", "info"),
    ("RUNTIME", "regenerate", False, None, 0, 0, 0, "never", 422, "FAILED_PRECONDITION", "info"),
    ("IMPORT", "regenerate", False, None, 0, 0, 0, "never", 422, "FAILED_PRECONDITION", "info"),
    ("GENERATION", "regenerate", False, None, 0, 0, 0, "never", 502, "INTERNAL", "warning"),
    ("MEMORY", "regenerate", False, None, 0, 0, 0, "never", 422, "RESOURCE_EXHAUSTED", "warning"),
    ("SECURITY", "escalate", False, None, 0, 0, 0, "never", 403, "PERMISSION_DENIED", "error"),
    ("EXECUTION_TIMEOUT", "escalate", False, None, 0, 0, 0, "never", 504, "DEADLINE_EXCEEDED", "warning"),
    ("EXHAUSTED", "escalate", False, None, 0, 0, 0, "never", 503, "UNAVAILABLE", "error"),
    ("APPROVAL", "escalate", False, None, 0, 0, 0, "never", 403, "FAILED_PRECONDITION", "info"),
    ("CANCELLED", "give_up", False, None, 0, 0, 0, "never", 499, "CANCELLED", "info"),
    ("INTERNAL", "give_up", False, None, 0, 0, 0, "never", 500, "INTERNAL", "critical"),
    ("UNKNOWN", "give_up", False, None, 0, 1, 0, "never", 500, "UNKNOWN", "error"),
]  # fmt: skip


def test_the_table_is_as_written() -> None:
    assert [
        (
            row.category.name, row.recovery.value, row.retry, row.base, row.cost, row.weight, row.pressure,
            row.unsafe.value, row.http, row.grpc, row.severity.value,
        )
        for row in PROFILES.values()
    ] == _ROWS  # fmt: skip


def test_every_leaf_has_a_row_and_no_group_has() -> None:
    assert list(PROFILES) == list(ErrorCategory)
    with pytest.raises(ValueError, match="groups have no row"):
        profile_of(C.TRANSIENT)


def test_what_is_retried_by_default_is_transient() -> None:
    retried = ErrorCategory(0)
    for row in PROFILES.values():
        retried |= row.category if row.retry else ErrorCategory(0)
    assert retried == C.TRANSIENT


def test_a_row_is_overridden_until_it_is_taken_back() -> None:
    with override_profiles({"rate_limit": {"base": 5.0}}):
        assert profile_of(C.RATE_LIMIT).base == 5.0
        assert profile_of(C.RATE_LIMIT).cost == PROFILES[C.RATE_LIMIT].cost
    assert profile_of(C.RATE_LIMIT) is PROFILES[C.RATE_LIMIT]


def test_a_group_overrides_every_leaf_in_it() -> None:
    with override_profiles({C.TRANSIENT: {"weight": 3}}):
        assert {profile_of(leaf).weight for leaf in C.TRANSIENT} == {3}
        assert profile_of(C.CONFLICT).weight == 0


def test_a_whole_row_may_be_given_for_another_leaf() -> None:
    with override_profiles({"conflict": PROFILES[C.UNAVAILABLE]}):
        row = profile_of(C.CONFLICT)
        assert (row.category, row.retry, row.recovery) == (C.CONFLICT, True, Recovery.RETRY)


@pytest.mark.parametrize(
    "change",
    [
        {"base": -1.0}, {"base": float("inf")}, {"base": True}, {"cost": -1}, {"cost": 1.5}, {"weight": "1"},
        {"pressure": 2}, {"pressure": True},
        {"http": 99}, {"http": 600}, {"retry": "yes"}, {"recovery": "retry"}, {"unsafe": True}, {"severity": "info"},
        {"grpc": "unavailable"}, {"bases": 1.0}, {"category": C.TIMEOUT},
    ],
)  # fmt: skip
def test_a_wrong_override_is_refused_and_changes_nothing(change: dict[str, object]) -> None:
    [field] = change
    with pytest.raises(ValueError, match=field):
        override_profiles({"timeout": {"cost": 1}, "network": change})
    assert profile_of(C.TIMEOUT) is PROFILES[C.TIMEOUT]


def test_an_override_of_what_is_no_category_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'timeout'"):
        override_profiles({"tiemout": {"cost": 1}})
    with pytest.raises(TypeError, match="override_profiles=3"):
        override_profiles({cast("str", 3): {"cost": 1}})


def test_the_table_as_shipped_cannot_be_written_to() -> None:
    with pytest.raises(TypeError):
        cast("dict[ErrorCategory, Profile]", PROFILES)[C.TIMEOUT] = PROFILES[C.NETWORK]
    with pytest.raises(AttributeError):
        PROFILES[C.TIMEOUT].cost = 1  # type: ignore[misc]


def test_rows_are_made_of_their_enums() -> None:
    for row in PROFILES.values():
        assert isinstance(row.recovery, Recovery)
        assert isinstance(row.unsafe, RetrySafety)
        assert isinstance(row.severity, Severity)


def test_overrides_may_be_taken_back_in_any_order():
    first = override_profiles({"timeout": {"base": 1.0}})
    second = override_profiles({"timeout": {"base": 2.0}})
    first()
    assert profile_of("timeout").base == 2.0
    second()
    second()
    assert profile_of("timeout") is PROFILES[ErrorCategory.TIMEOUT]


def test_only_a_leaf_has_a_row():
    with pytest.raises(ValueError, match="category='transient': give one leaf, such as 'timeout'; groups have no row"):
        profile_of("transient")


# -- what policies read from the table -------------------------------------------------------------------------------


def test_a_reading_is_worked_out_once_for_each_row() -> None:
    asked: list[str] = []

    def read(row: Profile) -> int:
        asked.append(row.category.label)
        return row.http

    reading = DerivedTable(read, {})
    assert [reading[C.TIMEOUT.value], reading[C.TIMEOUT.value], reading[C.NETWORK.value]] == [504, 504, 502]
    assert asked == ["timeout", "network"]


def test_a_reading_follows_an_override_and_its_end() -> None:
    reading = DerivedTable(lambda row: row.base, {})
    bit = C.RATE_LIMIT.value
    assert reading[bit] == 1.0
    with override_profiles({"rate_limit": {"base": 7.0}}):
        assert reading[bit] == 7.0
    assert reading[bit] == 1.0


def test_a_policys_own_row_goes_before_the_tables_and_its_override() -> None:
    own = changed_profiles("profiles", {"timeout": {"weight": 3}})
    reading = DerivedTable(lambda row: row.weight, own)
    with override_profiles({"timeout": {"weight": 9}, "network": {"weight": 9}}):
        assert (reading[C.TIMEOUT.value], reading[C.NETWORK.value]) == (3, 9)


def test_a_derived_table_that_is_not_used_is_forgotten() -> None:
    from resilience import profiles

    before = len(profiles._derived)
    reading = DerivedTable(lambda row: row.base, {})
    assert len(profiles._derived) == before + 1
    del reading
    assert len(profiles._derived) == before
