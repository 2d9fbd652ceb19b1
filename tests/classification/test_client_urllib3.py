"""urllib3: what its exceptions say of the failure."""

from __future__ import annotations

import pytest
from urllib3.exceptions import MaxRetryError, ResponseError

from resilience import ErrorCategory, classify


@pytest.mark.parametrize(
    ("cause", "category"),
    [
        ("too many redirects", ErrorCategory.CONFIGURATION),
        ("too many 503 error responses", ErrorCategory.SERVER_ERROR),
        ("too many error responses", ErrorCategory.SERVER_ERROR),
    ],
    ids=["redirects", "a status", "statuses"],
)
def test_the_end_of_redirects_is_not_the_end_of_retries_by_status(cause: str, category: ErrorCategory) -> None:
    error = MaxRetryError(None, "/", ResponseError(cause))  # type: ignore[arg-type]
    assert classify(error) is category
