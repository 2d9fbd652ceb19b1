"""json."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {"JSONDecodeError": C.VALIDATION}
