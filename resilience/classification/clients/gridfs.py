"""gridfs, which comes with PyMongo: files stored in chunks.

Failures of the database itself are PyMongo's.

A `GridFSError` is a `PyMongoError`. A `CorruptGridFile` is a file with a missing or extra chunk: the stored data is
damaged, and reading it again does not repair it.
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
