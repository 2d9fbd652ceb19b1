"""rq: the class decides. A job that was stopped is no failure of what it called."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "BaseTimeoutException": C.TIMEOUT,
        **classes(C.CANCELLED, "StopRequested DequeueTimeout"),
        "AbandonedJobError": C.NETWORK,  # its worker has gone
        **classes(C.NOT_FOUND, "NoSuchGroupError NoSuchJobError SchedulerNotFound"),
        **classes(C.CONFLICT, "DuplicateJobError DuplicateSchedulerError InvalidJobOperation InvalidJobOperationError"),
        **classes(C.VALIDATION, "DeserializationError InvalidJobDependency TimeoutFormatError"),
        "NoRedisConnectionException": C.CONFIGURATION,
    },
)
