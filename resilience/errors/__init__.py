"""What the toolkit raises.

    ResilienceError                 every error of the toolkit's own; has a category and retry_after
    ├── CallTimeoutError            a call took longer than its time limit; also a TimeoutError
    ├── DeadlineExceededError       a deadline passed; also a TimeoutError
    ├── RetriesExhaustedError       all attempts failed, and on_exhausted="wrap" asked for this
    ├── TooManyAbandonedError       a sync call was refused: too many before it still hold threads nobody waits for
    └── CircuitOpenError            a circuit let nobody through; also a pybreaker.CircuitBreakerError

An error of the function that was called is wrapped in one of these only on demand: it reaches the caller as the same
object.
`CircuitOpenError` lives in `resilience.errors.circuit`, since it brings pybreaker along.
"""

from resilience.errors.base import (
    CallTimeoutError,
    DeadlineExceededError,
    ResilienceError,
    RetriesExhaustedError,
    TooManyAbandonedError,
)

__all__ = [
    "CallTimeoutError",
    "DeadlineExceededError",
    "ResilienceError",
    "RetriesExhaustedError",
    "TooManyAbandonedError",
]
