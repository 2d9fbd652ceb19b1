"""Keep calls working while what they depend on fails.

Each exception gets one `ErrorCategory` (`timeout`, `network`, `rate_limit`, ...), and every policy decides by it:

    @fallback(default=())
    @retry_on_category(ErrorCategory.TRANSIENT, attempts=3)
    @circuit_breaker("catalogue", failure_threshold=5, reset_timeout=30)
    @timeout(2.0)
    async def search(query: str) -> tuple[str, ...]:
        response = await client.get("/search", params={"q": query})
        response.raise_for_status()  # a 503 is a failure only if it is raised
        return tuple(item["name"] for item in response.json())
"""

from typing import TYPE_CHECKING

from resilience._decorators import deadline, fallback, retry_on_category, retrying, timeout
from resilience._lazy import attach_lazy
from resilience.categories import ErrorCategory, Recovery, Severity

if TYPE_CHECKING:
    from resilience._deadline_context import remaining
    from resilience._listeners import subscribe
    from resilience._runtime.description import ClassDescription, Description, describe
    from resilience._runtime.pipeline import Pipeline
    from resilience._runtime.worst_case import WorstCase
    from resilience._standard import Standard, standard
    from resilience.circuits import CircuitBreaker, CircuitState, circuit_breaker
    from resilience.classification import classify, explain, register, register_library, retry_after
    from resilience.collect import ErrorCollector
    from resilience.errors import (
        AdaptiveLimitError,
        BulkheadFullError,
        CallTimeoutError,
        DeadlineExceededError,
        RateLimitedError,
        ResilienceError,
        RetriesExhaustedError,
        ThreadNotStartedError,
        ThrottledError,
        TooManyAbandonedError,
        ValidationFailedError,
    )
    from resilience.errors.chain import error_chain
    from resilience.errors.circuit import CircuitOpenError
    from resilience.faults._injection import chaos, fail_next
    from resilience.gather import CallResult, GatheredResults, gather_results, gather_results_async
    from resilience.metrics.tracking import track_errors
    from resilience.policies.adaptive_limit import AdaptiveLimit, adaptive_limit
    from resilience.policies.backoff import Backoff
    from resilience.policies.bulkhead import Bulkhead, bulkhead
    from resilience.policies.degraded import Degraded
    from resilience.policies.hedge import Hedge, hedge
    from resilience.policies.idempotency import by_method, unless_post
    from resilience.policies.linting import Finding, lint
    from resilience.policies.priority import priority
    from resilience.policies.rate_limit import RateLimit, rate_limit
    from resilience.policies.retry_budget import RetryBudget
    from resilience.policies.retry_report import AttemptReport, CallReport, last_call, report_of
    from resilience.policies.revision import Arguments
    from resilience.policies.stale_cache import StaleEntry
    from resilience.policies.stop_reason import StopReason
    from resilience.policies.throttle import Throttle, throttle
    from resilience.profiles import Profile, override_profiles, profile_of
    from resilience.translate import translating

__version__ = "0.1.0"

__all__ = [
    "AdaptiveLimit",
    "AdaptiveLimitError",
    "Arguments",
    "AttemptReport",
    "Backoff",
    "Bulkhead",
    "BulkheadFullError",
    "CallReport",
    "CallResult",
    "CallTimeoutError",
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "ClassDescription",
    "DeadlineExceededError",
    "Degraded",
    "Description",
    "ErrorCategory",
    "ErrorCollector",
    "Finding",
    "GatheredResults",
    "Hedge",
    "Pipeline",
    "Profile",
    "RateLimit",
    "RateLimitedError",
    "Recovery",
    "ResilienceError",
    "RetriesExhaustedError",
    "RetryBudget",
    "Severity",
    "StaleEntry",
    "Standard",
    "StopReason",
    "ThreadNotStartedError",
    "Throttle",
    "ThrottledError",
    "TooManyAbandonedError",
    "ValidationFailedError",
    "WorstCase",
    "__version__",
    "adaptive_limit",
    "bulkhead",
    "by_method",
    "chaos",
    "circuit_breaker",
    "classify",
    "deadline",
    "describe",
    "error_chain",
    "explain",
    "fail_next",
    "fallback",
    "gather_results",
    "gather_results_async",
    "hedge",
    "last_call",
    "lint",
    "override_profiles",
    "priority",
    "profile_of",
    "rate_limit",
    "register",
    "register_library",
    "remaining",
    "report_of",
    "retry_after",
    "retry_on_category",
    "retrying",
    "standard",
    "subscribe",
    "throttle",
    "timeout",
    "track_errors",
    "translating",
    "unless_post",
]

# Imported when first asked for. With the circuit comes pybreaker, and with it redis and tornado where installed.
_LAZY = {
    "AdaptiveLimit": "policies.adaptive_limit",
    "AdaptiveLimitError": "errors",
    "Arguments": "policies.revision",
    "AttemptReport": "policies.retry_report",
    "Backoff": "policies.backoff",
    "Bulkhead": "policies.bulkhead",
    "BulkheadFullError": "errors",
    "CallReport": "policies.retry_report",
    "CallResult": "gather",
    "CallTimeoutError": "errors",
    "CircuitBreaker": "circuits",
    "CircuitOpenError": "errors.circuit",
    "CircuitState": "circuits",
    "DeadlineExceededError": "errors",
    "Degraded": "policies.degraded",
    "ClassDescription": "_runtime.description",
    "Description": "_runtime.description",
    "ErrorCollector": "collect",
    "Finding": "policies.linting",
    "GatheredResults": "gather",
    "Hedge": "policies.hedge",
    "Pipeline": "_runtime.pipeline",
    "Profile": "profiles",
    "RateLimit": "policies.rate_limit",
    "RateLimitedError": "errors",
    "ResilienceError": "errors",
    "RetriesExhaustedError": "errors",
    "RetryBudget": "policies.retry_budget",
    "StaleEntry": "policies.stale_cache",
    "Standard": "_standard",
    "StopReason": "policies.stop_reason",
    "ThreadNotStartedError": "errors",
    "Throttle": "policies.throttle",
    "ThrottledError": "errors",
    "TooManyAbandonedError": "errors",
    "ValidationFailedError": "errors",
    "WorstCase": "_runtime.worst_case",
    "adaptive_limit": "policies.adaptive_limit",
    "bulkhead": "policies.bulkhead",
    "by_method": "policies.idempotency",
    "chaos": "faults._injection",
    "circuit_breaker": "circuits",
    "classify": "classification.classifier",
    "describe": "_runtime.description",
    "error_chain": "errors.chain",
    "explain": "classification.classifier",
    "fail_next": "faults._injection",
    "gather_results": "gather",
    "gather_results_async": "gather",
    "hedge": "policies.hedge",
    "last_call": "policies.retry_report",
    "report_of": "policies.retry_report",
    "lint": "policies.linting",
    "override_profiles": "profiles",
    "priority": "policies.priority",
    "profile_of": "profiles",
    "rate_limit": "policies.rate_limit",
    "register": "classification.registry",
    "register_library": "classification.libraries",
    "remaining": "_deadline_context",
    "retry_after": "classification.retry_hints",
    "standard": "_standard",
    "subscribe": "_listeners",
    "throttle": "policies.throttle",
    "track_errors": "metrics.tracking",
    "translating": "translate",
    "unless_post": "policies.idempotency",
}
_SUBMODULES = {
    "admin",
    "circuits",
    "classification",
    "config",
    "contrib",
    "errors",
    "events",
    "execution",
    "faults",
    "fleet",
    "integrations",
    "metrics",
    "policies",
    "report",
    "settings",
    "testing",
}

attach_lazy(__name__, _LAZY, _SUBMODULES)
