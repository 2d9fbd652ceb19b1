"""meilisearch: the status of the response decides.

A `MeilisearchApiError` keeps `status_code` and, from the body, `code`, `type` and `link`. The client sends through
requests and raises `MeilisearchCommunicationError` from its connection errors, whose cause decides. A
`MeilisearchTimeoutError` also reports a task of the server that `wait_for_task` did not see end, and the task may
still run.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_status
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import wrapped_or

LIBRARY = ClientLibrary(
    {
        "MeilisearchError": C.UNKNOWN,
        "MeilisearchApiError": by_status,
        "MeilisearchCommunicationError": wrapped_or(C.NETWORK, "__cause__"),
        "MeilisearchTimeoutError": C.TIMEOUT,
    },
)
