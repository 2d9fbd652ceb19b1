"""Rows for the exception classes of PEP 249, which every SQL driver has.

The number or SQLSTATE that a driver gives says more than the class, which is coarse: an OperationalError may be a
refused connection, a deadlock or a full disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resilience.categories import ErrorCategory as C
from resilience.classification.library import CategoryRow
from resilience.classification.match import Match
from resilience.classification.tables import response_or

__all__ = ["dbapi_classes"]


def dbapi_classes(
    read: Callable[[BaseException], Match | C | None], *, operational: CategoryRow, interface: CategoryRow = C.INTERNAL
) -> Mapping[str, CategoryRow]:
    """Return the rows of the classes that PEP 249 names: what *read* finds, else what the class says.

    *operational* is what an `OperationalError` means of which no more is known, *interface* the same for an
    `InterfaceError`.

    >>> rows = dbapi_classes(lambda exc: None, operational=C.NETWORK)
    >>> rows["IntegrityError"](Exception()).label
    'conflict'
    """
    defaults: dict[str, CategoryRow] = {
        "Error": C.UNKNOWN,
        "DatabaseError": C.UNKNOWN,
        "OperationalError": operational,
        "InterfaceError": interface,
        "IntegrityError": C.CONFLICT,
        "DataError": C.VALIDATION,
        "ProgrammingError": C.INTERNAL,
        "InternalError": C.SERVER_ERROR,
        "NotSupportedError": C.CONFIGURATION,
    }
    return {name: response_or(read, default) for name, default in defaults.items()}
