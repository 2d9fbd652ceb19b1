"""Classify a failure that is only named: ``httpx.ReadTimeout``, ``status 503``, ``SQLITE_BUSY``, ``connection``.

For the command line, and for configuring a retry without the exception at hand. Nothing of a client library is
imported: a class is looked up by its name in the tables, and one whose answer depends on what it carries is explained
as if it carried nothing. A name that is not known is answered with near matches.
"""

from __future__ import annotations

import builtins
import errno
import os
from collections.abc import Callable, Iterable

from resilience.categories import ErrorCategory
from resilience.classification._code_words import CODE_WORDS, NOTATIONS, explain_code, explain_sqlite_text
from resilience.classification.classifier import Explanation, explain
from resilience.classification.grpc_status import GRPC_STATUS
from resilience.classification.http_status import category_of_status
from resilience.classification.libraries import known_libraries, library_named
from resilience.classification.match import Match
from resilience.classification.sqlstate import category_of_sqlstate, is_sqlstate, named_sqlstate

__all__ = ["explain_text"]

ALONE = "what a real one carries may tell more"
"""The end of the reason where a class is explained that has no category of its own."""

_ACCEPTED = (
    "give an exception such as httpx.ReadTimeout or TimeoutError, 'status 503', 'grpc UNAVAILABLE', "
    "'sqlstate 40001' or 'errno ECONNRESET'"
)
_STATUSES = frozenset(map(str, range(100, 600)))
# Other names of Python's own classes.
_ALIASES = {
    "asyncio.TimeoutError": "TimeoutError",
    "asyncio.exceptions.TimeoutError": "TimeoutError",
    "concurrent.futures.TimeoutError": "TimeoutError",
    "socket.timeout": "TimeoutError",
    "socket.error": "OSError",
    "select.error": "OSError",
    "ssl.CertificateError": "ssl.SSLCertVerificationError",
}


def explain_text(text: str) -> Explanation:
    """Explain a failure that is only named: an exception class, a status of HTTP or gRPC, an errno, a database's code.

    Imports no client library: a class is looked up by name in the tables, and one whose answer depends on what it
    carries is explained as if it carried nothing. Raises ValueError for a name that is not known, with near matches,
    and for a bare class name that means different things in different libraries, with all of them.

    >>> print(explain_text("httpx.ReadTimeout"))
    timeout (client: httpx.ReadTimeout is timeout); recovery: retry
    >>> explain_text("http 503").category.label
    'unavailable'
    """
    if not isinstance(text, str):
        raise TypeError(f"text={text!r}: {_ACCEPTED}")
    words = text.split()
    if len(words) == 2 and words[0].lower() in _CODES:
        return _CODES[words[0].lower()](words[1])
    found = _in_words(" ".join(words))
    if found is not None:
        return found
    if len(words) != 1:
        raise ValueError(f"text={text!r}: {_ACCEPTED}")
    if words[0].isdigit():
        return explain_code(words[0]) or _http(words[0])
    name = _ALIASES.get(words[0], words[0]).removeprefix("builtins.")
    return _builtin(name) or _in_tables(name)


# -- words -------------------------------------------------------------------------------------------------------------


def _in_words(text: str) -> Explanation | None:
    """Explain what is said without a class: a category, an error of the system by its name or text, "connection".

    A word stands for Python's own class of that name, as "connection" does for `ConnectionError`.
    """
    word = text.lower()
    if word.replace(" ", "_") in _LABELS:
        category = ErrorCategory(word.replace(" ", "_"))
        return Explanation(category, "declared", f"{category.label} is a category itself")
    for number, name in errno.errorcode.items():
        if text.upper().removeprefix("WSA") == name or word == os.strerror(number).lower():
            return _errno(name)
    kind = _BY_WORD.get(word)
    return _builtin(kind) if kind else explain_sqlite_text(text)


_LABELS = frozenset(category.label for category in ErrorCategory)
_BY_WORD = {name.removesuffix("Error").lower(): name for name in dir(builtins) if name.endswith("Error")}


# -- codes -------------------------------------------------------------------------------------------------------------


def _http(word: str) -> Explanation:
    if word not in _STATUSES:
        others = [f"{system} {word}" for system, explain_number in NOTATIONS.items() if explain_number(word)]
        hint = f"; did you mean {' or '.join(map(repr, others))}?" if others else ""
        raise ValueError(f"status {word!r}: give an HTTP status, 100 to 599{hint}")
    return Explanation(category_of_status(int(word)), "structure", f"status {word}")


def _grpc(word: str) -> Explanation:
    if word.upper() not in GRPC_STATUS:
        raise ValueError(f"grpc {word!r}: give the name of a gRPC status; {_near(word.upper(), GRPC_STATUS)}")
    return Explanation(GRPC_STATUS[word.upper()], "structure", f"gRPC status {word.upper()}")


def _sqlstate(word: str) -> Explanation:
    if not is_sqlstate(word.upper()):
        raise ValueError(f"sqlstate {word!r}: give five letters or digits, such as 40001")
    return Explanation(category_of_sqlstate(word.upper()), "structure", named_sqlstate(word.upper()))


def _errno(word: str) -> Explanation:
    """Explain an error of the operating system, given by its number or by its name, which differ between systems."""
    numbers = {name: number for number, name in errno.errorcode.items()}
    known = {**numbers, **{str(number): number for number in errno.errorcode}}
    if word.upper() not in known:
        raise ValueError(f"errno {word!r}: give an error of the operating system; {_near(word.upper(), numbers)}")
    # Making the exception lets Python choose the class, as it does for real ones.
    return explain(OSError(known[word.upper()], ""))


def _of_system(system: str) -> Callable[[str], Explanation]:
    """Return what explains a code of *system*, as ``mysql 1213`` gives it."""

    def explain_word(word: str) -> Explanation:
        found = NOTATIONS[system](word)
        if found is None:
            raise ValueError(f"{system} {word!r}: this code is not known; {_near(word, CODE_WORDS)}{_ACCEPTED}")
        return found

    return explain_word


_CODES: dict[str, Callable[[str], Explanation]] = {
    **{system: _of_system(system) for system in NOTATIONS},
    "status": _http,
    "http": _http,
    "grpc": _grpc,
    "sqlstate": _sqlstate,
    "errno": _errno,
}


# -- classes -----------------------------------------------------------------------------------------------------------


def _builtin(name: str) -> Explanation | None:
    """Explain one of Python's own exception classes, without calling its constructor, which may want arguments."""
    kind: object = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    if issubclass(kind, BaseExceptionGroup):
        return Explanation(ErrorCategory.UNKNOWN, "group", f"the members of {name} decide")
    return explain(kind.__new__(kind))


def _in_tables(name: str) -> Explanation:
    """Explain a class of a client library, named with its library or alone."""
    library, _, rest = name.partition(".")
    return _qualified(library, rest) if rest else _bare(name)


def _qualified(library: str, name: str) -> Explanation:
    """Explain a class by its library and its name, which may begin with the module it is in or imported from.

    The module between is not compared: ``requests.ConnectionError`` is ``requests.exceptions.ConnectionError``.
    """
    rows = library_named(library).categories
    parts = name.split(".")
    for start in range(len(parts)):
        known = ".".join(parts[start:])
        if known in rows:
            return _of_row(library, known)
    condition = explain_code(parts[-1]) if library in _NAMED_BY_CONDITION else None
    if condition is not None:
        return condition
    others = [f"{library}.{known}" for known in rows] or [f"{other}.{parts[-1]}" for other in _homes(parts[-1])]
    raise _unknown(f"{library}.{name}", others or known_libraries(), library)


def _bare(name: str) -> Explanation:
    """Explain a class by its name alone, where all libraries that have one of that name agree on it."""
    found = {library: _of_row(library, name) for library in _homes(name)}
    categories = {explanation.category for explanation in found.values()}
    code = explain_code(name) if not found else None
    if code is not None:
        return code
    if not found:
        names = [known for library in known_libraries() for known in library_named(library).categories]
        raise _unknown(name, [*_EXCEPTIONS, *names, *CODE_WORDS], name)
    if len(categories) > 1:
        places = ", ".join(f"{library}.{name} ({found[library].category.label})" for library in found)
        raise ValueError(f"text={name!r} means different things: {places}; name the library too")
    if len(found) == 1:
        return next(iter(found.values()))
    return Explanation(categories.pop(), "client", f"the tables of {', '.join(found)} agree on {name}")


def _homes(name: str) -> list[str]:
    """Return the libraries that have a class of this name."""
    return [library for library in known_libraries() if name in library_named(library).categories]


def _of_row(library: str, name: str) -> Explanation:
    """Explain a row of a table; a function of the exception is asked about one that carries nothing."""
    row = library_named(library).categories[name]
    if isinstance(row, ErrorCategory):
        return Explanation(row, "client", f"{library}.{name} is {row.label}")
    answer = row(Exception()) or ErrorCategory.UNKNOWN
    category = answer.category if isinstance(answer, Match) else answer
    return Explanation(category, "client", f"{library}.{name} alone is {category.label}; {ALONE}")


_NAMED_BY_CONDITION = ("psycopg", "psycopg2", "asyncpg")
"""Libraries with a class for each SQLSTATE, called by the name of its condition."""
_EXCEPTIONS = [
    name for name in dir(builtins) if name.endswith(("Error", "Exception", "Interrupt", "Group", "Iteration"))
]


# -- messages ----------------------------------------------------------------------------------------------------------


def _unknown(name: str, known: list[str], library: str) -> ValueError:
    near = _near(name, known)
    if library in known_libraries() and (name == library or not near):
        classes = list(library_named(library).categories)[:3]
        near = f"of {library} there is {', '.join(f'{library}.{one}' for one in classes)} and so on; "
    return ValueError(f"text={name!r} is not known; {near}{_ACCEPTED}")


def _near(word: str, known: Iterable[str]) -> str:
    """Return a question for what is near, whatever its capitals; a name that contains the word is near as well."""
    import difflib

    names = {name.lower(): name for name in reversed(list(known))}
    near = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.6)
    near += [name for name in names if word.lower() in name and name not in near]
    return f"did you mean {' or '.join(names[name] for name in near[:3])}? " if near else ""
