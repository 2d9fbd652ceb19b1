"""aiomysql: errors of the server are pymysql's; these are of its pool and its SQLAlchemy-like part.

aiomysql imports PyMySQL's error classes, so refused connections, deadlocks and timeouts are known from the table
`pymysql`. Its part that looks like SQLAlchemy has four classes of its own, and each means a wrong use of a connection
or a row. They are INTERNAL and are never retried.
"""

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
