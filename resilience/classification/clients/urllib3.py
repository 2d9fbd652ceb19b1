"""urllib3.

A `MaxRetryError` keeps the last failure in `reason`, other wrappers in their first argument. urllib3 retries and
follows redirects by itself, and writes each attempt down in ``retries.history``: the error it ended with, or none
where there was a response. So an earlier attempt does no harm where it provably sent nothing either.

`NewConnectionError`, `ConnectTimeoutError` and an `EmptyPoolError` prove that nothing was sent. A `ProtocolError`
proves it only through the exception that it wraps. A `ResponseError` is the end of retries by status, or of too many
redirects.
"""

from typing import cast

from resilience._safe_access import safe_getattr
from resilience.categories import ErrorCategory as C
from resilience.classification.frames import not_yet_bound, only_objects, variable
from resilience.classification.library import ClientLibrary, PriorRequests
from resilience.classification.tables import classes, first_argument, wrapped_or


def _sent_nothing(retries: object) -> bool:
    """Return whether all attempts that a `urllib3.Retry` has written down sent nothing."""
    from resilience.classification._delivery import never_sent

    attempts = safe_getattr(retries, "history")
    if type(attempts) is not tuple:
        return False
    errors = [safe_getattr(one, "error") for one in cast("tuple[object, ...]", attempts)]
    # The frames of these errors are those the proof comes from: they show the attempts after them as well.
    return all(issubclass(type(error), BaseException) and never_sent(cast("BaseException", error)) for error in errors)


def _by_cause(exc: BaseException) -> C:
    """Return what ended the retries by responses: too many redirects, or statuses its caller had listed for retry."""
    if first_argument(exc) == "too many redirects":
        return C.CONFIGURATION
    return C.SERVER_ERROR


LIBRARY = ClientLibrary(
    {
        "HTTPError": C.UNKNOWN,
        "PoolError": C.UNKNOWN,
        "RequestError": C.UNKNOWN,
        **classes(C.TIMEOUT, "TimeoutError ReadTimeoutError ConnectTimeoutError"),
        **classes(C.NETWORK, "NewConnectionError NameResolutionError"),  # by inheritance they are timeouts
        "ProtocolError": wrapped_or(C.NETWORK),
        **classes(C.NETWORK, "IncompleteRead InvalidChunkLength"),
        "ProxyError": wrapped_or(C.NETWORK, "original_error"),
        "SSLError": wrapped_or(C.NETWORK),
        "MaxRetryError": wrapped_or(C.NETWORK, "reason"),
        "ResponseError": _by_cause,
        **classes(C.CAPACITY, "EmptyPoolError FullPoolError"),  # the client's own pool, not the server
        "ClosedPoolError": C.INTERNAL,
        "HostChangedError": C.INTERNAL,
        **classes(C.DEPENDENCY, "DecodeError ResponseNotChunked BodyNotHttplibCompatible"),
        **classes(C.DEPENDENCY, "HeaderParsingError InvalidHeader"),
        **classes(C.VALIDATION, "LocationValueError LocationParseError URLSchemeUnknown"),
        **classes(C.CONFIGURATION, "ProxySchemeUnknown ProxySchemeUnsupported CertificateError"),
        **classes(C.INTERNAL, "TimeoutStateError UnrewindableBodyError"),
    },
    never_sent={
        **classes(True, "NewConnectionError ConnectTimeoutError EmptyPoolError"),
        "MaxRetryError": ("reason",),
        "ProxyError": ("original_error",),
        **classes(("args",), "ProtocolError SSLError"),
    },
    prior_requests=PriorRequests(
        {
            "connectionpool.urlopen": variable("retries", _sent_nothing, missing=False),
            "poolmanager.urlopen": only_objects(not_yet_bound("response", missing=True)),
        },
        callers="request request_encode_url request_encode_body",
    ),
)
