"""python-gitlab: the status of the response decides, in `response_code`."""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "GitlabError": by_status,
        "GitlabAuthenticationError": C.AUTHENTICATION,
        "GitlabConnectionError": C.NETWORK,
        "GitlabParsingError": C.DEPENDENCY,
        "RedirectError": C.CONFIGURATION,
        "ConfigError": C.CONFIGURATION,
    },
)
