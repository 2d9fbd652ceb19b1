"""gridfs, which comes with PyMongo: files stored in chunks.

Failures of the database itself are PyMongo's.
"""

from resilience.category import ErrorCategory as C
from resilience.classify.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "GridFSError": C.UNKNOWN,
        "NoFile": C.NOT_FOUND,
        "FileExists": C.CONFLICT,
        "CorruptGridFile": C.DEPENDENCY,
    }
)
