"""requests, over urllib3."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows
from resilience.classify.clients._rows import inside_or, named
from resilience.classify.structure import by_status

ROWS: Rows = {
    "RequestException": C.UNKNOWN,
    "HTTPError": by_status,
    **named(C.TIMEOUT, "Timeout ConnectTimeout ReadTimeout"),
    # A read that times out in the middle of the body arrives as a ConnectionError around urllib3's.
    "ConnectionError": inside_or(C.NETWORK),
    "ProxyError": inside_or(C.NETWORK),
    "SSLError": inside_or(C.NETWORK),
    "ChunkedEncodingError": inside_or(C.NETWORK),
    "RetryError": inside_or(C.SERVER_ERROR),  # urllib3 gave up on statuses its caller had listed for retry
    "ContentDecodingError": C.DEPENDENCY,
    "TooManyRedirects": C.CONFIGURATION,
    **named(C.VALIDATION, "URLRequired MissingSchema InvalidSchema InvalidURL InvalidHeader"),
    **named(C.VALIDATION, "InvalidJSONError JSONDecodeError"),
    "InvalidProxyURL": C.CONFIGURATION,
    **named(C.INTERNAL, "StreamConsumedError UnrewindableBodyError CookieConflictError"),
}
