"""What the toolkit raises.

    ResilienceError                 every error of the toolkit's own; has a category and retry_after
    ├── CallTimeoutError            a call took longer than its time limit; also a TimeoutError
    └── CircuitOpenError            a circuit let nobody through; also a pybreaker.CircuitBreakerError

An error of the function that was called is never wrapped in one of these: it reaches the caller as the same object.
`CircuitOpenError` lives in `resilience.errors.circuit`, since it brings pybreaker along.
"""

from resilience.errors.base import CallTimeoutError, ResilienceError

__all__ = ["CallTimeoutError", "ResilienceError"]
