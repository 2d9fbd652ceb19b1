"""Waits that servers ask for in headers of a rate limit, in google.rpc's RetryInfo, and as dates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from resilience.classification import retry_after
from resilience.classification.retry_hints import retry_after_of_result
from resilience.clock import SystemClock, using_clock

_NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
_EPOCH = int(_NOW.timestamp())
_YEAR = 365 * 24 * 3600.0


class _Frozen(SystemClock):
    def wall(self) -> float:
        return _NOW.timestamp()


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with using_clock(_Frozen()):
        yield


class _Refused(Exception):
    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(_EPOCH + 60)}, 60.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str((_EPOCH + 60) * 1000)}, 60.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30.0),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "30"}, 30.0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "30"}, None),
        ({"X-RateLimit-Reset": "30"}, None),
        ({"X-RateLimit-Remaining": "0"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(_EPOCH - 60)}, 0.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 30}, _YEAR),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5000}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1m",
            },
            60.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2030-01-01T12:00:07Z",
            },
            7.0,
        ),
        ({"RateLimit": '"default";r=0;t=30'}, 30.0),
        ({"RateLimit": '"default";r=5;t=30'}, None),
        ({"RateLimit": '"burst";r=0;t=3, "daily";r=0;t=60'}, 60.0),
        ({"RateLimit": '"burst";r=1;t=3, "daily";r=0;t=60'}, 60.0),
        ({"RateLimit": '"burst";r=0', "RateLimit-Policy": '"burst";q=100;w=60,"daily";q=1000;w=86400'}, 60.0),
        ({"RateLimit": "limit=100, remaining=0, reset=30"}, 30.0),
        ({"RateLimit": "limit=100, remaining=7, reset=30"}, None),
        ({"Retry-After": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 5.0),
        ({"Retry-After": "9" * 30}, _YEAR),
    ],
    ids=str,
)
def test_a_limit_that_is_used_up_asks_to_wait_until_it_is_reset(headers: dict[str, str], seconds: float | None) -> None:
    for error in (
        _Refused(headers=headers),
        _Refused(response=SimpleNamespace(headers=headers)),
        _Refused(meta=SimpleNamespace(headers=headers)),
        _Refused(resp=headers),
    ):
        assert retry_after(error) == pytest.approx(seconds)
    assert retry_after_of_result(SimpleNamespace(headers=headers)) == pytest.approx(seconds)


_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "53s"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"details": [_INFO]},
        {"details": {"error": {"details": [{"@type": "x"}, _INFO]}}},
        {"error_details": [_INFO]},
        {"body": {"error": {"details": [_INFO]}}},
        {"content": b'{"error": {"details": [{"@type": "a/google.rpc.RetryInfo", "retryDelay": "53s"}]}}'},
        {"details": [SimpleNamespace(retry_delay=SimpleNamespace(seconds=53, nanos=0))]},
    ],
    ids=str,
)
def test_retry_info_of_google_is_read_in_each_of_its_forms(attributes: dict[str, object]) -> None:
    assert retry_after(_Refused(**attributes)) == 53.0


def test_retry_info_is_read_from_the_trailing_metadata_of_grpc() -> None:
    duration = b"\x08\x05\x10\x80\xca\xb5\xee\x01"  # 5 seconds, 500 000 000 nanoseconds
    info = b"\x0a" + bytes([len(duration)]) + duration
    name = b"type.googleapis.com/google.rpc.RetryInfo"
    detail = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(info)]) + info
    status = b"\x08\x08\x12\x04busy\x1a" + bytes([len(detail)]) + detail
    metadata = (("grpc-status-details-bin", status),)
    assert retry_after(_Refused(trailing_metadata=lambda: metadata)) == 5.5
    for end in range(len(status)):
        cut = (("grpc-status-details-bin", status[:end]),)
        assert retry_after(_Refused(trailing_metadata=lambda cut=cut: cut)) in (None, 5.0, 0.0)


def test_a_moment_is_a_wait_until_then() -> None:
    assert retry_after(_Refused(retry_after=_NOW + timedelta(seconds=9))) == 9.0
    assert retry_after(_Refused(retry_after=_NOW - timedelta(seconds=9))) == 0.0
    assert retry_after(_Refused(retry_after_ms=1500)) == 1.5
    assert retry_after(_Refused(retry_after_secs="2")) == 2.0
    assert retry_after(_Refused(retry_after=datetime.max.replace(tzinfo=UTC))) == _YEAR
    assert retry_after(_Refused(retry_after=math.inf)) is None
