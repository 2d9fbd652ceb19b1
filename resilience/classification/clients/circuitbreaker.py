"""circuitbreaker: an open circuit has rejected the call, as one of this toolkit's does."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {"CircuitBreakerError": C.REJECTED, "CircuitBreakerMonitor": C.UNKNOWN},
    never_sent={"CircuitBreakerError": True},
    sends_once=True,
)
