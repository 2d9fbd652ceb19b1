"""`error_for`: a real exception of a client library, of the category that is asked for."""

from __future__ import annotations

from resilience._validation import require
from resilience.categories import CategoryLike, combine
from resilience.faults._errors.detection import client_of_object
from resilience.faults._errors.factory import error_for as _error_for

__all__ = ["error_for", "parse_client"]


def error_for(category: CategoryLike, client: object = None) -> Exception:
    """Return a new exception that `classify` takes for *category*, one leaf: of the *client*'s library, if it has one.

    For tests of code that handles a client's exceptions, and as the ``side_effect`` of a mock. *client* is the name of
    a library, or a client, class or module of it. Where the library raises nothing of that leaf it is an exception of
    Python's own, or a `ResilienceError`.

    Raises TypeError or ValueError for what is not one leaf, and for an unknown client.

    >>> error_for("timeout", "httpx")
    ReadTimeout('injected by chaos')
    >>> error_for("rate_limit", "requests").response.status_code
    429
    """
    leaf = combine("category", [category])
    require(leaf.is_leaf, "category", category, f"one leaf, such as {next(iter(leaf)).label!r}")
    return _error_for(leaf, parse_client(client))


def parse_client(client: object) -> str | None:
    """Return the name of a library, given by it or as a client, a class or a module of it.

    >>> import requests
    >>> parse_client(requests.Session()), parse_client("httpx"), parse_client(None)
    ('requests', 'httpx', None)
    """
    if client is None or isinstance(client, str):
        require(client != "", "client", client, "the name of a library, such as 'httpx', or a client")
        return client
    found = client_of_object(client)
    require(found is not None, "client", client, "a client of a library that is known, or its name, such as 'httpx'")
    return found
