"""gridfs, which comes with PyMongo."""

from resilience.category import ErrorCategory as C
from resilience.classify.clients import Rows

ROWS: Rows = {
    "GridFSError": C.UNKNOWN,
    "NoFile": C.NOT_FOUND,
    "FileExists": C.CONFLICT,
    "CorruptGridFile": C.DEPENDENCY,
}
