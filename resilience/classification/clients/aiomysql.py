"""aiomysql: errors of the server are pymysql's; these are of its pool and its SQLAlchemy-like part."""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        **classes(C.INTERNAL, "ArgumentError InvalidRequestError ResourceClosedError NoSuchColumnError"),
    },
    sends_once=True,
)
