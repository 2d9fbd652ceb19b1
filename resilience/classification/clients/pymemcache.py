"""pymemcache: the kind of memcached's error reply decides, which the class says.

CLIENT_ERROR blames the request, SERVER_ERROR the server; the text after it is the only code there is, and the texts in
the table are those of memcached itself. Failures of the socket are plain OSErrors.

A `Client` sends each command once, after it has connected; `delete_many` and a `HashClient` send several, and a
`RetryingClient` counts its attempts in `attempt`. In the functions that send, `buf` is unbound until the command has
left.

A `MemcacheServerError` without a known text is SERVER_ERROR and may be retried. An unexpected close leaves open
whether the server stored the value.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.frames import at_most, not_yet_bound, only_objects, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes, first_argument

_TEXTS: dict[object, C] = {
    b"out of memory storing object": C.CAPACITY,
    b"out of memory reading request": C.CAPACITY,
    b"object too large for cache": C.VALIDATION,
}


def _server_error(exc: BaseException) -> C:
    text = first_argument(exc)
    return _TEXTS.get(text, C.SERVER_ERROR) if type(text) is bytes else C.SERVER_ERROR


LIBRARY = ClientLibrary(
    {
        "MemcacheError": C.UNKNOWN,
        **classes(C.VALIDATION, "MemcacheClientError MemcacheIllegalInputError"),
        "MemcacheUnknownCommandError": C.CONFIGURATION,  # a server that is too old, or no memcached
        "MemcacheServerError": _server_error,
        "MemcacheUnexpectedCloseError": C.NETWORK,
        "MemcacheUnknownError": C.DEPENDENCY,  # the reply cannot be parsed
    },
    prior_requests=PriorRequests(
        {
            **classes(not_yet_bound("buf"), "client.base._fetch_cmd client.base._store_cmd client.base._misc_cmd"),
            "client.retrying._retry": only_objects(variable("attempt", at_most(0))),
        },
        callers=(
            "get gets get_many gets_many set set_many add replace append prepend cas "
            "incr decr touch delete stats version flush_all <lambda>"
        ),
    ),
)
