"""hvac, the client of Vault: the class decides, one for each status.

hvac builds its exceptions by `VaultError.from_status`, which knows 400, 401, 403, 404, 429, 500, 501, 502 and 503, and
makes an `UnexpectedError` of any other status. The exception keeps `errors`, `method` and `url` and not the status
itself. Vault answers 503 while it is sealed, which is UNAVAILABLE. hvac sends through requests, whose errors pass
through.
"""

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
