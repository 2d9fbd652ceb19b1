"""The order of the rules, and what Python's own exceptions mean."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import http.client
import io
import json
import socket
import ssl
import subprocess
import urllib.error
from email.message import Message
from http import HTTPStatus
from typing import cast

import pytest
import trio

from resilience.categories import ErrorCategory, Recovery
from resilience.classification import (
    categories_of,
    category_of_aws,
    category_of_grpc,
    category_of_sqlstate,
    category_of_status,
    classify,
    explain,
)
from resilience.profiles import override_profiles

C = ErrorCategory


def _refused_certificate() -> ssl.SSLCertVerificationError:
    return ssl.SSLCertVerificationError(1, "certificate verify failed")


@pytest.mark.parametrize(
    ("exc", "category"),
    [
        (TimeoutError(), C.TIMEOUT),
        (asyncio.TimeoutError(), C.TIMEOUT),  # noqa: UP041
        (socket.timeout(), C.TIMEOUT),  # noqa: UP041 - the alias is the point
        (concurrent.futures.TimeoutError(), C.TIMEOUT),  # noqa: UP041
        (OSError(errno.ETIMEDOUT, ""), C.TIMEOUT),
        (PermissionError(errno.EACCES, ""), C.AUTHORIZATION),
        (FileNotFoundError(), C.NOT_FOUND),
        (IsADirectoryError(), C.VALIDATION),
        (FileExistsError(), C.CONFLICT),
        (ConnectionResetError(), C.NETWORK),
        (BrokenPipeError(), C.NETWORK),
        (socket.gaierror(socket.EAI_NONAME, ""), C.NETWORK),
        (OSError(errno.EHOSTUNREACH, ""), C.NETWORK),
        (OSError(errno.ENETUNREACH, ""), C.NETWORK),
        (OSError(errno.ENETDOWN, ""), C.NETWORK),
        (OSError(errno.ENOSPC, ""), C.CAPACITY),
        (OSError(errno.EMFILE, ""), C.CAPACITY),
        (OSError(errno.ENFILE, ""), C.CAPACITY),
        (OSError(errno.ENOMEM, ""), C.CAPACITY),
        (OSError(errno.EDQUOT, ""), C.CAPACITY),
        (OSError("no number"), C.UNKNOWN),
        (OSError(9_999_999, ""), C.UNKNOWN),
        (_refused_certificate(), C.CONFIGURATION),
        (ssl.SSLEOFError(), C.NETWORK),
        (concurrent.futures.CancelledError(), C.CANCELLED),
        (asyncio.CancelledError(), C.CANCELLED),
        (KeyboardInterrupt(), C.CANCELLED),
        (SystemExit(503), C.CANCELLED),
        (GeneratorExit(), C.CANCELLED),
        (http.client.RemoteDisconnected(""), C.NETWORK),
        (http.client.IncompleteRead(b""), C.NETWORK),
        (SyntaxError(), C.SYNTAX),
        (IndentationError(), C.SYNTAX),
        (ModuleNotFoundError(), C.IMPORT),
        (MemoryError(), C.MEMORY),
        (subprocess.TimeoutExpired("x", 1), C.TIMEOUT),
        (subprocess.CalledProcessError(1, "x"), C.UNKNOWN),
        (NameError(), C.INTERNAL),
        (UnboundLocalError(), C.INTERNAL),
        (AttributeError(), C.INTERNAL),
        (TypeError(), C.INTERNAL),
        (AssertionError(), C.INTERNAL),
        (NotImplementedError(), C.INTERNAL),
        (RecursionError(), C.INTERNAL),
        (ValueError(), C.UNKNOWN),
        (KeyError(), C.UNKNOWN),
        (LookupError(), C.UNKNOWN),
        (RuntimeError(), C.UNKNOWN),
        (json.JSONDecodeError("", "", 0), C.VALIDATION),
        (UnicodeDecodeError("utf-8", b"", 0, 1, ""), C.VALIDATION),
        (trio.TooSlowError(), C.TIMEOUT),
        (trio.BrokenResourceError(), C.NETWORK),
        (trio.ClosedResourceError(), C.INTERNAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.label,
)
def test_pythons_own_exceptions_mean(exc: BaseException, category: ErrorCategory) -> None:
    assert classify(exc) is category
    assert classify(exc) is category, "the second answer comes from the cache"
    assert explain(exc).category is category


def test_every_http_status_has_the_leaf_of_the_table() -> None:
    exact = {
        401: C.AUTHENTICATION, 402: C.AUTHORIZATION, 403: C.AUTHORIZATION, 404: C.NOT_FOUND, 410: C.NOT_FOUND,
        408: C.TIMEOUT, 504: C.TIMEOUT, 409: C.CONFLICT, 412: C.CONFLICT, 423: C.CONFLICT, 425: C.UNAVAILABLE,
        502: C.UNAVAILABLE, 503: C.UNAVAILABLE, 529: C.UNAVAILABLE, 429: C.RATE_LIMIT, 499: C.CANCELLED,
        501: C.CONFIGURATION, 505: C.CONFIGURATION, 507: C.CAPACITY,
        420: C.RATE_LIMIT, 421: C.UNAVAILABLE, 424: C.DEPENDENCY, 449: C.UNAVAILABLE,
        **dict.fromkeys(range(520, 528), C.UNAVAILABLE),
    }  # fmt: skip
    for status in range(100, 600):
        default = C.VALIDATION if 400 <= status < 500 else C.SERVER_ERROR if status >= 500 else C.UNKNOWN
        assert category_of_status(status) is exact.get(status, default), status
    assert category_of_status(HTTPStatus.TOO_MANY_REQUESTS) is C.RATE_LIMIT
    assert category_of_status(0) is category_of_status(1006) is category_of_status(-1) is C.UNKNOWN


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("08006", C.NETWORK), ("28P01", C.AUTHENTICATION), ("42501", C.AUTHORIZATION), ("40001", C.UNAVAILABLE),
        ("40P01", C.UNAVAILABLE), ("53300", C.CAPACITY), ("57P01", C.UNAVAILABLE), ("57P03", C.UNAVAILABLE),
        ("57014", C.TIMEOUT), ("23505", C.CONFLICT), ("23502", C.VALIDATION), ("22001", C.VALIDATION),
        ("42P01", C.INTERNAL), ("3D000", C.CONFIGURATION), ("ZZZZZ", C.UNKNOWN), ("", C.UNKNOWN), ("4000", C.UNKNOWN),
        ("é0001", C.UNKNOWN), ("40p01", C.UNKNOWN),
    ],
)  # fmt: skip
def test_a_sqlstate_means(code: str, category: ErrorCategory) -> None:
    assert category_of_sqlstate(code) is category


def test_a_grpc_status_means() -> None:
    assert category_of_grpc("UNAVAILABLE") is C.UNAVAILABLE
    assert category_of_grpc("resource_exhausted") is C.RATE_LIMIT
    assert category_of_grpc("OK") is C.UNKNOWN


def test_an_aws_code_means() -> None:
    assert category_of_aws("SlowDown") is C.UNAVAILABLE
    assert category_of_aws("RequestLimitExceeded") is C.RATE_LIMIT
    assert category_of_aws("ConditionalCheckFailedException") is C.CONFLICT
    assert category_of_aws("NoSuchThing") is C.UNKNOWN


def _carrying(**attributes: object) -> Exception:
    exc = Exception("secret")
    for name, value in attributes.items():
        setattr(exc, name, value)
    return exc


class _Code:
    name = "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    ("exc", "category", "reason"),
    [
        (_carrying(response=_carrying(status_code=503)), C.UNAVAILABLE, "response status 503"),
        (_carrying(response=_carrying(status=404)), C.NOT_FOUND, "response status 404"),
        (_carrying(status_code=429), C.RATE_LIMIT, "status 429"),
        (_carrying(status=HTTPStatus.UNAUTHORIZED), C.AUTHENTICATION, "status 401"),
        (_carrying(code=HTTPStatus.INTERNAL_SERVER_ERROR), C.SERVER_ERROR, "status 500"),
        (_carrying(code=500, headers={}), C.SERVER_ERROR, "status 500"),
        (_carrying(code=503, url="http://x"), C.UNAVAILABLE, "status 503"),
        (_carrying(code=404, response=None), C.NOT_FOUND, "status 404"),
        (_carrying(status=429, headers=None), C.RATE_LIMIT, "status 429"),
        (_carrying(code=_Code), C.TIMEOUT, "gRPC status DEADLINE_EXCEEDED"),
        (_carrying(response={"Error": {"Code": "Throttling"}}), C.RATE_LIMIT, "AWS error code Throttling"),
        (_carrying(response={"ResponseMetadata": {"HTTPStatusCode": 500}}), C.SERVER_ERROR, "response status 500"),
        (_carrying(sqlstate="40001"), C.UNAVAILABLE, "SQLSTATE 40001, serialization failure"),
        (_carrying(pgcode="57014"), C.TIMEOUT, "SQLSTATE 57014, query canceled"),
    ],
)
def test_what_an_exception_carries_decides(exc: Exception, category: ErrorCategory, reason: str) -> None:
    explanation = explain(exc)
    assert (explanation.category, explanation.rule, explanation.reason) == (category, "structure", reason)
    assert classify(exc) is category
    assert "secret" not in str(explanation)


@pytest.mark.parametrize(
    "exc",
    [
        _carrying(status_code=200),
        _carrying(status_code=True),
        _carrying(status_code="503"),
        _carrying(status=None),
        _carrying(code=1006),
        _carrying(code=550),
        _carrying(code=550, message="no such mailbox", recipient="a@example.com"),
        _carrying(code=450, response=b"450 greylisted"),
        _carrying(status=503),
        _carrying(code="ECONNRESET"),
        _carrying(code=lambda needed: needed),
        _carrying(response="503"),
        _carrying(response={"Error": "Throttling"}),
        _carrying(sqlstate=40001),
        _carrying(category="timeout"),
        _carrying(category=ErrorCategory(0)),
    ],
)
def test_what_only_looks_like_a_code_is_ignored(exc: Exception) -> None:
    assert explain(exc).rule == "unknown"


def test_attributes_of_one_exception_do_not_classify_the_next_of_its_type() -> None:
    class Plain(Exception):
        pass

    assert classify(Plain()) is C.UNKNOWN
    tagged = Plain()
    tagged.status_code = 503  # type: ignore[attr-defined]
    assert classify(tagged) is C.UNAVAILABLE
    tagged.category = C.CONFLICT  # type: ignore[attr-defined]
    assert classify(tagged) is C.CONFLICT
    assert classify(Plain()) is C.UNKNOWN


def test_a_declared_category_beats_the_tables() -> None:
    class Slow(TimeoutError):
        category = C.EXHAUSTED

    assert classify(Slow()) is classify(Slow()) is C.EXHAUSTED
    assert explain(Slow()).rule == "declared"


def test_a_declared_category_may_be_computed() -> None:
    class Either(Exception):
        def __init__(self, busy: bool) -> None:
            self.busy = busy

        @property
        def category(self) -> ErrorCategory:
            return C.UNAVAILABLE if self.busy else C.CONFLICT

    assert [classify(Either(busy)) for busy in (True, False, True)] == [C.UNAVAILABLE, C.CONFLICT, C.UNAVAILABLE]


@pytest.mark.parametrize(
    ("group", "leaf"),
    [
        (C.INFRASTRUCTURE, C.NETWORK), (C.TRANSIENT, C.NETWORK), (C.RETRYABLE, C.SERVER_ERROR),
        (C.CODE_RELATED, C.RUNTIME), (C.CLIENT_ERROR, C.VALIDATION), (C.AUTH_FAILURE, C.AUTHENTICATION),
        (C.EXTERNAL, C.SERVER_ERROR), (C.SYSTEM, C.NETWORK), (C.RESOURCE, C.UNAVAILABLE),
        (C.ANY_TIMEOUT, C.TIMEOUT), (C.WORKFLOW, C.EXECUTION_TIMEOUT), (C.EXECUTION, C.RUNTIME),
        (C.NON_RETRYABLE, C.UNKNOWN), (C.CONFLICT | C.CANCELLED, C.CONFLICT),
    ],
)  # fmt: skip
def test_a_leaf_stands_for_a_declared_group(group: ErrorCategory, leaf: ErrorCategory) -> None:
    exc = _carrying(category=group)
    assert classify(exc) is leaf
    assert leaf in group
    assert explain(exc).rule == "declared"


def test_within_a_declared_group_the_other_rules_choose() -> None:
    class Down(TimeoutError):
        category = C.INFRASTRUCTURE

    assert classify(Down()) is C.TIMEOUT

    class Odd(PermissionError):
        category = C.INFRASTRUCTURE

    assert classify(Odd()) is C.NETWORK, "AUTHORIZATION is not in the group"


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_a_refused_certificate_under_a_network_error_is_configuration(link: str) -> None:
    outer = ConnectionError("outer")
    assert classify(outer) is C.NETWORK
    middle = OSError("middle")
    setattr(outer, link, middle)
    assert classify(outer) is C.NETWORK
    setattr(middle, link, _refused_certificate())
    assert classify(outer) is C.CONFIGURATION
    assert explain(outer).category is C.CONFIGURATION


def test_a_refused_certificate_in_the_arguments_is_configuration() -> None:
    assert classify(ConnectionError(OSError(_refused_certificate()))) is C.CONFIGURATION
    outer = ConnectionError()
    outer.reason = _refused_certificate()  # type: ignore[attr-defined]
    assert classify(outer) is C.CONFIGURATION


def test_a_context_that_was_cut_off_is_not_followed() -> None:
    outer = ConnectionError()
    outer.__context__ = _refused_certificate()
    outer.__suppress_context__ = True
    assert classify(outer) is C.NETWORK


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = ConnectionError(), ConnectionError()
    one.__context__, other.__cause__ = other, one
    one.args = (one, other)
    assert classify(one) is C.NETWORK


def test_an_http_error_of_urllib_is_its_code_and_an_url_error_its_reason() -> None:
    error = urllib.error.HTTPError("http://x", 429, "", Message(), io.BytesIO())
    assert classify(error) is C.RATE_LIMIT
    error.close()
    assert classify(urllib.error.URLError(ConnectionRefusedError())) is C.NETWORK
    assert classify(urllib.error.URLError(TimeoutError())) is C.TIMEOUT
    assert classify(urllib.error.URLError(_refused_certificate())) is C.CONFIGURATION
    assert classify(urllib.error.URLError("no host given")) is C.UNKNOWN


@pytest.mark.parametrize(
    ("members", "category"),
    [
        ([TimeoutError()], C.TIMEOUT),
        ([TimeoutError(), ConnectionResetError()], C.TIMEOUT),
        ([TimeoutError(), ValueError()], C.UNKNOWN),
        ([_carrying(status_code=503), _carrying(status_code=500)], C.SERVER_ERROR),
        ([_carrying(status_code=503), _carrying(status_code=404)], C.NOT_FOUND),
        ([_carrying(status_code=404), PermissionError()], C.AUTHORIZATION),
        ([concurrent.futures.CancelledError(), TypeError()], C.CANCELLED),
        ([TimeoutError(), ExceptionGroup("inner", [TypeError()])], C.INTERNAL),
    ],
)
def test_a_group_is_as_recoverable_as_its_least_recoverable_member(
    members: list[Exception], category: ErrorCategory
) -> None:
    for group in (ExceptionGroup("both", members), ExceptionGroup("both", members[::-1])):
        assert classify(group) is category
        assert explain(group).rule == "group"


def test_a_group_with_a_cancellation_is_cancelled() -> None:
    assert classify(BaseExceptionGroup("both", [TimeoutError(), KeyboardInterrupt()])) is C.CANCELLED


def test_a_group_is_retried_only_if_every_member_would_be_under_the_rows_in_force() -> None:
    group = ExceptionGroup("both", [TimeoutError(), ConnectionResetError()])
    with override_profiles({"network": {"retry": False}}):
        assert classify(group) is C.NETWORK
    assert classify(group) is C.TIMEOUT


def test_the_categories_of_a_group_are_those_of_all_members() -> None:
    group = ExceptionGroup("both", [TimeoutError(), ExceptionGroup("inner", [ConnectionResetError(), TimeoutError()])])
    assert categories_of(group) == C.TIMEOUT | C.NETWORK
    assert categories_of(TypeError()) is C.INTERNAL


def test_a_group_that_holds_one_error_many_times_is_looked_at_once() -> None:
    group: ExceptionGroup[Exception] = ExceptionGroup("leaf", [TimeoutError()])
    for _ in range(60):  # 2**60 paths
        group = ExceptionGroup("double", [group, group])
    assert classify(group) is C.TIMEOUT


def test_an_explanation_is_for_reading() -> None:
    explanation = explain(TimeoutError("secret"))
    assert str(explanation) == "timeout (builtin: TimeoutError is timeout); recovery: retry"
    assert explanation.recovery is Recovery.RETRY
    with pytest.raises(AttributeError):
        explanation.category = C.NETWORK  # type: ignore[misc]


def test_what_is_no_exception_is_unknown() -> None:
    assert classify(cast("BaseException", None)) is C.UNKNOWN
    assert classify(cast("BaseException", ValueError)) is C.UNKNOWN


@pytest.mark.parametrize(
    ("name", "category"),
    [("ReadTimeout", C.TIMEOUT), ("ConnectError", C.NETWORK), ("UnsupportedProtocol", C.VALIDATION)],
)
@pytest.mark.parametrize("module", ["httpx", "httpx2._exceptions", "httpcore"])
def test_a_class_is_known_by_its_name_without_its_library(module: str, name: str, category: ErrorCategory) -> None:
    kind = type(name, (Exception,), {"__module__": module})
    child = type("OfTheApplication", (kind,), {"__module__": "application"})
    assert classify(kind()) is classify(child()) is category
    assert explain(child()).reason == f"{module.partition('.')[0]}.{name} is {category.label}"


def test_the_cache_stays_small_when_types_are_made_at_run_time() -> None:
    from resilience.classification.registry import current_rules

    for number in range(3000):
        assert classify(type(f"Made{number}", (TimeoutError,), {})()) is C.TIMEOUT
    assert len(current_rules().settled) <= 1024
