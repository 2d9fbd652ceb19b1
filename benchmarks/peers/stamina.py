"""stamina: retries only. Its instrumentation, which would log every retry, is switched off."""

from __future__ import annotations

import stamina
import stamina.instrumentation

from benchmarks.terms import ATTEMPTS, Function

NAME = "stamina"
DISTRIBUTIONS = ("stamina",)
IMPORTS = {"stamina": "import stamina"}
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

stamina.instrumentation.set_on_retry_hooks(())


def retry(function: Function) -> Function:
    return stamina.retry(
        on=ConnectionError, attempts=ATTEMPTS, timeout=None, wait_initial=0, wait_max=0, wait_jitter=0
    )(function)
