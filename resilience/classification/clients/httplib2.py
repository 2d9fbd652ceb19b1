"""httplib2: the class decides; a refused connection is Python's own error."""

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
