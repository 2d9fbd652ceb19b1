"""PyGithub: the status decides, and a rate limit by its class: GitHub answers those with 403 as well as with 429.

A `GithubException` keeps the status in `status`, the decoded body in `data` and the headers in `headers`, from which
the server's wait is read. A `RateLimitExceededException` covers GitHub's primary and secondary limits. Network
failures are those of requests and pass through unchanged.
"""

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
