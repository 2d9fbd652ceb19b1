"""gridfs, which comes with PyMongo: files stored in chunks.

Failures of the database itself are PyMongo's.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        "GridFSError": C.UNKNOWN,
        "NoFile": C.NOT_FOUND,
        "FileExists": C.CONFLICT,
        "CorruptGridFile": C.DEPENDENCY,
    }
)
