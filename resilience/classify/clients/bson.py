"""bson, which comes with PyMongo."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {"BSONError": C.VALIDATION}
