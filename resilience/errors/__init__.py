"""What the toolkit raises, and the base of what applications raise.

    ResilienceError                     the base: a code, a category, details, retry_after
    ├── CallTimeoutError                a call took longer than its time limit; also a TimeoutError
    ├── DeadlineExceededError           a deadline passed; also a TimeoutError
    ├── RetriesExhaustedError           all attempts failed, and on_exhausted="wrap" asked for this
    ├── TooManyAbandonedError           a sync call was refused: too many before it hold threads nobody waits for
    ├── CircuitOpenError                a circuit rejected the call; also a pybreaker.CircuitBreakerError
    └── ValidationFailedError           an `ErrorCollector` has collected errors; also a ValueError

An error of the function that was called is wrapped in one of these only on demand: it reaches the caller as the same
object.
`CircuitOpenError` lives in `resilience.errors.circuit`, since it brings pybreaker along. The error families of other
systems live in `resilience.contrib`.
"""

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy
from resilience.errors.base import (
    CallTimeoutError,
    DeadlineExceededError,
    ResilienceError,
    RetriesExhaustedError,
    TooManyAbandonedError,
    ValidationFailedError,
)
from resilience.errors.codes import CodeRegistry, class_of_code, registries

if TYPE_CHECKING:
    from resilience.errors.chain import ErrorLink, error_chain
    from resilience.errors.code_table import CodeProblem, check_codes

__all__ = [
    "CallTimeoutError",
    "CodeProblem",
    "CodeRegistry",
    "DeadlineExceededError",
    "ErrorLink",
    "ResilienceError",
    "RetriesExhaustedError",
    "TooManyAbandonedError",
    "ValidationFailedError",
    "check_codes",
    "class_of_code",
    "error_chain",
    "registries",
]

_LAZY = {"CodeProblem": "code_table", "ErrorLink": "chain", "check_codes": "code_table", "error_chain": "chain"}

attach_lazy(__name__, _LAZY)
