"""msal: what the identity service says comes back as a result; these are the few errors that are raised.

A result of `acquire_token_*` is a dict with `error` and `error_description`, so no policy sees a refused login as an
exception; a predicate for results has to look for it. Failures of the network are those of requests and pass through.
A `ManagedIdentityError` is a managed identity that the program describes in a wrong way.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "MsalError": C.AUTHENTICATION,
        **classes(C.AUTHENTICATION, "IdTokenError"),
        "ManagedIdentityError": C.CONFIGURATION,
        "BrowserInteractionTimeoutError": C.TIMEOUT,
    },
)
