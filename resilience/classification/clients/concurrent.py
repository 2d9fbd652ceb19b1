"""concurrent.futures and concurrent.interpreters: futures, executors, interpreters and their queues.

`CancelledError` is an ordinary `Exception` here, unlike asyncio's, and means the same: the caller did not want the
result any more. `_RemoteTraceback` is the cause that a process pool gives to an exception of a worker, and
`ExecutionFailed` the one that a pool of interpreters gives; neither shows what the worker sent before
(`_prior_requests`). An `ExecutionFailed` by itself is an exception that could not be passed between interpreters.

A `BrokenExecutor` is INTERNAL: a worker process or thread has died, and the same executor refuses every later call. A
retry needs a new executor, which only the program can make. The queues of `concurrent.interpreters` have the meanings
that those of the module `queue` have.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        "CancelledError": C.CANCELLED,
        "InvalidStateError": C.INTERNAL,
        "BrokenExecutor": C.INTERNAL,  # a worker died; the executor takes no more work
        "_RemoteTraceback": C.UNKNOWN,  # never raised
        "InterpreterError": C.UNKNOWN,
        "ExecutionFailed": C.UNKNOWN,  # an InterpreterError
        "QueueEmpty": C.UNKNOWN,
        "QueueFull": C.CAPACITY,
        **classes(C.INTERNAL, "InterpreterNotFoundError NotShareableError"),
        **classes(C.INTERNAL, "QueueError QueueNotFoundError ItemInterpreterDestroyed"),
    }
)
