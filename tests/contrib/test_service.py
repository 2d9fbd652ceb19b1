"""The family of a distributed service: constructors, messages, words, statuses."""

from __future__ import annotations

import builtins
import copy
import inspect
import json
import pickle

import pytest

from resilience import ErrorCategory as C
from resilience import classify
from resilience.contrib import service
from resilience.contrib.service import get_status_code
from resilience.errors import ResilienceError
from resilience.errors.circuit import CircuitOpenError

FAILED = ValueError("disk full")

# error, message, word, details, retry_after, category, status
CASES = [
    (service.OctoLLMError("m"), "m", "UNKNOWN_ERROR", {}, None, C.UNKNOWN, 500),
    (service.OctoLLMError("m", "W", {"a": 1}, 0), "m", "W", {"a": 1}, 0, C.UNKNOWN, 500),
    (service.ValidationError("m"), "m", "VALIDATION_ERROR", {}, None, C.VALIDATION, 400),
    (service.ValidationError("m", "goal"), "m", "VALIDATION_ERROR", {"field": "goal"}, None, C.VALIDATION, 400),
    (service.ValidationError("m", field=""), "m", "VALIDATION_ERROR", {"field": ""}, None, C.VALIDATION, 400),
    (
        service.ValidationError("m", "goal", error_code="W", details={"a": 1}, retry_after=3),
        "m",
        "W",
        {"field": "goal", "a": 1},
        3,
        C.VALIDATION,
        400,
    ),
    (service.InvalidInputError("m", "goal"), "m", "VALIDATION_ERROR", {"field": "goal"}, None, C.VALIDATION, 400),
    (
        service.ValidationErrors([{"field": "a", "message": "b"}]),
        "Validation failed with 1 errors",
        "VALIDATION_ERRORS",
        {"errors": [{"field": "a", "message": "b"}]},
        None,
        C.VALIDATION,
        400,
    ),
    (
        service.TaskNotFoundError("t-7"),
        "Task t-7 not found",
        "TASK_NOT_FOUND",
        {"task_id": "t-7"},
        None,
        C.NOT_FOUND,
        404,
    ),
    (service.AuthenticationError("m"), "m", "AUTHENTICATION_ERROR", {}, None, C.AUTHENTICATION, 401),
    (service.AuthorizationError("m"), "m", "AUTHORIZATION_ERROR", {}, None, C.AUTHORIZATION, 403),
    (service.ResourceError("m"), "m", "UNKNOWN_ERROR", {}, None, C.UNAVAILABLE, 503),
    (
        service.ArmUnavailableError(["a", "b"]),
        "No arm available with capabilities: a, b",
        "ARM_UNAVAILABLE",
        {"required_capabilities": ["a", "b"]},
        None,
        C.UNAVAILABLE,
        503,
    ),
    (service.CapacityExceededError("m"), "m", "CAPACITY_EXCEEDED", {}, None, C.CAPACITY, 503),
    (
        service.RateLimitError(100, 60, 0),
        "Rate limit exceeded: 100 requests per 60s",
        "RATE_LIMIT_EXCEEDED",
        {"limit": 100, "window": 60},
        0,
        C.RATE_LIMIT,
        429,
    ),
    (service.SystemError("m"), "m", "UNKNOWN_ERROR", {}, None, C.INTERNAL, 500),
    (
        service.DatabaseError("insert", FAILED),
        "Database insert failed: disk full",
        "DATABASE_ERROR",
        {"operation": "insert", "error": "disk full"},
        None,
        C.DEPENDENCY,
        500,
    ),
    (service.CacheError("m"), "m", "CACHE_ERROR", {}, None, C.DEPENDENCY, 500),
    (service.NetworkError("m"), "m", "NETWORK_ERROR", {}, None, C.NETWORK, 500),
    (
        service.TimeoutError("plan", 30),
        "plan timed out after 30s",
        "TIMEOUT_ERROR",
        {"operation": "plan", "timeout": 30},
        None,
        C.TIMEOUT,
        500,
    ),
    (service.ExternalError("m"), "m", "UNKNOWN_ERROR", {}, None, C.DEPENDENCY, 500),
    (
        service.LLMAPIError("openai"),
        "openai API error: Unknown error",
        "LLM_API_ERROR",
        {"provider": "openai", "status_code": None, "error_message": None},
        None,
        C.DEPENDENCY,
        500,
    ),
    (
        service.LLMAPIError("openai", 503, "busy"),
        "openai API error: busy",
        "LLM_API_ERROR",
        {"provider": "openai", "status_code": 503, "error_message": "busy"},
        None,
        C.UNAVAILABLE,
        500,
    ),
    (service.VectorDBError("m"), "m", "VECTOR_DB_ERROR", {}, None, C.DEPENDENCY, 500),
    (service.ThirdPartyAPIError("m"), "m", "THIRD_PARTY_API_ERROR", {}, None, C.DEPENDENCY, 500),
]
each = pytest.mark.parametrize(
    ("error", "message", "word", "details", "wait", "category", "status"),
    CASES,
    ids=[f"{type(case[0]).__name__}-{number}" for number, case in enumerate(CASES)],
)


@each
def test_each_error_has_its_message_word_details_category_and_status(
    error, message, word, details, wait, category, status
):
    assert (str(error), error.message, error.error_code) == (message, message, word)
    assert (error.details, error.retry_after) == (details, wait)
    assert classify(error) is error.category is category
    assert get_status_code(error) == status
    body = {"error": word, "message": message, "details": details}
    assert error.to_dict() == body | ({} if wait is None else {"retry_after": wait})
    assert json.loads(json.dumps(error.to_dict())) == error.to_dict()


@each
def test_each_error_survives_pickle_and_copies(error, message, word, details, wait, category, status):
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.message, twin.error_code, twin.details) == (message, message, word, details)
        assert (twin.retry_after, twin.category, get_status_code(twin)) == (wait, category, status)


def test_every_class_is_in_a_case_and_has_a_code_of_its_own():
    kinds = {kind for _, kind in inspect.getmembers(service, inspect.isclass) if issubclass(kind, service.OctoLLMError)}
    assert {type(case[0]) for case in CASES} == kinds
    assert len({kind.code for kind in kinds}) == len(kinds) == 20


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (service.OctoLLMError, "message error_code='UNKNOWN_ERROR' details=None retry_after=None"),
        (service.TaskNotFoundError, "task_id"),
        (service.ValidationErrors, "errors"),
        (service.ArmUnavailableError, "required_capabilities"),
        (service.RateLimitError, "limit window retry_after"),
        (service.DatabaseError, "operation original_error"),
        (service.TimeoutError, "operation timeout"),
        (service.LLMAPIError, "provider status_code=None error_message=None"),
    ],
)
def test_constructors_are_those_of_the_family(kind, parameters):
    found = list(inspect.signature(kind).parameters.values())
    assert " ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in found) == parameters


def test_a_timeout_is_one_of_python_s_as_well_and_a_system_error_is_not():
    assert isinstance(service.TimeoutError("plan", 30), builtins.TimeoutError)
    assert not isinstance(service.SystemError("m"), builtins.SystemError)
    assert service.TimeoutError("plan", 30).errno is None


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (400, C.DEPENDENCY),
        (401, C.DEPENDENCY),
        (408, C.TIMEOUT),
        (429, C.RATE_LIMIT),
        (500, C.SERVER_ERROR),
        (502, C.UNAVAILABLE),
        (504, C.TIMEOUT),
        (529, C.UNAVAILABLE),
        (599, C.SERVER_ERROR),
        (200, C.DEPENDENCY),
    ],
)
def test_a_provider_s_passing_status_makes_the_category(status, category):
    assert classify(service.LLMAPIError("openai", status)) is category


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PII_DETECTED", 400),
        ("RATE_LIMIT_EXCEEDED", 429),
        ("INVALID_INPUT", 400),
        ("CACHE_ERROR", 500),
        ("NETWORK_ERROR", 502),
        ("SERIALIZATION_ERROR", 500),
        ("INTERNAL_ERROR", 500),
        ("NEVER_HEARD_OF", 500),
    ],
)
def test_the_words_of_the_reflex_layer_have_statuses(word, status):
    assert get_status_code(service.OctoLLMError("m", word)) == status


def test_other_errors_have_statuses_as_well():
    assert get_status_code(ValueError("m")) == 500
    assert get_status_code(CircuitOpenError("b", 3.0)) == 503
    assert get_status_code(ResilienceError("m", category="conflict")) == 409


def test_a_subclass_of_an_application_is_as_its_base():
    class QuotaError(service.RateLimitError):
        def __init__(self, who):
            super().__init__(1, 2, 3)
            self.who = who

    assert get_status_code(QuotaError("ada")) == 429
    assert pickle.loads(pickle.dumps(service.RateLimitError(1, 2, 3))).window == 2


def test_a_database_error_keeps_the_original_one():
    error = service.DatabaseError("insert", FAILED)
    assert error.original_error is FAILED
    assert repr(pickle.loads(pickle.dumps(error)).original_error) == repr(FAILED)


def test_an_original_error_that_cannot_speak_is_survived():
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    assert str(service.DatabaseError("insert", Silent())).startswith("Database insert failed: <Silent")


def test_several_validation_errors_are_made_of_entries_or_errors():
    error = service.ValidationErrors([service.InvalidInputError("is empty", "goal"), {"field": "b", "message": "c"}])
    assert error.errors == [{"field": "goal", "message": "is empty"}, {"field": "b", "message": "c"}]
    assert str(service.ValidationErrors([])) == "Validation failed with 0 errors"
