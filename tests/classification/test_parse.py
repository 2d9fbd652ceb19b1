"""Failures that are only named."""

from __future__ import annotations

from typing import cast

import pytest

from resilience.categories import ErrorCategory
from resilience.classification import explain_text

C = ErrorCategory


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("httpx.ReadTimeout", C.TIMEOUT),
        ("requests.exceptions.ConnectionError", C.NETWORK),
        ("ReadTimeout", C.TIMEOUT),
        ("RateLimitError", C.RATE_LIMIT),
        ("TimeoutError", C.TIMEOUT),
        ("builtins.ValueError", C.UNKNOWN),
        ("asyncio.TimeoutError", C.TIMEOUT),
        ("json.JSONDecodeError", C.VALIDATION),
        ("UnicodeDecodeError", C.VALIDATION),
        ("KeyboardInterrupt", C.CANCELLED),
        ("ExceptionGroup", C.UNKNOWN),
        ("psycopg.OperationalError", C.NETWORK),
        ("httpx.HTTPStatusError", C.UNKNOWN),
        ("status 503", C.UNAVAILABLE),
        ("http 429", C.RATE_LIMIT),
        ("  503 ", C.UNAVAILABLE),
        ("grpc UNAVAILABLE", C.UNAVAILABLE),
        ("grpc deadline_exceeded", C.TIMEOUT),
        ("sqlstate 40001", C.UNAVAILABLE),
        ("errno ECONNRESET", C.NETWORK),
        ("errno 28", C.CAPACITY),
        ("ECONNRESET", C.NETWORK),
        ("connection refused", C.NETWORK),
        ("No space left on device", C.CAPACITY),
        ("connection", C.NETWORK),
        ("Permission", C.AUTHORIZATION),
        ("timeout", C.TIMEOUT),
        ("rate limit", C.RATE_LIMIT),
        ("RATE_LIMIT", C.RATE_LIMIT),
    ],
)
def test_a_named_failure_is_explained(text: str, category: ErrorCategory) -> None:
    explanation = explain_text(text)
    assert explanation.category is category
    assert str(explanation)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("httpx.ReadTimeot", "did you mean httpx.ReadTimeout"),
        ("ReadTimeot", "did you mean ReadTimeout"),
        ("unknown.ReadTimeout", "did you mean .*ReadTimeout"),
        ("OperationalError", r"psycopg.OperationalError \(network\), .*pymysql.OperationalError \(dependency\)"),
        ("conection", "did you mean .*ConnectionError"),
        ("readtimeot", "did you mean ReadTimeout"),
        ("refused", "did you mean .*Refused"),
        ("redis", "of redis there is redis.RedisError"),
        ("zzz", "give an exception such as"),
        ("", "give an exception such as"),
        ("one two three", "give an exception such as"),
        ("status 999", "100 to 599"),
        ("99999999999999999999", "100 to 599"),
        ("status five", "100 to 599"),
        ("grpc UNAVAILBLE", "did you mean UNAVAILABLE"),
        ("sqlstate 4", "five letters or digits"),
        ("errno ECONRESET", "did you mean ECONNRESET"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        explain_text(text)


def test_only_text_is_explained() -> None:
    with pytest.raises(TypeError, match="text="):
        explain_text(cast("str", 503))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("errno ENOSPC", "No space left on device (ENOSPC)"),
        ("sqlstate 40P01", "SQLSTATE 40P01, deadlock detected"),
        ("sqlstate 23505", "SQLSTATE 23505, unique violation"),
        ("sqlstate 08006", "SQLSTATE 08006, connection exception"),
        ("httpx.ReadTimeout", "httpx.ReadTimeout is timeout"),
    ],
)
def test_the_reason_is_in_the_words_of_the_error_and_names_no_table(text: str, reason: str) -> None:
    assert explain_text(text).reason == reason
