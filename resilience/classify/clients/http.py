"""http.client, http.cookies and http.cookiejar."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import named

ROWS: Rows = {
    "HTTPException": C.UNKNOWN,
    **named(C.NETWORK, "RemoteDisconnected BadStatusLine IncompleteRead"),
    **named(C.DEPENDENCY, "LineTooLong UnknownProtocol UnknownTransferEncoding"),
    "InvalidURL": C.VALIDATION,
    **named(C.INTERNAL, "NotConnected ImproperConnectionState UnimplementedFileMode"),
    **named(C.VALIDATION, "LoadError CookieError"),
}
