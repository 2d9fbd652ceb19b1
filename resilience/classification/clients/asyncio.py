"""asyncio: what its streams, queues and synchronization primitives raise.

`asyncio.TimeoutError` is Python's own TimeoutError and needs no row. `CancelledError` has one for `explain_text`; a
policy never asks about it, since it is no `Exception`. A stream that ends before the bytes asked for is a connection
that was lost.

A full queue is CAPACITY and an empty one NOT_FOUND, since neither is a failure of a server. `InvalidStateError`,
`BrokenBarrierError` and `QueueShutDown` are bugs or the end of the program, and are never retried. No class here
proves that nothing was sent: a stream reports its refused connections as OSErrors.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "CancelledError": C.CANCELLED,
        "IncompleteReadError": C.NETWORK,
        "LimitOverrunError": C.VALIDATION,
        **classes(C.CAPACITY, "QueueFull"),
        **classes(C.NOT_FOUND, "QueueEmpty"),
        **classes(C.INTERNAL, "InvalidStateError BrokenBarrierError SendfileNotAvailableError QueueShutDown"),
        "CycleFoundException": C.INTERNAL,  # of `python -m asyncio pstree`
    }
)
