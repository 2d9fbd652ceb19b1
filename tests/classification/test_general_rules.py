"""Rules that hold for classes of which no table knows anything."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import ssl
import sys
import types
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pybreaker
import pytest
import tenacity
import urllib3

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain, register
from resilience.classification._causes import causes_of
from resilience.classification._delivery import never_connected
from resilience.profiles import profile_for

C = ErrorCategory


@pytest.fixture(scope="module")
def acme() -> Iterator[types.ModuleType]:
    """A client library of which nothing is known, as if it were installed."""
    module = types.ModuleType("acme_client")
    module.__file__ = str(Path(urllib3.__file__).parent.parent / "acme_client.py")
    exec(
        "class AcmeError(Exception): ...\n"
        "class Wrapper(AcmeError): ...\n"
        "class Carrier(AcmeError):\n"
        "    def __init__(self, **attributes): vars(self).update(attributes)\n",
        module.__dict__,
    )
    sys.modules["acme_client"] = module
    yield module
    del sys.modules["acme_client"]


class OwnError(Exception):
    """An application's own class."""


def _from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


# -- by cause ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "category"),
    [
        (ConnectionRefusedError(), C.NETWORK),
        (TimeoutError(), C.TIMEOUT),
        (PermissionError(), C.AUTHORIZATION),
        (asyncio.CancelledError(), C.CANCELLED),
        (ssl.SSLCertVerificationError(1, "refused"), C.CONFIGURATION),
        (ValueError(), C.UNKNOWN),
        (TypeError(), C.UNKNOWN),
        (AttributeError(), C.UNKNOWN),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unknown_class_of_a_library_means_what_it_was_made_of(
    acme: types.ModuleType, cause: BaseException, category: ErrorCategory
) -> None:
    error = _from(acme.Wrapper("secret"), cause)
    assert classify(error) is category
    assert classify(acme.Wrapper("secret")) is C.UNKNOWN, "without a cause nothing is known"
    assert classify(_from(acme.Wrapper("secret"), cause)) is category, "the answer of another one is not remembered"
    if category is not C.UNKNOWN:
        assert explain(error).rule == "cause"
        assert explain(error).reason.startswith(f"by its cause {type(cause).__name__}: ")


def test_the_walk_goes_on_through_unknown_classes_of_libraries_and_stops_at_the_applications(
    acme: types.ModuleType,
) -> None:
    assert classify(_from(acme.Wrapper(), _from(acme.AcmeError(), TimeoutError()))) is C.TIMEOUT
    assert classify(_from(acme.Wrapper(), _from(OwnError(), TimeoutError()))) is C.UNKNOWN


def test_a_certificate_that_was_refused_is_found_behind_an_unknown_class(acme: types.ModuleType) -> None:
    error = _from(acme.Wrapper(), _from(ConnectionError(), ssl.SSLCertVerificationError(1, "refused")))
    assert classify(error) is C.CONFIGURATION


def test_causes_that_lead_back_to_the_beginning_end(acme: types.ModuleType) -> None:
    error, cause = acme.Wrapper(), acme.AcmeError()
    _from(error, cause)
    _from(cause, error)
    assert classify(error) is C.UNKNOWN
    assert list(causes_of(error)) == [cause]


def test_only_the_explicit_cause_decides(acme: types.ModuleType) -> None:
    error = acme.Wrapper()
    error.__context__ = TimeoutError()
    assert classify(error) is C.UNKNOWN


def test_an_applications_own_class_keeps_its_meaning_until_it_asks_for_its_causes() -> None:
    error = _from(OwnError("secret"), TimeoutError())
    assert classify(error) is C.UNKNOWN
    with register(OwnError, "cause"):
        assert classify(error) is C.TIMEOUT
        assert str(explain(error)).startswith("timeout (cause: by its cause TimeoutError: ")
        assert classify(OwnError()) is C.UNKNOWN
        assert classify(_from(type("Below", (OwnError,), {})(), ConnectionResetError())) is C.NETWORK
    assert classify(error) is C.UNKNOWN


def test_a_class_that_is_registered_by_its_cause_goes_before_what_else_is_known_of_it() -> None:
    class Lost(ConnectionError):
        pass

    with register(Lost, "cause"):
        assert classify(_from(Lost(), TimeoutError())) is C.TIMEOUT
        assert classify(Lost()) is C.NETWORK


def test_built_in_classes_are_shared_by_all_and_keep_their_meaning() -> None:
    assert classify(_from(RuntimeError(), TimeoutError())) is C.UNKNOWN
    assert classify(_from(ValueError(), ConnectionResetError())) is C.UNKNOWN


def test_only_a_class_may_ask_for_its_cause() -> None:
    with pytest.raises(ValueError, match="cause"):
        register(lambda error: True, "cause")


def test_a_real_library_is_known_by_its_cause() -> None:
    docker = pytest.importorskip("docker")
    error = _from(docker.errors.DockerException("secret"), ConnectionRefusedError())
    assert str(explain(error)).startswith("network (cause: by its cause ConnectionRefusedError: ")


# -- retries of others -------------------------------------------------------------------------------------------------


def test_a_retry_error_of_tenacity_is_what_its_last_attempt_was() -> None:
    def retried(error: Exception) -> tenacity.RetryError:
        with pytest.raises(tenacity.RetryError) as caught:
            tenacity.Retrying(stop=tenacity.stop_after_attempt(2))(_raising(error))
        return caught.value

    assert classify(retried(TimeoutError())) is C.TIMEOUT
    assert classify(retried(ConnectionResetError())) is C.NETWORK
    assert classify(retried(KeyError())) is C.UNKNOWN


def _raising(error: Exception):  # type: ignore[no-untyped-def]
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize("name", ["last_exception", "cause", "inner_exception", "original_exception"])
def test_an_exception_that_is_held_in_an_attribute_decides(acme: types.ModuleType, name: str) -> None:
    assert classify(acme.Carrier(**{name: TimeoutError()})) is C.TIMEOUT
    assert classify(acme.Carrier(**{name: "text"})) is C.UNKNOWN


def test_a_future_that_is_not_done_is_not_waited_for(acme: types.ModuleType) -> None:
    assert classify(acme.Carrier(last_attempt=concurrent.futures.Future[None]())) is C.UNKNOWN


# -- what an error says of itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["retryable", "retriable", "is_retryable", "is_retriable", "should_retry"])
def test_an_error_that_says_it_may_be_tried_again_is_unavailable(acme: types.ModuleType, name: str) -> None:
    assert classify(acme.Carrier(**{name: True})) is C.UNAVAILABLE
    assert classify(acme.Carrier(**{name: lambda: True})) is C.UNAVAILABLE
    for other in (False, None, 1, "yes", lambda: False, lambda wants: True):
        assert classify(acme.Carrier(**{name: other})) is C.UNKNOWN


def test_an_error_that_only_asks_to_wait_is_a_rate_limit(acme: types.ModuleType) -> None:
    assert classify(acme.Carrier(retry_after=3)) is C.RATE_LIMIT
    assert classify(acme.Carrier(headers={"Retry-After": "3"})) is C.RATE_LIMIT
    assert classify(acme.Carrier(retry_after=None)) is C.UNKNOWN
    assert classify(acme.Carrier(retry_after=3, status_code=503)) is C.UNAVAILABLE


# -- more names of a status --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "category"),
    [
        ({"http_status": 503}, C.UNAVAILABLE),
        ({"http_code": 404}, C.NOT_FOUND),
        ({"response_code": 503, "response_body": b""}, C.UNAVAILABLE),
        ({"response_code": 503}, C.UNKNOWN),
        ({"errcode": 503, "url": "/"}, C.UNAVAILABLE),
        ({"errcode": 503}, C.UNKNOWN),
        ({"code": HTTPStatus.BAD_GATEWAY}, C.UNAVAILABLE),
        ({"code": 535}, C.UNKNOWN),
        ({"code": 550}, C.UNKNOWN),
        ({"status": 503}, C.UNKNOWN),
        ({"resp": types.SimpleNamespace(status=503, headers={})}, C.UNAVAILABLE),
        ({"meta": types.SimpleNamespace(status=429, headers={})}, C.RATE_LIMIT),
        ({"meta": types.SimpleNamespace(status=429)}, C.UNKNOWN),
        ({"args": ("08S01", "[08S01] [Microsoft][ODBC Driver 18] broken")}, C.NETWORK),
        ({"args": ("08S01", "anything")}, C.UNKNOWN),
        ({"args": ({"S": "ERROR", "V": "ERROR", "C": "40001", "M": "secret"},)}, C.UNAVAILABLE),
        ({"args": ({"S": "ERROR", "C": "23505"},)}, C.CONFLICT),
        ({"args": ({"C": "40001"},)}, C.UNKNOWN),
        ({"args": ({"S": "ERROR", "C": "nonsense"},)}, C.UNKNOWN),
    ],
    ids=str,
)
def test_a_status_is_read_where_clients_keep_it(
    acme: types.ModuleType, attributes: dict[str, object], category: ErrorCategory
) -> None:
    error = acme.Carrier()
    for name, value in attributes.items():
        setattr(error, name, value)
    assert classify(error) is category


@pytest.mark.parametrize(
    "attributes",
    [
        {"status_code": 403, "headers": {"Retry-After": "60"}},
        {"status_code": 403, "headers": {"x-ratelimit-remaining": "0"}},
        {"status_code": 403, "errors": [{"reason": "rateLimitExceeded"}]},
        {"status_code": 403, "errors": [{"reason": "userRateLimitExceeded"}]},
        {"status_code": 403, "content": b'{"error": {"errors": [{"reason": "rateLimitExceeded"}]}}'},
        {"status_code": 400, "headers": {"x-amzn-errortype": "ThrottlingException:http://internal"}},
    ],
    ids=str,
)
def test_a_response_that_asks_to_slow_down_is_a_rate_limit(
    acme: types.ModuleType, attributes: dict[str, object]
) -> None:
    assert classify(acme.Carrier(**attributes)) is C.RATE_LIMIT


def test_a_403_that_forbids_for_good_is_authorization(acme: types.ModuleType) -> None:
    headers = {"x-ratelimit-remaining": "17"}
    assert classify(acme.Carrier(status_code=403, headers=headers, body={"error": "forbidden"})) is C.AUTHORIZATION
    assert classify(acme.Carrier(status_code=403, errors=[{"reason": "dailyLimitExceeded"}])) is C.CAPACITY


def test_a_hostile_body_is_not_read_far(acme: types.ModuleType) -> None:
    deep: object = {}
    for _ in range(100_000):
        deep = {"error": deep}
    assert classify(acme.Carrier(status_code=403, body=deep)) is C.AUTHORIZATION
    assert classify(acme.Carrier(status_code=403, content=b"[" * 60_000)) is C.AUTHORIZATION


# -- control flow ------------------------------------------------------------------------------------------------------


_CONTROL_FLOW: dict[str, tuple[str, Callable[[Any], Exception]]] = {
    "StopIteration": ("builtins", lambda m: m.StopIteration()),
    "StopAsyncIteration": ("builtins", lambda m: m.StopAsyncIteration()),
    "celery retry": ("celery.exceptions", lambda m: m.Retry()),
    "celery ignore": ("celery.exceptions", lambda m: m.Ignore()),
    "celery reject": ("celery.exceptions", lambda m: m.Reject()),
    "django not found": ("django.http", lambda m: m.Http404()),
    "django permission": ("django.core.exceptions", lambda m: m.PermissionDenied()),
    "django does not exist": ("django.core.exceptions", lambda m: m.ObjectDoesNotExist()),
    "django validation": ("django.core.exceptions", lambda m: m.ValidationError("secret")),
    "dramatiq retry": ("dramatiq", lambda m: m.Retry("secret")),
    "langgraph interrupt": ("langgraph.errors", lambda m: m.GraphInterrupt()),
    "langgraph bubble": ("langgraph.errors", lambda m: m.GraphBubbleUp()),
    "pydantic-ai retry": ("pydantic_ai", lambda m: m.ModelRetry("secret")),
    "pydantic-ai approval": ("pydantic_ai", lambda m: m.ApprovalRequired()),
    "pydantic-ai deferred": ("pydantic_ai", lambda m: m.CallDeferred()),
    "aiohttp redirect": ("aiohttp.web", lambda m: m.HTTPFound("/")),
    "starlette normal close": ("starlette.websockets", lambda m: m.WebSocketDisconnect(1000)),
    "starlette going away": ("starlette.websockets", lambda m: m.WebSocketDisconnect(1001)),
    "websockets normal close": (
        "websockets",
        lambda m: m.ConnectionClosedOK(m.frames.Close(1000, ""), m.frames.Close(1000, ""), rcvd_then_sent=True),
    ),
}


@pytest.mark.parametrize("case", _CONTROL_FLOW)
def test_control_flow_of_a_framework_is_not_retried_and_counts_for_no_circuit(case: str) -> None:
    module, make = _CONTROL_FLOW[case]
    profile = profile_for(classify(make(pytest.importorskip(module))))
    assert profile.weight == 0
    assert not profile.retry


def test_pybreakers_rejection_was_never_sent_and_the_call_that_trips_it_was() -> None:
    breaker = pybreaker.CircuitBreaker(fail_max=1)

    def charge() -> None:
        raise ConnectionResetError

    outcomes: list[bool] = []
    for _ in range(2):
        with pytest.raises(pybreaker.CircuitBreakerError) as caught:
            breaker.call(charge)
        outcomes.append(never_connected(caught.value))
    assert outcomes == [False, True]


# -- answers that are no answers ---------------------------------------------------------------------------------------


def test_a_text_that_is_no_json_is_validation_and_a_response_goes_by_its_status() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("<html>")
    assert classify(caught.value) is C.VALIDATION


def test_litellm_goes_by_its_status_and_is_never_configuration() -> None:
    litellm = pytest.importorskip("litellm")
    error = litellm.exceptions.APIError(500, "secret", "openai", "gpt")
    assert classify(error) is C.SERVER_ERROR
    assert classify(litellm.exceptions.MidStreamFallbackError("secret", "m", "openai")) is C.UNAVAILABLE
