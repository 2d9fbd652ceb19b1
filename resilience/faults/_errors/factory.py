"""The factory of exceptions: one that is classified as the leaf that is asked for, of the library that is called.

The sources are asked in order: what is known of the library, its table, Python itself, and in the end an error that
declares its category. Each exception is classified before it is handed out, so that the answer is right whatever a
version of the library, a registration of the program or an override has changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from resilience._injected import mark_injected
from resilience.categories import ErrorCategory
from resilience.classification.classifier import classify
from resilience.faults._errors import databases, http, models, services
from resilience.faults._errors.python import by_python, declared
from resilience.faults._errors.source import Source
from resilience.faults._errors.tables import by_table

__all__ = ["error_for", "known_clients"]

_SOURCES: Mapping[str, Source] = {
    "aiobotocore": services.botocore,
    "aiohttp": http.aiohttp,
    "aiomysql": databases.pymysql,
    "anthropic": models.stainless,
    "asyncpg": databases.asyncpg,
    "azure": services.azure,
    "boto3": services.botocore,
    "botocore": services.botocore,
    "elasticsearch": services.elastic,
    "google": services.google,
    "groq": models.stainless,
    "grpc": services.grpc,
    "httplib2": http.httplib2,
    "httpx": http.httpx,
    "httpx2": http.httpx,
    "openai": models.stainless,
    "psycopg": databases.psycopg,
    "psycopg2": databases.psycopg2,
    "pymongo": databases.pymongo,
    "pymysql": databases.pymysql,
    "requests": http.requests,
    "slack_sdk": services.slack,
    "sqlalchemy": databases.sqlalchemy,
    "sqlite3": databases.sqlite3,
    "stripe": services.stripe,
    "urllib3": http.urllib3,
}
"""What is known of libraries beyond their tables, by the names of their top-level modules."""

_NOTE = "resilience: injected by chaos; the call was not made"


def known_clients() -> frozenset[str]:
    """Return the libraries whose exceptions are made by more than their table."""
    return frozenset(_SOURCES)


def error_for(leaf: ErrorCategory, library: str | None = None) -> Exception:
    """Return a new exception that is classified as *leaf*: of *library* where that has one, else of Python or ours.

    >>> error_for(ErrorCategory.TIMEOUT, "httpx")
    ReadTimeout('injected by chaos')
    >>> error_for(ErrorCategory.IMPORT, "httpx")
    ImportError('injected by chaos')
    """
    for error in _candidates(leaf, library):
        if classify(error) is leaf:
            break
    else:  # a registration of the program has another meaning for each of them
        error = next(declared(leaf, ""))
    mark_injected(error)
    error.add_note(_NOTE)
    return error


def _candidates(leaf: ErrorCategory, library: str | None) -> Iterator[Exception]:
    if library is not None:
        if library in _SOURCES:
            yield from _guarded(_SOURCES[library], leaf, library)
        yield from _guarded(by_table, leaf, library)
    yield from by_python(leaf, "")
    yield from declared(leaf, "")


def _guarded(source: Source, leaf: ErrorCategory, library: str) -> Iterator[Exception]:
    """Yield what a source does, until it fails: a later version of the library may want other arguments."""
    with contextlib.suppress(Exception):
        yield from source(leaf, library)
