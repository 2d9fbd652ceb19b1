"""grpcio: the status decides."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named
from resilience.classify.structure import by_grpc

ROWS: Rows = {
    "RpcError": by_grpc,
    "FutureTimeoutError": C.TIMEOUT,
    "FutureCancelledError": C.CANCELLED,
    "AioRpcStatus": by_grpc,
    # Inside the library.
    **named(C.INTERNAL, "BaseError UsageError _RequestCallError _WatchConnectivityFailed"),
    "_ServerStoppedError": C.UNAVAILABLE,
    # The old interfaces.
    **named(C.CANCELLED, "Abandoned CancelledError CancellationError"),
    **named(C.TIMEOUT, "TimeoutError ExpirationError"),
    "AbortionError": C.DEPENDENCY,
    "NetworkError": C.NETWORK,
    **named(C.UNAVAILABLE, "LocalShutdownError RemoteShutdownError"),
    "RemoteError": C.SERVER_ERROR,
    "LocalError": C.INTERNAL,
    "NoSuchMethodError": C.CONFIGURATION,
}
