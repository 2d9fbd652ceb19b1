"""backoff: retries only. Its logger is switched off."""

from __future__ import annotations

import backoff

from benchmarks.terms import ATTEMPTS, Function

NAME = "backoff"
DISTRIBUTIONS = ("backoff",)
IMPORTS = {"backoff": "import backoff"}
LACKS = {
    "breaker": "has no circuit breaker",
    "fallback": "has no fallback",
    "stack": "has retries only",
    "fallback_breaker": "has no circuit breaker",
    "limit": "has no time limit for a call",
    "full": "has no time limit for a call",
    "circuit": "has no circuit breaker",
    "keyed": "has no circuit breaker",
}


def retry(function: Function) -> Function:
    return backoff.on_exception(
        backoff.constant, ConnectionError, max_tries=ATTEMPTS, jitter=None, logger=None, interval=0
    )(function)
