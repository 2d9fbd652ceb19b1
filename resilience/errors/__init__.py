"""The toolkit's errors, and `ResilienceError`, the base class for an application's own.

    ResilienceError                     the base: a code, a category, details, retry_after
    ├── CallTimeoutError                a call took longer than its time limit; also a TimeoutError
    ├── DeadlineExceededError           a deadline has passed; also a TimeoutError
    ├── RetriesExhaustedError           all attempts failed, and on_exhausted="wrap" asked for this
    ├── TooManyAbandonedError           a sync call was rejected: too many abandoned threads
    ├── ThreadNotStartedError           a sync call was rejected: the system started no thread for it
    ├── CircuitOpenError                a circuit rejected the call; also a pybreaker.CircuitBreakerError
    ├── BulkheadFullError               a bulkhead refused the call: too many are in flight
    ├── AdaptiveLimitError              an adaptive limit refused the call: as many are in flight as can be done
    ├── RateLimitedError                a rate limit refused the call: its turn would come too late
    ├── ThrottledError                  a throttle rejected the call: the dependency accepts too few
    └── ValidationFailedError           an `ErrorCollector` has collected errors; also a ValueError

The error of a guarded function reaches the caller as the same object. It is wrapped in one of these only on demand.

`CircuitOpenError` is in `resilience.errors.circuit`, since it imports pybreaker. The error families of other systems
are in `resilience.contrib`.
"""

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy
from resilience.errors.base import (
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
from resilience.errors.codes import CodeRegistry, class_of_code, registries

if TYPE_CHECKING:
    from resilience.errors.chain import ErrorLink, error_chain
    from resilience.errors.code_table import CodeProblem, check_codes

__all__ = [
    "AdaptiveLimitError",
    "BulkheadFullError",
    "CallTimeoutError",
    "CodeProblem",
    "CodeRegistry",
    "DeadlineExceededError",
    "ErrorLink",
    "RateLimitedError",
    "ResilienceError",
    "RetriesExhaustedError",
    "ThreadNotStartedError",
    "ThrottledError",
    "TooManyAbandonedError",
    "ValidationFailedError",
    "check_codes",
    "class_of_code",
    "error_chain",
    "registries",
]

_LAZY = {"CodeProblem": "code_table", "ErrorLink": "chain", "check_codes": "code_table", "error_chain": "chain"}

attach_lazy(__name__, _LAZY)
