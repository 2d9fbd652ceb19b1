"""rq: the class decides. A job that was stopped is no failure of what it called.

rq's classes carry no code, and nothing of them comes from Redis: failures of the store are redis-py's. A
`JobTimeoutException` is raised inside the job by a signal or a timer, and its base class is the row. `StopRequested`
and `DequeueTimeout` are control flow of the worker.
"""

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
