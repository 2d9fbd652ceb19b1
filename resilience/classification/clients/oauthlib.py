"""oauthlib: the class decides, since the status in it is that of the specification and not of a response.

`TemporarilyUnavailableError` has the status 400, and asks to come back later all the same.

An `OAuth2Error` has `error`, `description` and a fixed `status_code` in its class, from RFC 6749 and OpenID Connect.
oauthlib does no I/O: requests-oauthlib or another client sends, and their errors pass through. `SlowDownError` and
`AuthorizationPendingError` belong to the device flow of RFC 8628.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.AUTHENTICATION, "OAuth1Error OAuth2Error"),
        "TemporarilyUnavailableError": C.UNAVAILABLE,
        "ServerError": C.SERVER_ERROR,
        "SlowDownError": C.RATE_LIMIT,
        "AuthorizationPendingError": C.APPROVAL,  # the user has not decided yet
        **classes(C.AUTHORIZATION, "AccessDenied AccessDeniedError InsufficientScopeError ConsentRequired"),
        "InvalidScopeError": C.AUTHORIZATION,
        **classes(C.CONFIGURATION, "InsecureTransportError FatalClientError UnauthorizedClientError"),
        **classes(
            C.CONFIGURATION, "UnsupportedGrantTypeError UnsupportedResponseTypeError InvalidSignatureMethodError"
        ),
        **classes(C.VALIDATION, "InvalidRequestError"),
    },
)
