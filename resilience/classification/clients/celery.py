"""Celery: `Retry`, `Ignore` and `Reject` are how a task tells the worker what to do, and no failures.

`Retry`, `Ignore` and `Reject` derive from `TaskPredicate`, and no policy retries them or counts them against a
circuit. A `MaxRetriesExceededError` is EXHAUSTED, since Celery has already repeated the task as often as its settings
allow. A `BackendError` is the store of results, not the broker; errors of the broker are kombu's.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        **classes(C.UNKNOWN, "CeleryError TaskError UnpickleableExceptionWrapper ChordError"),
        "TaskPredicate": C.CANCELLED,
        "TaskRevokedError": C.CANCELLED,
        "MaxRetriesExceededError": C.EXHAUSTED,
        "TimeoutError": C.TIMEOUT,
        **classes(C.NETWORK, "BackendError IncompleteStream"),
        **classes(C.NOT_FOUND, "NotRegistered QueueNotFound DocumentNotFoundException"),
        **classes(C.CONFIGURATION, "ImproperlyConfigured NotAPackage CeleryCommandException SchedulingError"),
        **classes(C.CONFLICT, "AlreadyRegistered LockFailed"),
        "SecurityError": C.SECURITY,
        **classes(C.VALIDATION, "InvalidTaskError ParseException CycleError"),
        "BacklogLimitExceeded": C.CAPACITY,
        "StopFiltering": C.CANCELLED,
    },
)
