"""hvac, the client of Vault: the class decides, one for each status."""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "VaultError": by_status,
        **classes(C.VALIDATION, "InvalidRequest ParamValidationError"),
        "Unauthorized": C.AUTHENTICATION,
        "Forbidden": C.AUTHORIZATION,
        "InvalidPath": C.NOT_FOUND,
        "UnsupportedOperation": C.CONFIGURATION,
        "PreconditionFailed": C.UNAVAILABLE,  # a replica that has not caught up yet
        "RateLimitExceeded": C.RATE_LIMIT,
        **classes(C.UNAVAILABLE, "VaultDown BadGateway VaultNotInitialized"),
        "InternalServerError": C.SERVER_ERROR,
        "UnexpectedError": C.DEPENDENCY,
        "Cert.CertificateAuthError": C.AUTHENTICATION,
    },
)
