"""peewee: the exception of the driver decides, which is the cause and the first argument.

peewee translates the driver's exception by the name of its class and passes its arguments on, so psycopg2's, PyMySQL's
and sqlite3's tables do the work. `DoesNotExist` is the base of one class for each model. The mapping keeps no more of
the driver than cause and arguments; without a known driver the DB-API class answers.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import CategoryRow, ClientLibrary
from resilience.classification.tables import wrapped_or


def _driver_or(default: C) -> CategoryRow:
    return wrapped_or(default, "__cause__", "__context__")


LIBRARY = ClientLibrary(
    {
        "PeeweeException": C.UNKNOWN,
        "DatabaseError": _driver_or(C.UNKNOWN),
        "OperationalError": _driver_or(C.DEPENDENCY),
        "InterfaceError": _driver_or(C.INTERNAL),
        "InternalError": _driver_or(C.SERVER_ERROR),
        "IntegrityError": _driver_or(C.CONFLICT),
        "DataError": _driver_or(C.VALIDATION),
        "ProgrammingError": _driver_or(C.INTERNAL),
        "NotSupportedError": _driver_or(C.CONFIGURATION),
        "DoesNotExist": C.NOT_FOUND,
        "ImproperlyConfigured": C.CONFIGURATION,
        "Insert.DefaultValuesException": C.VALIDATION,
    },
    sends_once=True,
)
