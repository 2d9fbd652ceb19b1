"""httplib2: the class decides; a refused connection is Python's own error.

`HttpLib2Error` is the base class, and errors about a response keep it in `response` and `content`. httplib2 raises for
no status, so a 503 is an ordinary result. A `ServerNotFoundError` is a name that cannot be resolved. The library
follows redirects and sends a request up to twice (`RETRIES`) where the connection fails, so nothing proves that it was
not sent.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "HttpLib2Error": C.UNKNOWN,
        "HttpLib2ErrorWithResponse": C.DEPENDENCY,
        "ServerNotFoundError": C.NETWORK,
        **classes(C.CONFIGURATION, "RedirectLimit ProxiesUnavailableError UnimplementedDigestAuthOptionError"),
        **classes(C.CONFIGURATION, "UnimplementedHmacDigestAuthOptionError"),
        **classes(C.DEPENDENCY, "RedirectMissingLocation FailedToDecompressContent DecodeLimitError DecodeRatioError"),
        **classes(C.VALIDATION, "RelativeURIError"),
        "MalformedHeader": C.DEPENDENCY,
    },
)
