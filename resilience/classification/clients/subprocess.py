"""subprocess, from the standard library.

An exit status means something else in every program, so `CalledProcessError` stays UNKNOWN; register a predicate
where the program's statuses are known.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "SubprocessError": C.UNKNOWN,
        "TimeoutExpired": C.EXECUTION_TIMEOUT,
        "CalledProcessError": C.UNKNOWN,
    }
)
