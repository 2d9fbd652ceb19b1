"""Drop-in shims for the retries, the circuit breaker and the classifier of two older services.

    from resilience.contrib.legacy.service import CircuitBreaker, retry_with_backoff
    from resilience.contrib.legacy.tools import ErrorCategory, classify_error, with_retry

They have the same signatures, make the same number of calls and wait the same times, so that a port can be shown to
change nothing. The toolkit's engine runs them, with its events, reports, deadlines and virtual time; but they decide by
exception class or status, not by category. A sync function that they call runs on the event loop.

Where they differ from their documents: cancellation and Ctrl-C are no failures, and classes to retry or to expect are
those of an `Exception`; no attempt begins for which a deadline leaves no time; bad parameters raise ValueError or
TypeError at once; and a circuit is half-open exactly *timeout* seconds after the failure that opened it, on a monotonic
clock. Its `last_failure_time` is for display. Log lines are events, at the documents' levels or higher by category.

After the port, write this in their place. It decides by category, honours Retry-After and takes budgets:

    retry_with_backoff(f, max_retries=3)   retry_on_category(max_retries=3)(f)
    with_retry(f, max_retries=3)           retry_on_category("retryable", attempts=3, base_delay=1, jitter="none")(f)
    CircuitBreaker(5, 60)                  circuit_breaker("billing", failure_threshold=5, reset_timeout=60)
    classify_error(error)                  classify(error)

`CircuitBreaker`, `CircuitState` and `ErrorCategory` share their names with other classes of the toolkit, so they are
available from their modules only.
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
