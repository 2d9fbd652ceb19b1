"""http.client, http.cookies and http.cookiejar, from the standard library.

A server that hangs up before its response, or in the middle of it, is a `RemoteDisconnected`, a `BadStatusLine` with
an empty line or an `IncompleteRead`: the connection was lost, and the request may have been carried out.

An `IncompleteRead` keeps the bytes that came in `partial`. `NotConnected` and the states of a connection used out of
order are bugs of the calling program. A refused or timed out connection is an OSError, which Python's own rules
classify.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "HTTPException": C.UNKNOWN,
        **classes(C.NETWORK, "RemoteDisconnected BadStatusLine IncompleteRead"),
        **classes(C.DEPENDENCY, "LineTooLong UnknownProtocol UnknownTransferEncoding"),
        "InvalidURL": C.VALIDATION,
        **classes(C.INTERNAL, "NotConnected ImproperConnectionState UnimplementedFileMode"),
        **classes(C.VALIDATION, "LoadError CookieError"),
    }
)
