"""Registrations of the application have precedence over every table."""

from __future__ import annotations

import logging
import threading
from typing import cast

import pytest

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain, register

C = ErrorCategory


class _Base(Exception):
    pass


class _Child(_Base):
    category = C.TIMEOUT


def test_a_registered_type_beats_every_other_rule_until_it_is_undone() -> None:
    assert classify(_Child()) is C.TIMEOUT
    undo = register(_Child, "conflict")
    assert classify(_Child()) is classify(_Child()) is C.CONFLICT
    assert explain(_Child()).rule == "registered"
    undo()
    undo()
    assert classify(_Child()) is C.TIMEOUT


def test_a_registration_is_a_context_manager() -> None:
    with register(ValueError, C.VALIDATION):
        assert classify(ValueError()) is C.VALIDATION
        assert classify(UnicodeDecodeError("utf-8", b"", 0, 1, "")) is C.VALIDATION
    assert classify(ValueError()) is C.UNKNOWN


def test_the_most_derived_registered_type_decides() -> None:
    with register(_Child, "conflict"), register(_Base, "not_found"):
        assert classify(_Child()) is C.CONFLICT
        assert classify(_Base()) is C.NOT_FOUND


def test_the_newer_of_two_registrations_of_a_type_holds_and_undoing_it_brings_the_older_back() -> None:
    with register(_Base, "not_found"):
        with register(_Base, "conflict"):
            assert classify(_Base()) is C.CONFLICT
        assert classify(_Base()) is C.NOT_FOUND


def test_registrations_may_be_undone_in_any_order() -> None:
    first, second = register(_Base, "not_found"), register(_Base, "conflict")
    first()
    assert classify(_Base()) is C.CONFLICT
    second()
    assert classify(_Base()) is C.UNKNOWN


def test_among_predicates_the_newest_decides_and_types_come_before_predicates() -> None:
    with register(lambda exc: isinstance(exc, _Base), "conflict"):
        assert classify(_Base()) is C.CONFLICT
        with register(lambda exc: exc.args == (1,), "memory_error"):
            assert classify(_Base(1)) is C.MEMORY
            assert classify(_Base(2)) is C.CONFLICT
            with register(_Base, "not_found"):
                assert classify(_Base(1)) is C.NOT_FOUND
    assert classify(_Base(1)) is C.UNKNOWN


def test_a_predicate_is_asked_for_every_exception_of_a_type() -> None:
    with register(lambda exc: exc.args == ("busy",), "unavailable"):
        assert [classify(TimeoutError(word)) for word in ("x", "busy", "x")] == [C.TIMEOUT, C.UNAVAILABLE, C.TIMEOUT]


def test_a_predicate_that_raises_is_skipped_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(exc: BaseException) -> bool:
        raise LookupError("secret")

    with caplog.at_level(logging.WARNING, "resilience"), register(broken, "conflict"):
        for _ in range(3):
            assert classify(TimeoutError("secret")) is C.TIMEOUT
    [record] = caplog.records
    assert record.name == "resilience"
    assert "broken" in record.getMessage()
    assert "LookupError" in record.getMessage()
    assert "secret" not in caplog.text


def test_a_predicate_may_ask_what_the_other_rules_say() -> None:
    def never(exc: BaseException) -> bool:
        return not classify(exc)

    with register(lambda exc: classify(exc) is C.TIMEOUT, "conflict"), register(never, "memory"):
        assert classify(TimeoutError()) is C.CONFLICT
        assert classify(ConnectionError()) is C.NETWORK


@pytest.mark.parametrize("what", [int, "TimeoutError", None, 3])
def test_only_exception_classes_and_functions_can_be_registered(what: object) -> None:
    with pytest.raises(TypeError, match="type_or_predicate="):
        register(cast("type[BaseException]", what), "conflict")


@pytest.mark.parametrize(
    ("category", "error", "message"),
    [
        ("confict", ValueError, "did you mean 'conflict'"),
        (C.TRANSIENT, ValueError, "give 'timeout' or 'network'"),
        (C.CONFLICT | C.MEMORY, ValueError, "one leaf"),
        (ErrorCategory(0), ValueError, "category="),
        (None, TypeError, "category="),
    ],
)
def test_only_a_leaf_can_be_registered(category: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        register(_Base, cast("ErrorCategory", category))
    assert classify(_Base()) is C.UNKNOWN


def test_registering_from_many_threads_loses_nothing() -> None:
    kinds = [type(f"Kind{number}", (Exception,), {}) for number in range(40)]
    together = threading.Barrier(8)
    undone: list[ErrorCategory] = []

    def work(mine: list[type[Exception]]) -> None:
        together.wait(5)
        for kind in mine:
            with register(kind, "conflict"):
                undone.append(classify(kind()))
            undone.append(classify(kind()))

    threads = [threading.Thread(target=work, args=(kinds[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(undone, key=lambda one: one.value) == [C.CONFLICT] * 40 + [C.UNKNOWN] * 40
