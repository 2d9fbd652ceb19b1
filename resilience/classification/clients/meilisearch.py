"""meilisearch: the status of the response decides."""

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
