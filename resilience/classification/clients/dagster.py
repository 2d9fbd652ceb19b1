"""dagster: `RetryRequested` asks the engine to run the step again, and is no failure.

`Failure` is how a step says that it has failed, and only the step knows why.
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
