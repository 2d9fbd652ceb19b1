"""circuitbreaker: an open circuit has rejected the call, as one of this toolkit's does.

The decorator raises `CircuitBreakerError` instead of calling the function, which proves that nothing was sent.
REJECTED is not among the retried categories: the circuit stays open until its recovery time has passed.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {"CircuitBreakerError": C.REJECTED, "CircuitBreakerMonitor": C.UNKNOWN},
    never_sent={"CircuitBreakerError": True},
    sends_once=True,
)
