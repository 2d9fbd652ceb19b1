"""The body of an answer and the problem document."""

from __future__ import annotations

import json

import pytest

from resilience import ErrorCategory, override_profiles, profile_of
from resilience.errors import ResilienceError


class HTTPStockLockedError(ResilienceError, code="DOC-E001", category="conflict"):
    """The internals of this docstring are private."""


def test_the_body_has_exactly_the_four_keys():
    error = HTTPStockLockedError("row 7 is locked", details={"row": 7})
    assert error.to_dict() == {"error": "DOC-E001", "message": "row 7 is locked", "details": {"row": 7}}
    error.retry_after = 0
    assert error.to_dict() == {
        "error": "DOC-E001",
        "message": "row 7 is locked",
        "details": {"row": 7},
        "retry_after": 0,
    }


def test_for_logs_there_is_more():
    assert HTTPStockLockedError("m").to_dict(full=True) == {
        "error": "DOC-E001",
        "message": "m",
        "details": {},
        "code": "DOC-E001",
        "category": "conflict",
        "severity": "warning",
        "type": "HTTPStockLockedError",
    }


def test_a_problem_has_the_user_message_and_no_internals():
    error = HTTPStockLockedError("row 7 of db1.internal is locked", details={"host": "db1.internal"}, retry_after=0)
    assert error.to_problem("/orders/7", "https://example.org/errors/") == {
        "type": "https://example.org/errors/DOC-E001",
        "title": "HTTP stock locked",
        "status": 409,
        "detail": "This conflicts with something that has changed meanwhile.",
        "instance": "/orders/7",
        "code": "DOC-E001",
        "category": "conflict",
        "retry_after": 0,
    }
    assert "internal" not in json.dumps(error.to_problem())


def test_a_public_problem_has_message_and_details():
    problem = HTTPStockLockedError("row 7 is locked", details={"row": 7}).to_problem(public=True)
    assert (problem["detail"], problem["details"]) == ("row 7 is locked", {"row": 7})


@pytest.mark.parametrize("leaf", ErrorCategory, ids=str)
def test_the_status_is_that_of_the_category_and_about_blank_is_titled_by_it(leaf):
    problem = ResilienceError("m", category=leaf).to_problem()
    assert (problem["type"], problem["status"]) == ("about:blank", profile_of(leaf).http)
    assert problem["title"][0].isupper()
    assert not problem["title"].startswith("Status")


def test_an_overridden_status_is_the_one_in_force():
    with override_profiles({"conflict": {"http": 598}}):
        problem = HTTPStockLockedError().to_problem()
    assert (problem["status"], problem["title"]) == (598, "Status 598")


def test_an_error_that_fights_back_is_a_document_all_the_same():
    class Hostile(ResilienceError):
        @property
        def category(self):
            raise RuntimeError

        details = code = severity = retry_after = user_message = error_code = category

        def __str__(self):
            raise RuntimeError

    error = Hostile()
    assert error.to_dict(full=True) == {
        "error": "UNKNOWN_ERROR",
        "message": "<Hostile whose message cannot be read>",
        "details": {},
        "code": "RES-E000",
        "category": "unknown",
        "severity": "error",
        "type": "Hostile",
    }
    assert error.to_problem()["detail"] == "An unexpected error occurred."
