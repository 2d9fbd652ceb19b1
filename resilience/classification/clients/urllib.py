"""urllib.request and urllib.error, from the standard library.

An `HTTPError` is the server's response, raised. Any other `URLError` keeps the exception of the socket in `reason`,
which decides. An opener follows redirects; the variable `response` of `OpenerDirector.open` is unbound as long as no
response has come.

A `ContentTooShortError` is a download that `urlretrieve` has lost in the middle. urllib raises for each status but 2xx
that no handler has dealt with, while a timeout in the middle of the body is Python's own TimeoutError.
"""

from resilience._safe_access import int_attribute, safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_response
from resilience.classification._responses import caseless, is_error_status
from resilience.classification.frames import not_yet_bound
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.match import Match
from resilience.classification.tables import wrapped_category


def _status(exc: BaseException) -> Match | None:
    status = int_attribute(exc, "code")
    if status is None or not is_error_status(status):
        return None
    return by_response(exc, status, [caseless(safe_getattr(exc, "headers"))])


LIBRARY = ClientLibrary(
    {
        "HTTPError": _status,
        "URLError": lambda exc: wrapped_category(exc, "reason"),
        "ContentTooShortError": C.NETWORK,
    },
    never_sent={"HTTPError": False, "URLError": ("reason",)},
    prior_requests=PriorRequests({"request.open": not_yet_bound("response")}, callers="urlopen"),
)
