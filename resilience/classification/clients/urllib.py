"""urllib.request and urllib.error, from the standard library.

An `HTTPError` is the server's response, raised. Any other `URLError` keeps the exception of the socket in `reason`,
which decides. An opener follows redirects; the variable `response` of `OpenerDirector.open` is unbound as long as no
response has come.

A `ContentTooShortError` is a download that `urlretrieve` has lost in the middle. urllib raises for each status but 2xx
that no handler has dealt with, while a timeout in the middle of the body is Python's own TimeoutError.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.frames import not_yet_bound
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import wrapped_category

LIBRARY = ClientLibrary(
    {
        "HTTPError": by_status,
        "URLError": lambda exc: wrapped_category(exc, "reason"),
        "ContentTooShortError": C.NETWORK,
    },
    never_sent={"HTTPError": False, "URLError": ("reason",)},
    prior_requests=PriorRequests({"request.open": not_yet_bound("response")}, callers="urlopen"),
)
