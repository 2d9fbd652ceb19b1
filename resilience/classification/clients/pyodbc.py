"""pyodbc: the SQLSTATE decides, which is the first argument, then the class.

Drivers for SQL Server report most failures as ``HY000``, a SQLSTATE that says nothing; then the class decides. 08001 is
a connection that was not made, 08S01 one that broke.

pyodbc has the classes of PEP 249 and passes the SQLSTATE and the text of the ODBC driver through. `IM002`, a data
source that does not exist, is an `InterfaceError` and so CONFIGURATION. The native number is only in the text, which
is not read.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification._attributes import by_sqlstate
from resilience.classification.clients._dbapi import dbapi_classes
from resilience.classification.library import ClientLibrary

LIBRARY = ClientLibrary(
    {
        **dbapi_classes(by_sqlstate, operational=C.DEPENDENCY, interface=C.CONFIGURATION),
        "Warning": C.INTERNAL,
    },
    sends_once=True,
)
