"""grpclib: the status of the response decides, in `status`.

A `GRPCError` has a member of `grpclib.const.Status` in `status`, a `message` and optional `details`; the names are
those of the gRPC specification, so grpcio's table of statuses answers. A `StreamTerminatedError` is a RST_STREAM frame
of the peer, which may come after the server has begun the call, so it proves nothing.
"""

from resilience._safe_access import as_str, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.grpc_status import GRPC_STATUS, category_of_grpc
from resilience.classification.library import ClientLibrary
from resilience.classification.match import Match


def _status(exc: BaseException) -> Match | None:
    name = as_str(safe_getattr(safe_getattr(exc, "status"), "name")) or ""
    if name not in GRPC_STATUS:
        return None
    message = as_str(safe_getattr(exc, "message")) or ""
    return Match(category_of_grpc(name, message), f"gRPC status {name}")


LIBRARY = ClientLibrary(
    {
        "GRPCError": _status,
        "StreamTerminatedError": C.NETWORK,
        "ProtocolError": C.INTERNAL,  # a wrong use of the stream
    },
)
