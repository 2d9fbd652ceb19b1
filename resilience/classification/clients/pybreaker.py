"""pybreaker: an open circuit has rejected the call, as one of this toolkit's does."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"CircuitBreakerError": C.REJECTED}, never_sent={"CircuitBreakerError": True}, sends_once=True)
