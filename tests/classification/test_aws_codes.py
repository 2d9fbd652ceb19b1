"""The codes that botocore's own retries repeat are in categories that are retried here too."""

from __future__ import annotations

from collections.abc import Iterator

import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from botocore.retries import standard

from resilience.categories import ErrorCategory
from resilience.classification import classify


def _repeated(part: object) -> Iterator[tuple[str, int]]:
    """Yield each code of botocore's retry configuration and the HTTP status that goes with it."""
    if isinstance(part, dict):
        if "service_error_code" in part:
            yield part["service_error_code"], part["http_status_code"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _repeated(inner)


_LEGACY = set(_repeated(botocore.loaders.Loader().load_data("_retry")))
_THROTTLED = {(code, 400) for code in standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES}
_TRANSIENT = {(code, 400) for code in standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES}


@pytest.mark.parametrize(("code", "status"), sorted(_LEGACY | _THROTTLED | _TRANSIENT))
def test_what_botocore_repeats_is_retried(code: str, status: int) -> None:
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Call")
    assert classify(error) in ErrorCategory.TRANSIENT


@pytest.mark.parametrize(
    "code",
    """DirectoryUnavailableException SchemaRegistryUnavailableException RetryableConflictException
    StreamSessionAccessNotReadyException QueryTimeoutException ThrottledRequestException TooManyRequestException
    """.split(),
)
def test_a_code_whose_service_says_that_it_may_be_repeated_is_retried_whatever_its_status(code: str) -> None:
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "Call")
    assert classify(error) in ErrorCategory.TRANSIENT
