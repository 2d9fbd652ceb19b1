"""Functions that make the rows of a `ClientLibrary`, for the files in `clients` and for those of other distributions.

A row is a category, or a function of the exception that returns one, or None where it cannot tell. The functions here
return such functions. Beside them, `by_status`, `by_grpc`, `by_sqlstate` and `by_aws` of
`resilience.classification._attributes` are rows as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from resilience._safe_access import as_int, int_attribute, qualified_name, safe_getattr
from resilience.categories import ErrorCategory
from resilience.classification._tls import SEARCHED
from resilience.classification.classifier import category_of_part, classify
from resilience.classification.library import CategoryRow
from resilience.classification.match import Match

__all__ = [
    "by_code",
    "classes",
    "first_argument",
    "lookup",
    "only_itself",
    "response_or",
    "wrapped_category",
    "wrapped_or",
]

T = TypeVar("T")


def classes(row: T, names: str) -> dict[str, T]:
    """Return the same row for several classes, written as words.

    >>> classes(ErrorCategory.TIMEOUT, "ConnectTimeout ReadTimeout")["ReadTimeout"].label
    'timeout'
    """
    return dict.fromkeys(names.split(), row)


def first_argument(exc: BaseException) -> object:
    """Return the first of the arguments that an exception was made with, or None."""
    args = safe_getattr(exc, "args")
    return next(iter(cast("tuple[object, ...]", args)), None) if type(args) is tuple else None


def wrapped_category(exc: BaseException, *names: str) -> ErrorCategory | None:
    """Return the category of the exception that *exc* wraps in one of its attributes, or in its first argument.

    None where it wraps none, or none whose category is known.
    """
    for name in (*names, "args"):
        part = first_argument(exc) if name == "args" else safe_getattr(exc, name)
        if issubclass(type(part), BaseException) and part is not exc:
            read = category_of_part if name in SEARCHED else classify
            category = read(cast("BaseException", part))
            if category is not ErrorCategory.UNKNOWN:
                return category
    return None


def wrapped_or(default: ErrorCategory, *names: str) -> CategoryRow:
    """Return a row: the category of the wrapped exception, looked up as `wrapped_category` does, else *default*.

    >>> read = wrapped_or(ErrorCategory.NETWORK, "reason")
    >>> read(Exception(TimeoutError())).label, read(Exception("text")).label
    ('timeout', 'network')
    """
    return lambda exc: wrapped_category(exc, *names) or default


def response_or(read: Callable[[BaseException], Match | ErrorCategory | None], default: CategoryRow) -> CategoryRow:
    """Return a row: what *read* finds in the server's response, else *default*, which may be a row itself.

    >>> from resilience.classification._attributes import by_sqlstate
    >>> response_or(by_sqlstate, ErrorCategory.NETWORK)(Exception()).label
    'network'
    """
    if isinstance(default, ErrorCategory):
        return lambda exc: read(exc) or default
    return lambda exc: read(exc) or default(exc)


def lookup(table: Mapping[int, ErrorCategory], found: int | None, what: str) -> Match | None:
    """Return the category of a code of the library's protocol, described as *what* and the code."""
    if found is None or found not in table:
        return None
    return Match(table[found], f"{what} {found}")


def by_code(
    table: Mapping[int, ErrorCategory], what: str, name: str | None = None
) -> Callable[[BaseException], Match | None]:
    """Return a row for errors that carry a code: in the attribute *name*, or in the first argument where it is None.

    *what* describes the code to people.

    >>> read = by_code({7: ErrorCategory.CAPACITY}, "AcmeDB error")
    >>> read(Exception(7, "disk full")).why
    'AcmeDB error 7'
    """
    if name is None:
        return lambda exc: lookup(table, as_int(first_argument(exc)), what)
    return lambda exc: lookup(table, int_attribute(exc, name), what)


def only_itself(category: ErrorCategory, name: str) -> CategoryRow:
    """Return a row that holds for one class and not for its subclasses: *name* is ``library.Class``."""
    return lambda exc: category if ".".join(qualified_name(type(exc))) == name else None
