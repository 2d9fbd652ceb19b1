"""requests, over urllib3.

Connection errors keep urllib3's exception as their first argument, and that decides: a read that times out in the
middle of the body is a `ConnectionError` around a ReadTimeoutError. A `JSONDecodeError` is always about a response.
requests follows redirects and answers authentication challenges; the variable `r` of `Session.send` is unbound as long
as no response has come.

A `ConnectTimeout` is a `ConnectionError` and a `Timeout`, and proves that nothing was sent; a `ReadTimeout` does not.
An `HTTPError` exists only after ``raise_for_status()``. The `RetryError` of an adapter with status retries is
SERVER_ERROR.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification._parse_errors import by_parsed_response
from resilience.classification.frames import not_yet_bound
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "RequestException": C.UNKNOWN,
        "HTTPError": by_status,
        **classes(C.TIMEOUT, "Timeout ConnectTimeout ReadTimeout"),
        **classes(wrapped_or(C.NETWORK), "ConnectionError ProxyError SSLError ChunkedEncodingError"),
        "RetryError": wrapped_or(C.SERVER_ERROR),  # urllib3 met statuses its caller had listed for retry
        "ContentDecodingError": C.DEPENDENCY,
        "TooManyRedirects": C.CONFIGURATION,
        **classes(C.VALIDATION, "URLRequired MissingSchema InvalidSchema InvalidURL InvalidHeader"),
        "InvalidJSONError": C.VALIDATION,  # of the program's own
        "JSONDecodeError": lambda exc: by_parsed_response(exc) or C.DEPENDENCY,
        "InvalidProxyURL": C.CONFIGURATION,
        **classes(C.INTERNAL, "StreamConsumedError UnrewindableBodyError CookieConflictError"),
    },
    never_sent={"ConnectTimeout": True, "ConnectionError": ("args",)},
    prior_requests=PriorRequests(
        {"sessions.send": not_yet_bound("r")},
        callers="get options head post put patch delete request",
    ),
)
