"""dagster: `RetryRequested` asks the engine to run the step again, and is no failure.

`Failure` is how a step says that it has failed, and only the step knows why.

Dagster's own classes derive from `DagsterError`. A `DagsterUserCodeUnreachableError` is a code location whose process
or host does not answer, which is NETWORK and may be retried. A wrong definition or configuration is CONFIGURATION and
fails again in the same way.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "RetryRequested": C.CANCELLED,
        "Failure": C.UNKNOWN,
        "DagsterError": C.UNKNOWN,
        "DagsterExecutionInterruptedError": C.CANCELLED,
        "DagsterUserCodeUnreachableError": C.NETWORK,
        **classes(C.CONFIGURATION, "DagsterInvalidConfigError DagsterInvalidDefinitionError"),
    },
)
