"""The answer to an exception: status, headers, document."""

from __future__ import annotations

import concurrent.futures
import json
import math
import subprocess
import sys
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience import ErrorCategory as C
from resilience import ResilienceError, override_profiles, profile_of, register
from resilience.contrib import service
from resilience.contrib.executor import PythonExecutorException
from resilience.errors.circuit import CircuitOpenError
from resilience.integrations.http import document, headers, status_code
from tests.integrations.http.serving import CANARY, hostile


def upstream(status: int, **lines: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", f"https://upstream/{CANARY}")
    response = httpx.Response(status, request=request, headers=lines)
    return httpx.HTTPStatusError(CANARY, request=request, response=response)


@pytest.mark.parametrize("leaf", list(C), ids=str)
def test_the_status_is_that_of_the_categorys_row(leaf: C):
    assert status_code(ResilienceError("m", category=leaf)) == profile_of(leaf).http


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (service.ValidationError("m"), 400),
        (service.TaskNotFoundError("t"), 404),
        (service.AuthenticationError("m"), 401),
        (service.AuthorizationError("m"), 403),
        (service.RateLimitError(1, 1, 1), 429),
        (service.CapacityExceededError("m"), 503),
        (service.TimeoutError("plan", 1), 500),
        (service.LLMAPIError("openai", 429), 500),
        (service.OctoLLMError("m", "NETWORK_ERROR"), 502),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_services_own_family_has_the_services_own_statuses(error: service.OctoLLMError, status: int):
    assert status_code(error) == status
    for style in ("problem", "service"):
        assert document(error, format=style)[0] == status
    assert document(error)[2]["status"] == status


@pytest.mark.parametrize(
    ("error", "status", "category"),
    [
        (TimeoutError(CANARY), 504, "timeout"),
        (ConnectionResetError(CANARY), 502, "network"),
        (ValueError(CANARY), 500, "unknown"),
        (FileNotFoundError(2, CANARY, CANARY), 500, "internal"),
        (PermissionError(CANARY), 500, "internal"),
        (ImportError(CANARY), 500, "internal"),
        (SyntaxError(CANARY), 500, "internal"),
        (MemoryError(CANARY), 500, "internal"),
        (concurrent.futures.CancelledError(CANARY), 500, "internal"),
        (upstream(404), 500, "internal"),
        (upstream(401), 500, "internal"),
        (upstream(503), 503, "unavailable"),
        (upstream(429, **{"retry-after": "7"}), 503, "unavailable"),
    ],
    ids=repr,
)
def test_an_undeclared_exception_is_never_answered_with_a_4xx(error: Exception, status: int, category: str):
    found, _, body = document(error)
    assert (found, body["status"], body["category"]) == (status, status, category)
    assert CANARY not in json.dumps(body)
    assert type(error).__name__ not in json.dumps(body)


def test_what_is_declared_or_registered_is_answered_as_it_says():
    class Gone(Exception):
        category = C.NOT_FOUND

    class Locked(Exception): ...

    assert status_code(Gone()) == 404
    assert status_code(Locked()) == 500
    with register(Locked, C.CONFLICT):
        assert status_code(Locked()) == 409
        assert document(Locked(CANARY))[2]["category"] == "conflict"


@pytest.mark.parametrize("name", [name for name, group in C.__members__.items() if not group.is_leaf])
def test_an_error_that_declares_a_group_is_answered_with_one_leaf_throughout(name: str):
    error = PythonExecutorException("m", C[name])
    status, _, body = document(error)
    published = error.to_problem()
    assert (status, body) == (published["status"], published)


def test_one_of_ours_that_is_registered_is_what_it_is_registered_as():
    class Shut(ResilienceError, category="unavailable"): ...

    with register(Shut, C.CONFLICT):
        status, _, body = document(Shut())
    assert (status, body["category"]) == (409, "conflict")


def test_a_row_that_is_overridden_is_the_row():
    with override_profiles({"timeout": {"http": 503}}):
        assert status_code(ResilienceError("m", category="timeout")) == 503
        assert document(ResilienceError("m", category="timeout"))[2]["title"] == "Service Unavailable"
    with override_profiles({"timeout": {"http": 204}}):  # has no body
        assert status_code(ResilienceError("m", category="timeout")) == 500


@pytest.mark.parametrize(
    ("wait", "published"),
    [(0, "0"), (0.3, "1"), (1.0, "1"), (1.2, "2"), (timedelta(minutes=1), "60"), (math.inf, None), (None, None)],
    ids=str,
)
def test_the_retry_after_is_in_whole_seconds_rounded_up(wait: float | None, published: str | None):
    assert headers(ResilienceError("m", retry_after=wait)).get("Retry-After") == published


def test_an_upstreams_wait_is_passed_on_and_an_isolated_circuits_is_not():
    assert headers(upstream(503, **{"retry-after": "7"})) == {"Retry-After": "7"}
    assert headers(CircuitOpenError("billing", 12.4)) == {"Retry-After": "13"}
    assert headers(CircuitOpenError("billing", math.inf)) == {}


@given(st.floats() | st.integers() | st.text() | st.binary() | st.booleans() | st.none() | st.lists(st.text()))
def test_a_wait_of_any_kind_is_digits_or_nothing(wait: object):
    error = ResilienceError("m")
    error.__dict__["retry_after"] = wait
    published = headers(error).get("Retry-After", "0")
    assert published.isascii()
    assert published.isdigit()
    assert 0 <= int(published) <= 2**31 - 1


@pytest.mark.parametrize("style", ["problem", "service"])
@pytest.mark.parametrize("what", hostile())
def test_nothing_an_error_does_breaks_its_document(what: str, style: str):
    status, found, body = document(hostile()[what], format=style, public="unknown")
    text = json.dumps(body, allow_nan=False)
    assert 400 <= status <= 599
    assert CANARY not in text
    assert len(text) < 500_000
    for name, value in found.items():
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()
    assert set(found) <= {"Content-Type", "Retry-After", "X-Error-Category", "X-Error-Code"}


@given(st.text())
def test_a_code_of_any_kind_is_a_code_or_no_header(code: str):
    error = ResilienceError("m")
    error.__dict__["code"] = code
    found = document(error, format="service")[1]
    assert all(value.isascii() and value.isprintable() for value in found.values())


def test_a_problem_keeps_the_message_unless_its_category_is_public():
    error = ResilienceError(CANARY, category="conflict", details={"row": CANARY})
    assert CANARY not in json.dumps(document(error)[2])
    assert CANARY not in json.dumps(document(error, public="timeout")[2])
    shown = document(error, public=C.CLIENT_ERROR, instance="/rows/7")[2]
    assert (shown["detail"], shown["details"], shown["instance"]) == (CANARY, {"row": CANARY}, "/rows/7")


def test_the_service_format_is_the_body_the_service_documents():
    error = service.RateLimitError(100, 60, 0)
    assert document(error, format="service") == (
        429,
        {
            "Content-Type": "application/json",
            "Retry-After": "0",
            "X-Error-Category": "rate_limit",
            "X-Error-Code": "OCTO-E013",
        },
        error.to_dict(),
    )
    body = document(upstream(503, **{"retry-after": "7"}), format="service")[2]
    assert body == {
        "error": "INTERNAL_ERROR",
        "message": "An internal error occurred",
        "details": {},
        "retry_after": 7.0,
    }


def test_a_wrong_format_or_category_fails_where_it_is_written():
    with pytest.raises(ValueError, match="give 'problem' or 'service'"):
        document(ValueError(), format="xml")
    with pytest.raises(ValueError, match="did you mean 'client_error'"):
        document(ValueError(), public="client_eror")


def test_the_toolkit_does_not_load_this_and_this_loads_no_framework():
    program = (
        "import resilience, sys; assert 'resilience.integrations.http' not in sys.modules\n"
        "from resilience.integrations.http import *\n"
        "import resilience.integrations.http.django\n"
        "error_from_response((503, {}, b''))\n"
        "heavy = {'starlette', 'fastapi', 'django', 'httpx', 'requests', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_misspelt_name_is_an_attribute_error():
    import resilience.integrations.http

    with pytest.raises(AttributeError, match="no attribute 'documnet'"):
        _ = resilience.integrations.http.documnet
