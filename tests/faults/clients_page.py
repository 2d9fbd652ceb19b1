"""Table of `docs/reference/chaos.md`, by injecting: ``uv run --group libraries python -m tests.faults.clients_page``.

`MODULES` has the libraries whose exceptions are injected in the tests, and `OWN_LEAVES` the leaves for which each has
exceptions of its own.
"""

from __future__ import annotations

import importlib
import pathlib
import re
import warnings
from collections.abc import Iterator

from resilience.categories import ErrorCategory
from resilience.faults import error_for

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "chaos.md"
BETWEEN = re.compile(
    r"(<!-- begin: written by `uv run --group libraries python -m tests\.faults\.clients_page` -->\n).*?(<!-- end -->)",
    re.DOTALL,
)

MODULES = {
    "aio_pika": "aio_pika",
    "aiohttp": "aiohttp",
    "aiomysql": "aiomysql",
    "aiosmtplib": "aiosmtplib",
    "anthropic": "anthropic",
    "asyncpg": "asyncpg",
    "azure": "azure.core.exceptions",
    "boto3": "boto3",
    "botocore": "botocore.exceptions",
    "clickhouse_connect": "clickhouse_connect",
    "elasticsearch": "elasticsearch",
    "google": "google.api_core.exceptions",
    "groq": "groq",
    "grpc": "grpc",
    "httplib2": "httplib2",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "kafka": "kafka",
    "neo4j": "neo4j",
    "openai": "openai",
    "pika": "pika",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "pymemcache": "pymemcache",
    "pymongo": "pymongo",
    "pymysql": "pymysql",
    "qdrant_client": "qdrant_client",
    "redis": "redis",
    "requests": "requests",
    "slack_sdk": "slack_sdk",
    "sqlalchemy": "sqlalchemy",
    "sqlite3": "sqlite3",
    "stripe": "stripe",
    "urllib3": "urllib3",
    "websockets": "websockets",
}
"""Libraries, and the module of each by which it is seen to be installed."""

_C = ErrorCategory
_ANSWERED = (
    _C.TIMEOUT | _C.UNAVAILABLE | _C.AUTHENTICATION | _C.AUTHORIZATION | _C.VALIDATION | _C.CONFLICT | _C.CONFIGURATION
)
_BY_STATUS = _ANSWERED | _C.RATE_LIMIT | _C.SERVER_ERROR | _C.NOT_FOUND
_OF_DATABASES = _ANSWERED | _C.NETWORK | _C.SERVER_ERROR | _C.CAPACITY | _C.NOT_FOUND | _C.INTERNAL

OWN_LEAVES = {
    "aiohttp": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "anthropic": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "asyncpg": _OF_DATABASES,
    "azure": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "boto3": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "botocore": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "elasticsearch": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "google": _BY_STATUS | _C.CAPACITY,
    "groq": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "grpc": _BY_STATUS | _C.CANCELLED,
    "httpx": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "httpx2": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "kafka": _C.TIMEOUT | _C.NETWORK | _C.RATE_LIMIT | _C.DEPENDENCY,
    "neo4j": _C.TIMEOUT | _C.NETWORK | _C.UNAVAILABLE | _C.SERVER_ERROR,
    "openai": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "pika": _C.TIMEOUT | _C.NETWORK | _C.UNAVAILABLE,
    "psycopg": _OF_DATABASES,
    "psycopg2": _OF_DATABASES,
    "pymongo": _ANSWERED | _C.NETWORK | _C.RATE_LIMIT,
    "pymysql": _ANSWERED | _C.NETWORK | _C.CAPACITY | _C.INTERNAL,
    "redis": _ANSWERED | _C.NETWORK | _C.CAPACITY,
    "requests": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "slack_sdk": _BY_STATUS | _C.NETWORK,
    "sqlalchemy": _C.TIMEOUT | _C.UNKNOWN,
    "stripe": _BY_STATUS | _C.NETWORK | _C.CAPACITY,
    "urllib3": _C.TIMEOUT | _C.NETWORK | _C.SERVER_ERROR | _C.DEPENDENCY,
}
"""The leaves for which a library raises exceptions of its own, whatever else is installed."""

_SHOWN = (_C.TIMEOUT, _C.NETWORK, _C.RATE_LIMIT, _C.UNAVAILABLE, _C.SERVER_ERROR, _C.AUTHENTICATION, _C.NOT_FOUND)


def table() -> Iterator[str]:
    """The rows of the table: for each library the exceptions of the leaves that are injected most."""
    yield f"| library | {' | '.join(leaf.label for leaf in _SHOWN)} |"
    yield f"|---{'|---' * len(_SHOWN)}|"
    for library, module in MODULES.items():
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module(module)
        yield f"| `{library}` | {' | '.join(f'`{type(error_for(leaf, library)).__name__}`' for leaf in _SHOWN)} |"


def page() -> str:
    """The text of the page with its table written anew."""
    rows = "\n".join(table())
    text, found = BETWEEN.subn(lambda match: f"{match[1]}{rows}\n{match[2]}", PAGE.read_text("utf-8"))
    assert found == 1, "the page has no place for its table"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
