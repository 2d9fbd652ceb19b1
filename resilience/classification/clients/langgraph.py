"""LangGraph: an interrupt pauses a graph for a person, and is no failure.

`GraphInterrupt`, `ParentCommand` and `GraphDrained` derive from `GraphBubbleUp`, by which LangGraph passes control
between graphs; no policy retries them. A `GraphRecursionError` has reached `recursion_limit`, and a second run ends in
the same way. Errors of the model are those of its client library.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "GraphBubbleUp": C.CANCELLED,  # control flow between graphs
        "GraphInterrupt": C.APPROVAL,
        "NodeCancelledError": C.CANCELLED,
        "NodeTimeoutError": C.TIMEOUT,
        "GraphRecursionError": C.EXHAUSTED,
        **classes(C.INTERNAL, "InvalidUpdateError EmptyInputError EmptyChannelError UnknownInterruptError"),
        "TaskNotFound": C.NOT_FOUND,
        "RemoteException": C.DEPENDENCY,
        "ToolInvocationError": C.RUNTIME,
    },
)
