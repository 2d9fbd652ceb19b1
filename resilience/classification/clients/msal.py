"""msal: what the identity service says comes back as a result; these are the few errors that are raised."""

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
