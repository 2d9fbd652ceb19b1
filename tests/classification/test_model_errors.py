"""Errors of model servers: in the middle of a stream, and of clients without a table."""

from __future__ import annotations

import json
from collections.abc import Callable

import anthropic
import groq
import httpx
import httpx2
import openai
import pytest
from botocore.exceptions import EventStreamError

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain
from resilience.classification.aws_code import AWS_CODES, category_of_aws
from tests.classification.peers import Peer
from tests.classification.test_client_tables import _classes
from tests.classification.test_delivery import _failure

C = ErrorCategory
_REQUEST = httpx.Request("POST", "http://model/")
_REQUEST2 = httpx2.Request("POST", "http://model/")

_SAID = [
    ({"code": 502, "message": "m"}, C.UNAVAILABLE),
    ({"code": "502"}, C.UNAVAILABLE),
    ({"code": 429}, C.RATE_LIMIT),
    ({"code": 400, "type": "server_error"}, C.VALIDATION),
    ({"type": "overloaded_error"}, C.UNAVAILABLE),
    ({"type": "OverloadedError"}, C.UNAVAILABLE),
    ({"type": "rateLimitExceeded"}, C.RATE_LIMIT),
    ({"code": "rate_limit_exceeded", "type": "tokens"}, C.RATE_LIMIT),
    ({"code": "context_length_exceeded", "type": "server_error"}, C.VALIDATION),
    ({"code": "InvalidRequestError"}, C.VALIDATION),
    ({"type": "invalid-api-key"}, C.AUTHENTICATION),
    ({"code": 429, "type": "insufficient_quota"}, C.CAPACITY),
    ({"error": {"code": 503, "status": "UNAVAILABLE"}}, C.UNAVAILABLE),
    ({"error": {"status": "DEADLINE_EXCEEDED"}}, C.TIMEOUT),
    ({"type": "INTERNAL_SERVER_ERROR"}, C.SERVER_ERROR),
    ({"code": 200}, C.SERVER_ERROR),
    ({"code": "weird", "type": "weirder"}, C.SERVER_ERROR),
    ({"message": "m"}, C.SERVER_ERROR),
    ({}, C.SERVER_ERROR),
    (None, C.SERVER_ERROR),
    ("x", C.SERVER_ERROR),
    (["x"], C.SERVER_ERROR),
]


def _of_openai(body: object) -> Exception:
    return openai.APIError("secret", _REQUEST2, body=body)


def _of_anthropic(body: object) -> Exception:
    return anthropic.APIError("secret", _REQUEST2, body=body)


def _of_anthropic_in_a_stream(body: object) -> Exception:
    return anthropic.APIStatusError("secret", response=httpx2.Response(200, request=_REQUEST2), body=body)


def _of_groq(body: object) -> Exception:
    return groq.APIError("secret", _REQUEST, body=body)


def _of_litellm(body: object) -> Exception:
    kind = type("APIError", (openai.APIError,), {"__module__": "litellm.exceptions"})
    error: Exception = kind("secret", _REQUEST2, body=body)
    return error


@pytest.mark.parametrize(
    "make",
    [_of_openai, _of_anthropic, _of_anthropic_in_a_stream, _of_groq, _of_litellm],
    ids=lambda made: made.__name__,
)
@pytest.mark.parametrize(("body", "category"), _SAID, ids=[str(body) for body, _ in _SAID])
def test_an_error_in_the_middle_of_a_stream_is_what_it_says_or_the_server(
    make: Callable[[object], Exception], body: object, category: ErrorCategory
) -> None:
    error = make(body)
    assert classify(error) is category, explain(error)
    assert "secret" not in str(explain(error))


def test_a_status_on_the_error_is_read_first() -> None:
    error = _of_litellm(None)
    error.status_code = 500  # type: ignore[attr-defined]
    assert classify(error) is C.SERVER_ERROR
    error.status_code = 429  # type: ignore[attr-defined]
    assert classify(error) is C.RATE_LIMIT


def test_the_base_class_is_configuration_and_speaks_for_itself_alone() -> None:
    for base in (openai.OpenAIError, anthropic.AnthropicError):
        assert classify(base("no API key")) is C.CONFIGURATION
        assert classify(type("OfTheApplication", (base,), {"__module__": "shop"})()) is C.UNKNOWN
        assert classify(type(base.__name__, (base,), {"__module__": "litellm.exceptions"})()) is C.UNKNOWN


@pytest.mark.parametrize(("library", "base"), [("openai", openai.OpenAIError), ("anthropic", anthropic.AnthropicError)])
def test_every_other_class_of_the_client_has_a_row_of_its_own(library: str, base: type) -> None:
    from resilience.classification.libraries import library_named

    rows = library_named(library).categories
    without = [
        name
        for name, kind in _classes(library).items()
        if issubclass(kind, base) and kind is not base
        and not any(one.__qualname__ in rows for one in kind.__mro__ if one is not base and issubclass(one, base))
    ]  # fmt: skip
    assert not without


def test_openai_raises_it_in_a_real_stream(peer: Peer) -> None:
    event = json.dumps({"error": {"code": 502, "message": "Provider disconnected"}})
    peer.answers["provider"] = (200, {"content-type": "text/event-stream"}, f"data: {event}\n\n".encode())
    url = f"http://127.0.0.1:{peer.port}/provider"

    def of_openai() -> object:
        with openai.OpenAI(api_key="x", base_url=url, max_retries=0, timeout=2) as client:
            message = {"role": "user", "content": "x"}
            return list(client.chat.completions.create(model="m", messages=[message], stream=True))  # type: ignore[list-item]

    def of_groq() -> object:
        with groq.Groq(api_key="x", base_url=url, max_retries=0, timeout=2) as client:
            message = {"role": "user", "content": "x"}
            return list(client.chat.completions.create(model="m", messages=[message], stream=True))  # type: ignore[list-item]

    for call in (of_openai, of_groq):
        error = _failure(call)
        assert type(error).__name__ == "APIError"
        assert classify(error) is C.UNAVAILABLE, explain(error)


# -- clients that Stainless has made ---------------------------------------------------------------------------------


def test_a_client_without_a_table_is_known_by_its_classes(closed_port: int, peer: Peer) -> None:
    def call(port: int, path: str = "") -> Exception:
        with groq.Groq(api_key="x", base_url=f"http://127.0.0.1:{port}{path}", max_retries=0, timeout=0.15) as client:
            return _failure(client.models.list)

    assert classify(call(closed_port)) is C.NETWORK
    assert classify(call(peer.port, "/silent")) is C.TIMEOUT
    assert classify(call(peer.port, "/429")) is C.RATE_LIMIT
    assert classify(call(peer.port, "/401")) is C.AUTHENTICATION
    invalid = groq.APIResponseValidationError(httpx.Response(200, request=_REQUEST), None)
    assert classify(invalid) is C.DEPENDENCY
    assert classify(groq.GroqError("no API key")) is C.UNKNOWN


def test_what_is_only_called_the_same_is_not_taken_for_one() -> None:
    def named(name: str, base: type[Exception]) -> type[Exception]:
        return type(name, (base,), {"__module__": "shop", "__init__": lambda self, **given: vars(self).update(given)})

    error, connection = named("APIError", named("ShopError", Exception)), "APIConnectionError"
    for like in ({}, {"message": "m", "body": None}, {"message": "m", "request": _REQUEST}):
        assert classify(named(connection, error)(**like)) is C.UNKNOWN
    made = {"message": "m", "body": None, "request": _REQUEST}
    assert classify(named(connection, error)(**made)) is C.NETWORK
    assert classify(named(connection, named("APIError", Exception))(**made)) is C.UNKNOWN


# -- events of AWS ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("throttlingException", C.RATE_LIMIT), ("ThrottlingException", C.RATE_LIMIT),
        ("modelStreamErrorException", C.SERVER_ERROR), ("internalServerException", C.SERVER_ERROR),
        ("serviceUnavailableException", C.UNAVAILABLE), ("validationException", C.VALIDATION),
        ("modelTimeoutException", C.UNAVAILABLE), ("accessDeniedException", C.AUTHORIZATION),
        ("badGatewayException", C.UNAVAILABLE), ("dependencyFailedException", C.DEPENDENCY),
        ("serviceQuotaExceededException", C.CAPACITY), ("conflictException", C.CONFLICT), ("", C.SERVER_ERROR),
        ("somethingNew", C.SERVER_ERROR),
    ],
)  # fmt: skip
def test_an_event_in_a_stream_of_aws_is_what_it_is_called(code: str, category: ErrorCategory) -> None:
    # What botocore makes of an event: the status is its own.
    error = EventStreamError(
        {"Error": {"Code": code, "Message": "secret"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "ConverseStream"
    )
    assert classify(error) is category, explain(error)
    assert classify(EventStreamError({"Error": {"Code": code}}, "ConverseStream")) is category


def test_no_two_codes_of_aws_that_differ_in_writing_mean_different_things() -> None:
    for code, category in AWS_CODES.items():
        assert category_of_aws(code) is category_of_aws(code.lower()) is category
    assert category_of_aws("nothing") is C.UNKNOWN
