"""Retries, a circuit and a classifier as two services define them in writing, for code that is ported to the letter.

    from resilience.contrib.legacy.service import CircuitBreaker, retry_with_backoff
    from resilience.contrib.legacy.tools import ErrorCategory, classify_error, with_retry

Use them while a port has to be shown to change nothing: the same signatures, the same number of calls, the same waits.
Underneath is the toolkit's engine, with its events, reports, deadlines and virtual time; but what is retried and what
counts goes by class or status here, and no other policy knows of it.

After that write this, which goes by category, heeds Retry-After and takes budgets:

    retry_with_backoff(f, max_retries=3)   retry_on_category(max_retries=3)(f)
    with_retry(f, max_retries=3)           retry_on_category("retryable", attempts=3, base_delay=1, jitter="none")(f)
    CircuitBreaker(5, 60)                  circuit_breaker("billing", failure_threshold=5, reset_timeout=60)
    classify_error(error)                  classify(error)

What has the name of something else in the toolkit, `CircuitBreaker`, `CircuitState` and `ErrorCategory`, is in its
module only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.contrib.legacy import service, tools
    from resilience.contrib.legacy.service import retry_with_backoff
    from resilience.contrib.legacy.tools import classify_error, with_retry

__all__ = ["classify_error", "retry_with_backoff", "service", "tools", "with_retry"]

# Imported when first asked for: with the circuit comes pybreaker.
_LAZY = {"classify_error": "tools", "retry_with_backoff": "service", "with_retry": "tools"}

attach_lazy(__name__, _LAZY, _LAZY.values())
