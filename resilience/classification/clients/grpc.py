"""grpcio, sync and asyncio: the status decides.

An `RpcError` says what happened by ``code()``, a member of `grpc.StatusCode`. UNAVAILABLE comes both from a server
that is down and from a connection that broke in the middle of a call, so it never proves that nothing was sent. The
server's pushback (``grpc-retry-pushback-ms``) is read for every exception that has trailing metadata.

The meanings of the sixteen statuses are in `resilience.classification.grpc_status`. DEADLINE_EXCEEDED may come after
the server has done the work. A `_ServerStoppedError` and the other private classes come from the library's own server
and futures.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_grpc
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "RpcError": by_grpc,
        "FutureTimeoutError": C.TIMEOUT,
        "FutureCancelledError": C.CANCELLED,
        "AioRpcStatus": by_grpc,
        # Inside the library.
        **classes(C.INTERNAL, "BaseError UsageError _RequestCallError _WatchConnectivityFailed"),
        "_ServerStoppedError": C.UNAVAILABLE,
        # The old interfaces.
        **classes(C.CANCELLED, "Abandoned CancelledError CancellationError"),
        **classes(C.TIMEOUT, "TimeoutError ExpirationError"),
        "AbortionError": C.DEPENDENCY,
        "NetworkError": C.NETWORK,
        **classes(C.UNAVAILABLE, "LocalShutdownError RemoteShutdownError"),
        "RemoteError": C.SERVER_ERROR,
        "LocalError": C.INTERNAL,
        "NoSuchMethodError": C.CONFIGURATION,
    }
)
