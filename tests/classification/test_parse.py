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
