"""Answers that are remembered of a type hold for each of its exceptions, and no longer than the rules they follow."""

from __future__ import annotations

import ssl
import threading

import httpx
import pytest
import redis
import requests

from resilience.categories import ErrorCategory
from resilience.classification import ClientLibrary, classify, explain, register, register_library
from resilience.classification._responses import caseless, header
from resilience.classification.registry import current_rules

C = ErrorCategory


def _is_remembered(kind: type) -> bool:
    return kind in current_rules().settled


@pytest.mark.parametrize(
    "make", [requests.exceptions.InvalidURL, redis.ConnectionError, redis.exceptions.ReadOnlyError]
)
def test_attributes_that_cannot_change_the_answer_of_a_table_do_not_keep_it_from_being_remembered(
    make: type[Exception],
) -> None:
    category = classify(make("secret"))
    assert vars(make("secret")), "its exceptions carry attributes that other rules read"
    assert _is_remembered(make)
    assert classify(make("secret")) is category


def test_an_exception_that_declares_a_category_is_not_answered_from_memory() -> None:
    assert classify(redis.ConnectionError("secret")) is C.NETWORK
    error = redis.ConnectionError("secret")
    error.category = C.CONFLICT  # type: ignore[attr-defined]
    assert classify(error) is C.CONFLICT


@pytest.mark.parametrize("place", ["reason", "os_error", "orig", "__cause__", "__context__", "args"])
def test_a_refused_certificate_decides_wherever_a_remembered_network_failure_keeps_it(place: str) -> None:
    assert classify(redis.ConnectionError("secret")) is C.NETWORK
    error = redis.ConnectionError("secret")
    refused = ssl.SSLCertVerificationError(1, "refused")
    setattr(error, place, (refused,) if place == "args" else refused)
    assert classify(error) is explain(error).category is C.CONFIGURATION


def test_an_error_with_an_attribute_that_a_rule_reads_is_looked_at_anew() -> None:
    class Busy(Exception):
        pass

    assert classify(Busy()) is C.UNKNOWN
    assert _is_remembered(Busy)
    for name, value, category in (
        ("status_code", 503, C.UNAVAILABLE),
        ("sqlstate", "40001", C.UNAVAILABLE),
        ("retryable", True, C.UNAVAILABLE),
        ("retry_after", 3, C.RATE_LIMIT),
        ("category", C.CONFLICT, C.CONFLICT),
    ):
        error = Busy()
        setattr(error, name, value)
        assert classify(error) is category
    assert classify(Busy()) is C.UNKNOWN


def test_what_is_remembered_of_a_type_goes_with_the_registration_it_follows_from() -> None:
    class Busy(Exception):
        status_code = 503

    Busy.__module__ = "acme.errors"
    assert classify(Busy()) is C.UNAVAILABLE
    with register(Busy, "conflict"):
        assert classify(Busy()) is C.CONFLICT
    with register_library("acme", ClientLibrary({Busy.__qualname__: "capacity"})):
        assert classify(Busy()) is C.CAPACITY
    assert classify(Busy()) is C.UNAVAILABLE


def test_threads_that_register_and_classify_at_once_never_see_an_answer_of_other_rules() -> None:
    class Busy(Exception):
        pass

    wrong: list[ErrorCategory] = []
    done = threading.Event()

    def classify_on() -> None:
        while not done.is_set():
            if classify(Busy()) not in (C.UNKNOWN, C.CONFLICT):
                wrong.append(classify(Busy()))

    threads = [threading.Thread(target=classify_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            with register(Busy, "conflict"):
                assert classify(Busy()) is C.CONFLICT
            assert classify(Busy()) is C.UNKNOWN
    finally:
        done.set()
        for thread in threads:
            thread.join(10)
    assert not wrong


def test_rules_of_types_made_at_run_time_do_not_fill_the_memory() -> None:
    for number in range(3000):
        assert classify(type(f"Made{number}", (OSError,), {})(113, "no route")) is C.NETWORK
    assert len(current_rules().of_types) <= 1024


# -- headers of any class ----------------------------------------------------------------------------------------------


def test_a_mapping_that_ignores_case_is_asked_itself_and_any_other_is_copied() -> None:
    ignoring = httpx.Headers({"Retry-After": "3"})
    assert caseless(ignoring) is ignoring
    assert caseless({"Retry-After": "3"}) == {"retry-after": "3"}
    assert caseless([(b"Retry-After", b"3"), (b"retry-after", b"5")]) == {"retry-after": b"3"}


def test_headers_that_can_only_be_asked_by_name_are_asked() -> None:
    class OnlyGet:
        def get(self, name: str) -> str | None:
            return "3" if name == "retry-after" else None

    assert header(OnlyGet(), "retry-after") == "3"
    assert header(OnlyGet(), "retry-after-ms") is None


def test_a_sequence_without_end_is_no_headers() -> None:
    class Endless:
        def __getitem__(self, place: int) -> int:
            return place

    assert header(Endless(), "retry-after") is None
