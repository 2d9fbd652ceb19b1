"""Injected exceptions: of the library that is called, and classified as the leaf that was asked for, all of them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest

from resilience import ErrorCategory, classify, register, register_library
from resilience.classification.library import ClientLibrary
from resilience.faults import error_for
from resilience.faults._errors.detection import client_of_call

LEAVES = list(ErrorCategory)


def test_without_a_library_each_leaf_is_one_of_python_or_of_the_toolkit():
    for leaf in LEAVES:
        assert classify(error_for(leaf)) is leaf


def test_a_library_that_is_not_installed_or_not_known_falls_back_to_python():
    assert type(error_for("timeout", "no_such_library")) is TimeoutError


def test_a_library_that_the_program_registers_is_read_backwards(monkeypatch: pytest.MonkeyPatch):
    module: Any = type(sys)("acme_wire")

    class Busy(Exception):
        """Its module is set below."""

    class Wants(Exception):
        def __init__(self, code: int, reason: str) -> None:
            super().__init__(code, reason)

    Busy.__module__ = Wants.__module__ = "acme_wire"
    Busy.__qualname__, Wants.__qualname__ = "Busy", "Wants"
    module.Busy, module.Wants = Busy, Wants
    monkeypatch.setitem(sys.modules, "acme_wire", module)
    with register_library("acme_wire", ClientLibrary({"Busy": "unavailable", "Wants": "conflict"})):
        assert type(error_for("unavailable", "acme_wire")) is Busy
        assert type(error_for("conflict", "acme_wire")) is FileExistsError  # Wants cannot be made


def test_what_the_program_registers_wins_and_the_leaf_is_right_all_the_same():
    httpx = pytest.importorskip("httpx")
    with register(httpx.ReadTimeout, "unavailable"):
        error = error_for("timeout", "httpx")
        assert classify(error) is ErrorCategory.TIMEOUT
        assert not isinstance(error, httpx.ReadTimeout)


def test_a_response_with_a_status_belongs_to_the_exception():
    error: Any = error_for("unavailable", "httpx")
    assert error.response.status_code == 503
    error = error_for("authentication", "requests")
    assert error.response.status_code == 401


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("transient", "one leaf"), ("nothing", "not an ErrorCategory")],
)
def test_what_is_no_leaf_is_refused(wrong: Any, says: str):
    with pytest.raises(ValueError, match=says):
        error_for(wrong)


# -- the library that a function calls ---------------------------------------------------------------------------------


class _Api:
    def __init__(self, session: object) -> None:
        self.session = session

    def get(self) -> object:
        return self.session


def _calls_httpx() -> object:
    import httpx

    return httpx.get("http://nowhere.invalid/")


def _calls_a_function_that_does() -> object:
    return _calls_httpx()


def _calls_nothing(text: str) -> int:
    return len(text)


def test_the_library_is_found_by_what_the_function_names_and_gets():
    requests = importlib.import_module("requests")
    httpx = importlib.import_module("httpx")
    session = requests.Session()

    def closed_over() -> object:
        return session

    assert client_of_call(_calls_httpx, (), {}) == "httpx"
    assert client_of_call(_calls_a_function_that_does, (), {}) == "httpx"
    assert client_of_call(closed_over, (), {}) == "requests"
    assert client_of_call(_Api(session).get, (), {}) == "requests"
    assert client_of_call(_Api.get, (_Api(session),), {}) == "requests"
    assert client_of_call(_calls_nothing, (), {"client": httpx.Client()}) == "httpx"
    assert client_of_call(_calls_nothing, ("text",), {}) is None
    assert client_of_call(len, ("text",), {}) is None


def test_functions_that_call_each_other_end_the_search():
    def ping() -> object:
        return pong()

    def pong() -> object:
        return ping()

    assert client_of_call(ping, (), {}) is None


def test_an_argument_that_fights_back_is_passed_over():
    class Hostile:
        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]
            raise RuntimeError

        @property
        def __class__(self) -> type:
            raise RuntimeError

    assert client_of_call(_calls_nothing, (Hostile(),), {}) is None
