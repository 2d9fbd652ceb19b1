"""subprocess."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {
    "SubprocessError": C.UNKNOWN,
    "TimeoutExpired": C.EXECUTION_TIMEOUT,
    "CalledProcessError": C.UNKNOWN,  # an exit status says nothing that holds for all programs
}
