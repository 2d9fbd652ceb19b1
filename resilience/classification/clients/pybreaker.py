"""pybreaker: an open circuit has rejected the call, as one of this toolkit's does.

While the circuit is open, a `CircuitBreakerError` comes instead of the call. With `throw_new_error_on_trip`, which is
the default, pybreaker raises the same class for the call that opened the circuit, with the failure of that call as the
context. REJECTED is not among the categories that are retried by default.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {"CircuitBreakerError": C.REJECTED},
    # The call that opens the circuit was made: its failure is the context. One that was not raised proves nothing.
    never_sent={"CircuitBreakerError": lambda exc: exc.__traceback__ is not None and exc.__context__ is None},
    sends_once=True,
)
