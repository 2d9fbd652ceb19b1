"""An answer becomes the error it is about; a hostile one becomes an error too, and nothing else."""

from __future__ import annotations

import copy
import json
import pickle
import sys

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from resilience import ErrorCategory as C
from resilience import classify, retry_after
from resilience.contrib import executor, service
from resilience.errors import CodeRegistry, ResilienceError
from resilience.errors.circuit import CircuitOpenError
from resilience.integrations.http import document, error_from_response, raise_for_problem

asked: list[object] = []


class StockLocked(ResilienceError, code="HTTPT-E001", category="conflict"):
    def __init__(self, item: str, seconds: float = 1.5) -> None:
        asked.append(item)
        super().__init__(f"{item} is locked", details={"item": item})
        self.item = item
        self.seconds = seconds


class StockLost(ResilienceError, code="HTTPT-E002", category="not_found"):
    """Says what it was given, and nothing where that is missing."""

    def __init__(self, place: str) -> None:
        asked.append(place)
        super().__init__()
        self.place = place

    def __str__(self) -> str:
        return f"lost in {self.place.upper()}"


class Foreign(Exception):
    def __init__(self) -> None:
        asked.append(self)


CodeRegistry("HTTPT").declare("HTTPT-E009", Foreign)


def back(body: object, status: int = 503, **lines: str) -> ResilienceError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked.clear()
    found = error_from_response((status, lines, content))
    assert found is not None
    assert asked == []  # no constructor was called
    json.dumps([found.to_dict(full=True), found.to_problem(public=True)], allow_nan=False)
    assert isinstance(str(found), str)
    assert classify(found).is_leaf
    return found


@pytest.mark.parametrize("client", ["httpx", "requests", "tuple", "read"])
def test_every_client_is_understood(client: str):
    status, lines, body = document(StockLocked("lamp"), format="problem", public="conflict")
    content = json.dumps(body).encode()
    if client == "httpx":
        response: object = httpx.Response(status, headers=lines, content=content)
    elif client == "requests":
        response = requests.Response()
        response.status_code, response._content = status, content
        response.headers.update(lines)
    else:
        response = (status, list(lines.items()), content if client == "tuple" else body)
    found = error_from_response(response)
    assert type(found) is StockLocked
    assert (str(found), found.item, found.seconds, found.details) == ("lamp is locked", "lamp", 1.5, {"item": "lamp"})


def test_what_went_well_is_no_error():
    assert error_from_response((200, {}, b'{"code": "HTTPT-E001"}')) is None
    assert error_from_response((302, {}, b"")) is None
    assert error_from_response(object()) is None
    response = httpx.Response(204)
    assert raise_for_problem(response) is response


def test_what_was_not_read_is_not_read_for_this():
    streamed = httpx.Response(503, headers={"Retry-After": "3"}, stream=httpx.ByteStream(b"{}"))
    assert error_from_response(streamed).retry_after == 3
    response = requests.Response()
    response.status_code = 429

    class Endless:
        def read(self, *_: object) -> bytes:
            asked.append(self)
            return b""

    asked.clear()
    response.raw = Endless()
    assert error_from_response(response).category is C.RATE_LIMIT
    assert asked == []


@pytest.mark.parametrize(
    ("status", "category"), [(404, C.NOT_FOUND), (429, C.RATE_LIMIT), (500, C.SERVER_ERROR), (504, C.TIMEOUT)]
)
def test_an_answer_in_no_format_has_the_category_of_its_status(status: int, category: C):
    for body in (b"", b"<h1>Bad day</h1>", b"[]", b'"x"', b'{"detail": "Not Found"}', b"\xff\xfe\x00", b"NaN"):
        found = back(body, status)
        assert (type(found), found.category) == (ResilienceError, category)
    assert str(back(b'{"detail": "Not Found"}', status)) == "Not Found"


@pytest.mark.parametrize(
    ("word", "kind"),
    [("TASK_NOT_FOUND", service.TaskNotFoundError), ("TIMEOUT_ERROR", service.TimeoutError), ("UNDECLARED", None)],
)
def test_a_word_of_the_service_is_its_class(word: str, kind: type | None):
    found = back({"error": word, "message": "m", "details": {"task_id": "t", "operation": "plan"}})
    assert type(found) is (kind or ResilienceError)
    assert found.message == "m"
    if kind is not None:
        assert found.error_code == word


def test_the_class_then_the_status_decide_a_category_that_is_not_named():
    assert back({"code": "HTTPT-E001"}, 500).category is C.CONFLICT
    assert back({"code": "RES-E000"}, 504).category is C.TIMEOUT
    assert back({"code": "HTTPT-E001", "category": "timeout"}, 500).category is C.TIMEOUT
    assert back({"category": "transient"}, 503).category is C.UNAVAILABLE  # a group is no answer


def test_an_unknown_code_stays_on_the_error():
    found = back({"code": "UNKNOWN-E007", "category": "capacity"})
    assert (type(found), found.code, found.category) == (ResilienceError, "UNKNOWN-E007", C.CAPACITY)
    # A code is more precise than a word, also where it is not known here.
    assert type(back({"code": "UNKNOWN-E007", "error": "TASK_NOT_FOUND"})) is ResilienceError


def test_a_code_of_a_foreign_exception_is_no_class():
    found = back({"code": "HTTPT-E009"})
    assert (type(found), found.code) == (ResilienceError, "HTTPT-E009")


def test_one_that_cannot_speak_without_what_was_not_sent_is_its_nearest_base_that_can():
    assert type(back({"code": "HTTPT-E002", "details": {"place": "cellar"}})) is StockLost
    for details in ({}, {"place": 7}, {"place": None}):
        found = back({"code": "HTTPT-E002", "category": "not_found", "details": details})
        assert (type(found), found.code, found.category) == (ResilienceError, "HTTPT-E002", C.NOT_FOUND)


def test_only_the_registries_that_are_named_count():
    body = {"code": "HTTPT-E001"}
    assert type(error_from_response((409, {}, body), registry=CodeRegistry("HTTPT"))) is StockLocked
    found = error_from_response((409, {}, body), registry=[CodeRegistry("RES"), CodeRegistry("OCTO")])
    assert (type(found), found.code) == (ResilienceError, "HTTPT-E001")
    word = (404, {}, {"error": "TASK_NOT_FOUND"})
    assert type(error_from_response(word, registry=CodeRegistry("HTTPT"))) is ResilienceError
    with pytest.raises(TypeError, match="give a CodeRegistry"):
        error_from_response(word, registry=["OCTO"])
    with pytest.raises(TypeError, match=r"give \(status, headers, body\)"):
        error_from_response((404, {}))


@pytest.mark.parametrize(
    ("header", "in_body", "wait"),
    [
        ("1", 0.3, 0.3),  # the header is the same, rounded up
        ("7", 0.3, 7),  # a proxy asks for more
        ("0", 60, 0),
        ("7", None, 7),
        (None, 0, 0),
        (None, -3, 0),
        ("soon", True, None),
        ("1e9", "5", None),
        (None, 1e999, None),
        (None, 10**400, None),
    ],
)
def test_the_wait_is_that_of_the_header_or_more_precisely_of_the_document(
    header: str | None, in_body: object, wait: float | None
):
    lines = {} if header is None else {"Retry-After": header}
    found = error_from_response((503, lines, {"retry_after": in_body}))
    assert found.retry_after == wait
    assert retry_after(found) == wait


def test_secrets_in_what_was_sent_are_not_kept():
    found = back({"message": "see https://ada:hunter2@db/", "details": {"password": "hunter2"}})
    assert "hunter2" not in str(found) + str(found.details)


def test_what_is_too_large_or_too_deep_is_an_answer_in_no_format():
    for body in (b'{"code": "HTTPT-E001", "x": "' + b"x" * 70_000 + b'"}', b"[" * 60_000, b'{"a":' * 12_000):
        assert type(back(body)) is ResilienceError
    assert type(back(b'{"code": "HTTPT-E001", "details": {"n": ' + b"9" * 5000 + b"}}")) is ResilienceError
    assert type(back({"code": "HTTPT-E001", "details": {"deep": json.loads("[" * 500 + "]" * 500)}})) is StockLocked


def test_a_page_that_only_looks_like_a_document_is_none():
    assert type(back({"code": "HTTPT-E001"}, **{"Content-Type": "text/html"})) is ResilienceError
    assert type(back({"code": "HTTPT-E001"}, **{"Content-Type": "application/problem+json"})) is StockLocked


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
CODES = st.sampled_from(
    ["HTTPT-E001", "HTTPT-E002", "HTTPT-E009", *(f"RES-E00{n}" for n in range(7)), "OCTO-E031", "PYX-E005", "os.system"]
)
FIELDS = ("details", "retry_after", "category", "message", "detail", "title", "error", "__class__", "args", "__dict__")
NAMES = ("item", "place", "target", "limit", "circuit", "last", "attempts", "running", "args", "__class__", "category")


@given(
    st.fixed_dictionaries({"code": CODES | JUNK}, optional=dict.fromkeys(FIELDS, JUNK)),
    st.dictionaries(st.sampled_from(NAMES), JUNK),
    st.sampled_from([400, 404, 429, 499, 503]),
)
def test_no_document_breaks_it(body: dict[str, object], details: dict[str, object], status: int):
    found = back({**body, **({"details": details} if details else {})}, status)
    assert isinstance(found, ResilienceError)
    assert str(pickle.loads(pickle.dumps(found))) == str(found) == str(copy.deepcopy(found))


@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_no_bytes_break_it(content: bytes, lines: dict[str, str]):
    assert isinstance(error_from_response((500, lines, content)), ResilienceError)


@pytest.mark.parametrize(
    "response", [(500, None, None), (500, 7, 7), (500, [(1,)], object()), ("500", {}, b""), (True, {}, b"")]
)
def test_no_response_of_any_kind_breaks_it(response: tuple[object, object, object]):
    found = error_from_response(response)
    assert found is None or type(found) is ResilienceError


def test_a_stranger_imports_nothing():
    before = set(sys.modules)
    back({"code": "ANTIGRAVITY-E001", "error": "antigravity", "type": "antigravity"})
    assert not {name for name in set(sys.modules) - before if not name.startswith("resilience.")}


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpenError("billing", 12.5, 5, "ReadTimeout"),
        CircuitOpenError("billing", float("inf")),
        executor.ExecutionTimeoutError(30),
        executor.CodeRuntimeError("m", "t", 2),
        service.LLMAPIError("openai", 429, "slow down"),
        service.ValidationErrors([{"field": "a", "message": "b"}]),
        service.ResourceError("m", retry_after=0),
        service.InvalidInputError("m", "goal"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("style", ["problem", "service"])
def test_out_and_back_it_is_the_same_error(error: ResilienceError, style: str):
    found = error_from_response(document(error, format=style, public=C.NON_RETRYABLE | C.TRANSIENT))
    assert type(found) is type(error)
    assert (found.code, found.category, str(found)) == (error.code, error.category, str(error))
    assert found.error_code == error.error_code
    assert retry_after(found) == retry_after(error)
    assert found.details == error.to_dict()["details"]
