"""PyGithub: the status decides, and a rate limit by its class: GitHub answers those with 403 as well as with 429."""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "GithubException": by_status,
        "RateLimitExceededException": C.RATE_LIMIT,
        **classes(C.AUTHENTICATION, "BadCredentialsException TwoFactorException"),
        "BadUserAgentException": C.CONFIGURATION,
        **classes(C.DEPENDENCY, "BadAttributeException IncompletableObject"),
    },
)
