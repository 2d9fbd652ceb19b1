"""PyJWT: a token that is not accepted is AUTHENTICATION.

The keys may have to be fetched, which may fail like any other request.

An expired token, a wrong signature, audience or issuer share AUTHENTICATION: the same token is refused again, and a
new one may be accepted. `PyJWKClient` fetches keys by urllib, and the `URLError` that it wraps is the cause of a
`PyJWKClientConnectionError`.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes, wrapped_or

LIBRARY = ClientLibrary(
    {
        "PyJWTError": C.AUTHENTICATION,
        "PyJWKClientError": C.AUTHENTICATION,  # no key fits the token
        "PyJWKClientConnectionError": wrapped_or(C.NETWORK, "__cause__"),
        **classes(C.CONFIGURATION, "InvalidKeyError MissingCryptographyError InvalidAlgorithmError"),
    },
)
