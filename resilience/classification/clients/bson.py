"""bson, which comes with PyMongo: a document that cannot be encoded or decoded.

The data is at fault, so the same document fails again.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary({"BSONError": C.VALIDATION})
