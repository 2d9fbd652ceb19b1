"""subprocess, from the standard library.

A program that took too long is TIMEOUT: to the caller it is a dependency, as a server is. An exit status means
something else in every program, so `CalledProcessError` stays UNKNOWN; register a predicate where the program's
statuses are known.

`TimeoutExpired` and `CalledProcessError` keep `cmd`, `output` and `stderr`, none of which is read. A program that
cannot be started is a FileNotFoundError or PermissionError of Python.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "SubprocessError": C.UNKNOWN,
        "TimeoutExpired": C.TIMEOUT,
        "CalledProcessError": C.UNKNOWN,
    }
)
