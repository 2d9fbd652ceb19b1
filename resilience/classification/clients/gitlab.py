"""python-gitlab: the status of the response decides, in `response_code`.

An error of the API is a `GitlabError`, which has no response object: the status is copied to `response_code` and the
body to `response_body`. One subclass for each operation (`GitlabGetError`, `GitlabCreateError`) names what was
attempted and says no more, so the status answers for it too.

A `RedirectError` is a configured URL that GitLab answers with another one, for example HTTP instead of HTTPS; it stays
CONFIGURATION, since the program has to correct the URL.
"""

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
