"""Calls that are safe to repeat, and failures that prove that the server has done nothing."""

from __future__ import annotations

import dataclasses
import functools
import http
import logging
import urllib.request
from collections.abc import Callable
from typing import Any

import anthropic
import grpc
import httpx
import httpx2
import pytest
import requests

from resilience._runtime.protocol import Call
from resilience.categories import ErrorCategory
from resilience.classification import classify
from resilience.errors.circuit import CircuitOpenError
from resilience.policies._unprocessed import may_be_sent_again
from resilience.policies.idempotency import by_method, idempotency_of
from resilience.profiles import Profile, RetrySafety, override_profiles, profile_for, profile_of

C = ErrorCategory
URL = "https://shop.example/orders"


def _request(method: str, url: str, headers: object = None) -> None: ...


def _send(*args: object, **kwargs: object) -> None: ...


def _fetch(url: str, method: str = "POST", *, headers: object = None) -> None: ...


class Client:
    def get(self, url: str) -> None: ...

    def post(self, url: str, headers: object = None) -> None: ...

    def request(self, method: str, url: str, *, headers: object = None) -> None: ...


def _by_method(function: Callable[..., object], *args: object, **kwargs: object) -> bool:
    return by_method(Call("call", function, args, kwargs))


# -- by_method -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "idempotent"),
    [
        ("GET", True), ("HEAD", True), ("OPTIONS", True), ("TRACE", True), ("PUT", True), ("DELETE", True),
        ("POST", False), ("PATCH", False), ("CONNECT", False), ("PROPFIND", False), ("", False),
    ],
)  # fmt: skip
def test_a_method_is_idempotent_where_the_standard_says_so(method: str, idempotent: bool) -> None:
    assert _by_method(_send, URL, method=method) is idempotent
    assert _by_method(_send, URL, method=method.lower()) is idempotent
    assert _by_method(_send, method, URL) is idempotent
    assert _by_method(_send, "client", URL, method) is idempotent
    assert _by_method(_request, method, URL) is idempotent


def test_the_parameter_method_is_found_by_position_and_by_name() -> None:
    assert not _by_method(_fetch, URL)  # its default
    assert _by_method(_fetch, URL, "get")
    assert _by_method(_fetch, URL, method="GET")
    assert _by_method(Client().request, "delete", URL)
    assert _by_method(Client.request, Client(), "delete", URL)
    assert not _by_method(Client.request, Client(), "post", URL)


def test_the_parameter_method_wins_over_a_request_and_the_functions_name() -> None:
    assert not _by_method(Client().get, httpx.Request("GET", URL), method="POST")


@pytest.mark.parametrize(
    "make",
    [
        httpx.Request,
        lambda method, url: requests.Request(method, url).prepare(),
        requests.Request,
        lambda method, url: urllib.request.Request(url, method=method),
        lambda method, url: urllib.request.Request(url, data=None if method == "GET" else b"x"),
    ],
    ids=["httpx", "prepared by requests", "requests", "urllib", "urllib by its data"],
)
def test_the_method_of_a_request_object_is_found(make: Callable[[str, str], object]) -> None:
    assert _by_method(_send, make("GET", URL))
    assert _by_method(_send, "client", request=make("GET", URL))
    assert not _by_method(_send, make("POST", URL))
    assert not _by_method(Client().get, make("POST", URL))


def test_a_method_may_be_a_member_of_the_enum_or_bytes() -> None:
    assert _by_method(_send, http.HTTPMethod.GET, URL)
    assert not _by_method(_send, URL, method=http.HTTPMethod.POST)
    assert _by_method(_send, URL, method=b"PUT")


def test_a_call_with_several_requests_is_idempotent_only_if_all_are() -> None:
    get, post = httpx.Request("GET", URL), httpx.Request("POST", URL)
    assert _by_method(_send, get, get)
    assert not _by_method(_send, get, post)


def test_the_functions_name_is_the_last_place_to_look_for_the_method() -> None:
    assert _by_method(Client().get, URL)
    assert _by_method(Client.get, Client(), URL)
    assert not _by_method(Client().post, URL)
    assert not _by_method(_send, URL)
    assert not _by_method(functools.partial(Client().post, URL))
    assert _by_method(functools.partial(functools.partial(Client().get), URL))
    with httpx.Client() as client:
        assert _by_method(client.get, URL)
        assert not _by_method(client.post, URL)
        assert not _by_method(functools.partial(client.request, "POST"), URL)
        assert _by_method(functools.partial(client.request, "PUT"), URL)


def test_an_argument_in_lower_case_or_after_the_third_is_no_method() -> None:
    assert not _by_method(_send, "get", URL)
    assert not _by_method(_send, URL, "a", "b", "GET")


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": "8e03978e"},
        {"accept": "*/*", "idempotency-key": "8e03978e"},
        [("Accept", "*/*"), ("IDEMPOTENCY-KEY", "8e03978e")],
        ((b"idempotency-key", b"8e03978e"),),
        httpx.Headers({"Idempotency-Key": "8e03978e"}),
    ],
    ids=["mapping", "small letters", "pairs", "bytes", "headers of httpx"],
)
def test_an_idempotency_key_makes_any_call_idempotent(headers: Any) -> None:
    assert _by_method(Client().post, URL, headers=headers)
    assert _by_method(Client().post, URL, headers)
    assert _by_method(_send, httpx.Request("POST", URL, headers=headers))


@pytest.mark.parametrize(
    "headers",
    [None, {}, {"Idempotency-Key": ""}, {"Idempotency-Key": None}, {"X-Key": "8e03978e"}, "Idempotency-Key: x", 5, [5]],
)
def test_other_headers_do_not_make_a_call_idempotent(headers: object) -> None:
    assert not _by_method(Client().post, URL, headers=headers)


def test_an_iterator_of_headers_is_not_consumed() -> None:
    headers = iter([("Idempotency-Key", "8e03978e")])
    assert not _by_method(Client().post, URL, headers=headers)
    assert len(list(headers)) == 1


def test_a_key_in_the_headers_of_a_request_is_found() -> None:
    request = urllib.request.Request(URL, data=b"x", headers={"Idempotency-Key": "8e03978e"})
    assert _by_method(_send, request)


class _Hostile:
    def __getattribute__(self, name: str) -> object:
        raise OSError(name)


class _EveryAttribute:
    def __getattr__(self, name: str) -> object:
        return self

    def __call__(self, *args: object) -> object:
        return self


def test_arguments_whose_attributes_raise_name_no_method() -> None:
    for argument in (_Hostile(), _EveryAttribute()):
        assert not _by_method(_send, argument, headers=argument, method=argument)
        assert not by_method(Call("call", argument, (argument,)))  # type: ignore[arg-type]


# -- what idempotent= takes ------------------------------------------------------------------------------------------


def test_true_takes_every_call_for_idempotent_and_false_takes_none() -> None:
    assert idempotency_of(True) is None
    never = idempotency_of(False)
    assert never is not None
    assert not never.allows(Call("call", Client().get, (URL,)))


def test_by_method_reads_the_method_of_the_call() -> None:
    idempotency = idempotency_of(by_method)
    assert idempotency is not None
    assert idempotency.allows(Call("call", Client().get, (URL,)))
    assert not idempotency.allows(Call("call", Client().post, (URL,)))


def test_a_function_is_asked_with_the_arguments_of_the_call() -> None:
    idempotency = idempotency_of(lambda order, *, dry_run=False: dry_run)
    assert idempotency is not None
    assert idempotency.allows(Call("call", _send, ("order",), {"dry_run": 1}))
    assert not idempotency.allows(Call("call", _send, ("order",)))


def test_the_description_shows_idempotent_as_it_was_given() -> None:
    given = [False, by_method, _fetch, functools.partial(_fetch, URL)]
    assert [str(idempotency_of(one)) for one in given] == ["False", "by_method", "_fetch", "partial"]


def test_an_error_of_the_function_is_logged_once_and_means_not_idempotent(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(order: str) -> bool:
        raise LookupError(order)

    idempotency = idempotency_of(breaks)
    assert idempotency is not None
    with caplog.at_level(logging.WARNING, "resilience"):
        assert not idempotency.allows(Call("call", _send, ("order",)))
        assert not idempotency.allows(Call("call", _send, ("order",)))
    [line] = caplog.messages
    assert line.startswith("idempotent ")
    assert "LookupError" in line


def test_an_awaitable_answer_is_logged_and_means_not_idempotent(caplog: pytest.LogCaptureFixture) -> None:
    async def answer() -> bool:
        return True

    idempotency = idempotency_of(lambda: answer())
    assert idempotency is not None
    assert not idempotency.allows(Call("call", _send))
    assert "TypeError" in caplog.text


class _Asynchronous:
    async def __call__(self) -> bool:
        return True


async def _asynchronous() -> bool:
    return True


@pytest.mark.parametrize("given", [_asynchronous, functools.partial(_asynchronous), _Asynchronous()])
def test_an_async_function_is_refused(given: object) -> None:
    with pytest.raises(
        TypeError, match=r"^idempotent=.*: give True, False, by_method or a function .*not an async one"
    ):
        idempotency_of(given)


@pytest.mark.parametrize("given", [None, 1, 0, "GET", {"GET"}, C.TIMEOUT])
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(TypeError) as caught:
        idempotency_of(given)
    right = "give True, False, by_method or a function of the call's arguments"
    assert str(caught.value) == f"idempotent={given!r}: {right}"


# -- what failures prove ---------------------------------------------------------------------------------------------


class _Status(Exception):
    def __init__(self, status: int, retry_after: float | None = None) -> None:
        self.status_code = status
        self.retry_after = retry_after


def _again(error: Exception) -> bool:
    return may_be_sent_again(profile_for(classify(error)), error)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(), httpx.ConnectError(""), httpx.ConnectTimeout(""), httpx.PoolTimeout(""),
        _Status(429), _Status(503, 3), _Status(503, 0.0), _Status(425, 1), _Status(529, 2),
        ExceptionGroup("both", [httpx.ConnectTimeout(""), _Status(429)]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_call_that_never_reached_the_server_may_be_sent_again(error: Exception) -> None:
    assert _again(error)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(), httpx.ReadTimeout(""), ConnectionResetError(), httpx.ReadError(""), _Status(500), _Status(504),
        _Status(503), _Status(425), _Status(529), _Status(500, 3), _Status(504, 3), _Status(502, 3), _Status(522, 3),
        ExceptionGroup("both", [_Status(429), _Status(503)]),
        ValueError(), ExceptionGroup("both", [ConnectionRefusedError(), ConnectionResetError()]),
        ExceptionGroup("both", [_Status(429), TimeoutError()]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_call_that_may_have_reached_the_server_may_not_be_sent_again(error: Exception) -> None:
    assert not _again(error)


def test_a_call_that_an_open_circuit_rejected_never_reached_the_server() -> None:
    error = CircuitOpenError("billing", 12.4)
    assert may_be_sent_again(profile_of(C.REJECTED), error)


@pytest.mark.parametrize("hint", [None, "3"])
@pytest.mark.parametrize(("status", "hinted"), [(503, True), (429, True), (529, True), (502, False), (522, False)])
def test_only_a_429_and_an_answer_with_retry_after_prove_that_nothing_was_done(
    status: int, hinted: bool, hint: str | None
) -> None:
    request = httpx.Request("POST", "http://shop/")
    error = httpx.HTTPStatusError(
        "",
        request=request,
        response=httpx.Response(status, request=request, headers={"Retry-After": hint} if hint else {}),
    )
    again = hinted if hint else status == 429
    assert may_be_sent_again(profile_of(classify(error)), error) is again


def test_a_grpc_call_that_lost_its_connection_may_have_reached_the_server() -> None:
    class Lost(Exception):
        def code(self) -> object:
            return grpc.StatusCode.UNAVAILABLE

    assert classify(Lost()) is ErrorCategory.UNAVAILABLE
    assert not may_be_sent_again(profile_of("unavailable"), Lost())
    asked = Lost()
    asked.trailing_metadata = (("grpc-retry-pushback-ms", "2500"),)  # type: ignore[attr-defined]
    assert not may_be_sent_again(profile_of("unavailable"), asked)
    ours = profile_for(C.UNAVAILABLE)
    assert not may_be_sent_again(dataclasses.replace(ours, unsafe=RetrySafety.ALWAYS), Lost())


def test_a_call_of_an_overloaded_model_may_have_been_processed() -> None:
    request = httpx2.Request("POST", "http://model/")
    body = {"error": {"type": "overloaded_error"}}

    def overloaded(status: int, **headers: str) -> Exception:
        response = httpx2.Response(status, request=request, headers=headers)
        return anthropic.APIStatusError("", response=response, body=body)

    for status in (200, 529):
        assert classify(overloaded(status)) is C.UNAVAILABLE
        assert not _again(overloaded(status))
    assert _again(overloaded(529, **{"retry-after": "3"}))
    assert not _again(overloaded(200, **{"retry-after": "3"}))


def test_the_row_of_the_category_decides() -> None:
    with override_profiles({"network": {"unsafe": RetrySafety.ALWAYS}, "rate_limit": {"unsafe": RetrySafety.NEVER}}):
        assert _again(ConnectionResetError())
        assert not _again(_Status(429))


def test_of_a_group_each_member_has_a_row_of_its_own() -> None:
    def rows(leaf: ErrorCategory) -> Profile:
        return profile_of("rate_limit" if leaf is C.TIMEOUT else leaf)

    group = ExceptionGroup("both", [TimeoutError(), ConnectionRefusedError()])
    assert may_be_sent_again(profile_of("timeout"), group, rows)
    assert not may_be_sent_again(profile_of("timeout"), group)


def test_a_group_with_a_member_that_may_have_been_executed_is_not_repeated() -> None:
    rejected = type("Rejected", (Exception,), {"category": C.REJECTED})()
    group = ExceptionGroup("both", [rejected, TimeoutError()])
    assert classify(group) is C.REJECTED
    assert not _again(group)
