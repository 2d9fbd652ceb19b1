"""The wait that a server asks for: `retry_after` of errors and responses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.message import Message
from email.utils import format_datetime

import pytest

from resilience.classification import retry_after
from resilience.clock import SystemClock, using_clock

_NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


class _Frozen(SystemClock):
    def wall(self) -> float:
        return _NOW.timestamp()


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with using_clock(_Frozen()):
        yield


class _Response:
    def __init__(self, headers: object) -> None:
        self.headers = headers


class _Refused(Exception):
    response: object = None
    headers: object = None
    retry_after: object = None
    trailing_metadata: object = None


def _refused(**attributes: object) -> _Refused:
    exc = _Refused("secret")
    for name, value in attributes.items():
        setattr(exc, name, value)
    return exc


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0), (3, 3.0), (1.5, 1.5), ("2", 2.0), (" 2.5 ", 2.5), (b"4", 4.0), (timedelta(minutes=1), 60.0),
        (timedelta(seconds=-1), 0.0), (-5, 0.0), ("-5", None), (math.nan, None), (math.inf, None), (-math.inf, None),
        ("nan", None), ("inf", None), ("1e3", None), ("1_000", None), ("٣", None), ("", None), (True, None),
        (None, None), ([], None), ("soon", None), ("9" * 5000, None), (10**400, None),
    ],
)  # fmt: skip
def test_the_attribute_is_read_first(value: object, seconds: float | None) -> None:
    assert retry_after(_refused(retry_after=value)) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "7"}, 7.0),
        ({"RETRY-AFTER": "7"}, 7.0),
        ({b"Retry-After": b"7"}, 7.0),
        ({"Retry-After": 7}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.25"}, 1.25),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": None}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "9", "Retry-After-Ms": "1500"}, 1.5),
        ({"retry-after": "9", "retry-after-ms": "garbage"}, 9.0),
        ({"retry-after": format_datetime(_NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(_NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
        ({"retry-after": format_datetime((_NOW + timedelta(seconds=5)).astimezone(timezone(timedelta(hours=2))))}, 5.0),
        ({"retry-after": "Tue, 01 Jan 2030 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tuesday, 01-Jan-30 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 99 Foo 2030 12:00:30 GMT"}, None),
        ({"other": "7"}, None),
        ([("Retry-After", "7")], 7.0),
        ([(b"retry-after", b"7")], 7.0),
        ([1, 2], None),
        (7, None),
        ("retry-after: 7", None),
    ],
)  # fmt: skip
def test_headers_are_read_wherever_they_are(headers: object, seconds: float | None) -> None:
    assert retry_after(_refused(response=_Response(headers))) == seconds
    assert retry_after(_refused(headers=headers)) == seconds
    assert retry_after(_refused(response={"ResponseMetadata": {"HTTPHeaders": headers}})) == seconds


def test_headers_of_the_standard_library_are_read() -> None:
    message = Message()
    message["Retry-After"] = "7"
    assert retry_after(_refused(headers=message)) == 7.0


def test_the_attribute_beats_the_headers_and_garbage_in_it_does_not() -> None:
    headers = {"retry-after": "9"}
    assert retry_after(_refused(retry_after=1, headers=headers)) == 1.0
    assert retry_after(_refused(retry_after=0, headers=headers)) == 0.0
    assert retry_after(_refused(retry_after="soon", headers=headers)) == 9.0


@pytest.mark.parametrize(
    ("pushback", "seconds"),
    [("2500", 2.5), ("0", 0.0), ("-1", math.inf), ("soon", math.inf), (b"100", 0.1), (None, None)],
)
def test_a_grpc_server_pushes_back(pushback: object, seconds: float | None) -> None:
    metadata = (("grpc-status", "8"), ("grpc-retry-pushback-ms", pushback))
    assert retry_after(_refused(trailing_metadata=lambda: metadata)) == seconds


def test_a_group_waits_as_long_as_the_member_that_asks_for_most() -> None:
    members = [_refused(retry_after=1), _refused(retry_after=3), _refused()]
    assert retry_after(ExceptionGroup("all", members)) == 3.0
    assert retry_after(ExceptionGroup("none", [_refused()])) is None


def test_an_exception_that_asks_for_nothing_has_no_hint() -> None:
    assert retry_after(ValueError()) is None
    assert retry_after(KeyboardInterrupt()) is None


class _BrokenZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise RuntimeError("hostile")


_YEAR = 365 * 24 * 3600.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("9" * 39, _YEAR),
        ("9" * 5000, None),
        (10**39, _YEAR),
        (-(10**39), 0.0),
        (10**400, None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (datetime.max, _YEAR),
        (datetime(2027, 1, 1, tzinfo=_BrokenZone()), None),
        (timedelta.max, _YEAR),
        (timedelta.min, 0.0),
        ("Wed, 21 Oct 9999 07:28:00 GMT", _YEAR),
        ("9999-10-21T07:28:00Z", _YEAR),
        ("1999-10-21T07:28:00Z", 0.0),
        ("Wed, 31 Feb 2027 00:00:00 GMT", None),
        ("x" * 100_000, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_hostile_wait_is_capped_or_ignored(value: object, seconds: float | None) -> None:
    assert retry_after(_refused(retry_after=value)) == seconds
    if isinstance(value, str):
        assert retry_after(_refused(headers={"Retry-After": value})) == seconds


def test_a_wait_that_cannot_be_read_does_not_hide_the_next_one() -> None:
    for value in (datetime(2027, 1, 1, tzinfo=_BrokenZone()), 10**400, "9" * 5000):
        assert retry_after(_refused(retry_after=value, headers={"Retry-After": "3"})) == 3.0


def test_discords_header_is_read_where_nothing_remains() -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.5"}
    assert retry_after(_refused(headers=headers)) == 1.5
    assert retry_after(_refused(headers=headers | {"X-RateLimit-Remaining": "1"})) is None
