"""Hostile exceptions are always classified as one leaf."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.categories import ErrorCategory
from resilience.classification import categories_of, classify, explain, retry_after

_ATTRIBUTES = [
    "category", "code", "response", "status", "status_code", "sqlstate", "pgcode", "retry_after", "headers",
    "trailing_metadata", "reason", "os_error", "orig", "args", "errno", "smtp_code", "recipients", "body", "type",
    "sqlite_errorcode", "connection_invalidated", "has_error_label", "original_error", "__cause__", "__context__",
    "__suppress_context__", "__dict__", "__class__", "__module__",
]  # fmt: skip


def _raiser(error: type[Exception]) -> Callable[..., object]:
    def raises(*args: object, **kwargs: object) -> object:
        raise error("hostile")

    return raises


class _Junk:
    """Has every attribute, each as bad as itself."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: object) -> object:
        return self

    def __eq__(self, other: object) -> bool:
        raise ValueError("hostile")

    def __hash__(self) -> int:
        raise ValueError("hostile")

    def __bool__(self) -> bool:
        raise ValueError("hostile")


_inner = st.dictionaries(st.sampled_from(["Code", "HTTPHeaders"]), st.text(max_size=5))
_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(400, 599),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.sampled_from(list(ErrorCategory.__members__.values())),
    st.sampled_from(["40001", "Throttling", "503", "-1", "nan", "Tue, 01 Jan 2030 12:00:30 GMT"]),
    st.builds(_Junk),
    st.just(_raiser(ValueError)),
    st.just(_raiser(RecursionError)),
    st.builds(ConnectionError),
    st.dictionaries(
        st.sampled_from(["Error", "ResponseMetadata", "retry-after", "Retry-After", b"retry-after", 5]),
        st.one_of(st.text(max_size=5), st.integers(), _inner),
        max_size=3,
    ),
)
_bases = st.sampled_from([Exception, OSError, ValueError, TimeoutError, ConnectionError, ImportError, StopIteration])
_homes = st.sampled_from(
    ["application", "httpx", "requests", "grpc", "botocore", "pymongo", "smtplib", "sqlalchemy", "pymysql", "openai",
     "", "..", "a.b"]
)  # fmt: skip
_names = st.sampled_from(
    ["HTTPStatusError", "ConnectionError", "RpcError", "ClientError", "OperationFailure", "SMTPRecipientsRefused",
     "SMTPResponseException", "DBAPIError", "OperationalError", "APIStatusError", "MaxRetryError"]
)  # fmt: skip


@st.composite
def _hostile(draw: st.DrawFn) -> BaseException:
    body: dict[str, object] = {"__module__": draw(_homes)}
    for name in draw(st.lists(st.sampled_from(_ATTRIBUTES), max_size=5, unique=True)):
        if name == "__module__":
            continue
        body[name] = draw(st.one_of(_values, st.builds(lambda value: property(lambda self: value), _values)))
        if draw(st.booleans()):
            body[name] = property(_raiser(draw(st.sampled_from([ValueError, AttributeError, RecursionError]))))
    kind = type(draw(_names), (draw(_bases),), body)
    exc = cast("BaseException", kind())
    for name in draw(st.lists(st.sampled_from(_ATTRIBUTES), max_size=3, unique=True)):
        try:
            setattr(exc, name, draw(_values))
        except Exception:  # a property of the type is in the way
            continue
    return exc


def _check(exc: BaseException) -> None:
    category = classify(exc)
    assert category.is_leaf
    assert classify(exc) is category
    explanation = explain(exc)
    assert explanation.category is category
    assert str(explanation)
    assert categories_of(exc)
    hint = retry_after(exc)
    assert hint is None or (isinstance(hint, float) and hint >= 0 and not math.isnan(hint))


@settings(max_examples=300, deadline=None)
@given(_hostile())
def test_a_hostile_exception_gets_a_leaf_and_a_hint_that_is_none_or_seconds(exc: BaseException) -> None:
    _check(exc)


@settings(max_examples=50, deadline=None)
@given(st.lists(_hostile().filter(lambda exc: isinstance(exc, Exception)), min_size=1, max_size=4))
def test_a_group_of_hostile_exceptions_gets_a_leaf(members: list[Exception]) -> None:
    _check(ExceptionGroup("all", members))


class _EveryAttribute(Exception):
    def __getattr__(self, name: str) -> object:
        return self


class _EveryLookupRaises(Exception):
    def __getattribute__(self, name: str) -> object:
        raise OSError(name)


class _EndlessLookup(Exception):
    def __getattr__(self, name: str) -> object:
        return getattr(self, name + "x")


class _Meta(type):
    def __hash__(cls) -> int:
        raise ValueError("hostile")

    def __eq__(cls, other: object) -> bool:
        raise ValueError("hostile")


class _UnhashableType(Exception, metaclass=_Meta):
    pass


class _LiesAboutItsClass(Exception):
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("hostile")


class _HidesItsMembers(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> tuple[Exception, ...]:  # type: ignore[override]
        raise RuntimeError("hostile")


# Made inside the test: pytest looks at its parameters, which these do not stand.
@pytest.mark.parametrize(
    "make",
    [_EveryAttribute, _EveryLookupRaises, _EndlessLookup, _UnhashableType, _LiesAboutItsClass],
    ids=["every attribute", "every lookup raises", "endless lookup", "unhashable type", "lies about its class"],
)
def test_an_exception_that_cannot_be_looked_at_gets_a_leaf(make: Callable[[], BaseException]) -> None:
    _check(make())


def test_what_a_group_hides_is_found() -> None:
    assert classify(_HidesItsMembers("hidden", [TimeoutError()])) is ErrorCategory.TIMEOUT


def test_a_wrapper_around_itself_ends() -> None:
    kind = type("MaxRetryError", (Exception,), {"__module__": "urllib3.exceptions"})
    one, other = kind(), kind()
    one.reason, other.reason = other, one
    one.args = (one,)
    assert classify(one) is ErrorCategory.NETWORK


def test_ctrl_c_inside_a_property_is_not_swallowed() -> None:
    class Interrupting(Exception):
        @property
        def status_code(self) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify(Interrupting())
