"""Codes that servers send for each leaf: HTTP statuses, SQLSTATEs, gRPC statuses, AWS codes, MySQL's and MongoDB's.

Each list has the typical code of a leaf first. What a code means is not written here: the classifier's own tables say
it, and so a code follows its leaf where a table changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from resilience.categories import ErrorCategory
from resilience.classification.aws_code import category_of_aws
from resilience.classification.clients._mysql import MYSQL_ERRORS
from resilience.classification.grpc_status import GRPC_STATUS
from resilience.classification.http_status import category_of_status
from resilience.classification.sqlstate import category_of_sqlstate

__all__ = ["AWS", "GRPC", "HTTP", "MYSQL", "SQLSTATE"]

C = TypeVar("C", int, str)

_STATUSES = (504, 503, 500, 429, 401, 403, 404, 409, 422, 501, 507, 499, 424)
_SQLSTATES = ("57014", "08006", "57P03", "XX000", "28P01", "42501", "22P02", "P0002", "23505", "3D000", "53300")
_SQLSTATES_OF_OTHERS = ("HV000", "42P01")
_AWS_CODES = (
    "RequestTimeout",
    "ThrottlingException",
    "ServiceUnavailable",
    "InternalFailure",
    "ExpiredToken",
    "AccessDenied",
    "ResourceNotFoundException",
    "ConflictException",
    "ValidationException",
    "UnknownOperationException",
    "ServiceQuotaExceeded",
    "DependencyFailedException",
    "BadDigest",
)
_MYSQL_ERRORS = (2013, 3024, 1053, 1040, 1045, 1142, 1049, 1062, 1366, 1064)


def _by_leaf(codes: Iterable[C], meaning: Callable[[C], ErrorCategory]) -> dict[ErrorCategory, C]:
    """Return for each leaf the first of the *codes* that means it."""
    found: dict[ErrorCategory, C] = {}
    for code in codes:
        found.setdefault(meaning(code), code)
    return found


HTTP = _by_leaf(_STATUSES, category_of_status)
"""HTTP statuses by leaf."""
SQLSTATE = _by_leaf((*_SQLSTATES, *_SQLSTATES_OF_OTHERS), category_of_sqlstate)
"""SQLSTATEs by leaf."""
GRPC = _by_leaf(GRPC_STATUS, GRPC_STATUS.__getitem__)
"""The names of gRPC statuses by leaf."""
AWS = _by_leaf(_AWS_CODES, category_of_aws)
"""Error codes of AWS by leaf."""
MYSQL = _by_leaf(_MYSQL_ERRORS, MYSQL_ERRORS.__getitem__)
"""Error numbers of MySQL by leaf."""
