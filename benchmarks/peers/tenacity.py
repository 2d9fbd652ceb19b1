"""tenacity: retries only."""

from __future__ import annotations

import tenacity

from benchmarks.terms import ATTEMPTS, Function

NAME = "tenacity"
DISTRIBUTIONS = ("tenacity",)
IMPORTS = {"tenacity": "import tenacity"}
LACKS = {
    "breaker": "has no circuit breaker",
    "fallback": "has a fallback only at the end of retries",
    "stack": "has no circuit breaker",
    "fallback_breaker": "has no circuit breaker",
    "limit": "has no time limit for a call",
    "full": "has no time limit for a call",
    "circuit": "has no circuit breaker",
    "keyed": "has no circuit breaker",
}


def retry(function: Function) -> Function:
    return tenacity.retry(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_none(),
        retry=tenacity.retry_if_exception_type(ConnectionError),
        reraise=True,
    )(function)
