"""bson, which comes with PyMongo: a document that cannot be encoded or decoded.

The data is at fault, so the same document fails again.

`InvalidDocument`, `InvalidBSON`, `InvalidStringData` and `InvalidId` derive from `BSONError`, and all of them are
raised in the client, before a command is sent or after a reply has come.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"BSONError": C.VALIDATION})
