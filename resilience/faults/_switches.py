"""Switches of chaos that are asked at each call: a flag of OpenFeature, and a header of the request that is served.

A switch is a function without arguments that says whether chaos is on, as ``enabled=`` takes it. `served_headers` puts
the headers of a request in force; the middlewares of `resilience.integrations.chaos` do so.
"""

from __future__ import annotations

import functools
import hmac
import importlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from resilience._validation import require, require_bool

__all__ = ["FlagClient", "flag", "header", "served_headers"]

_headers: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("resilience.chaos_headers", default=())


class FlagClient(Protocol):
    """A client of OpenFeature, or of anything that has its method for flags that are on or off."""

    def get_boolean_value(self, flag_key: str, default_value: bool) -> bool:
        """Return the value of a flag."""
        ...


def flag(key: str, client: FlagClient | None = None, *, default: bool = False) -> Callable[[], bool]:
    """Return the switch of a feature flag: on while the flag *key* is.

    *client* is one of OpenFeature; unless given, that of ``openfeature.api``, which is imported at the first call.
    *default* is the answer where the flag is not known, or its provider fails.

    Raises TypeError or ValueError for an invalid *key* or *default*.

    >>> class Flags:
    ...     def get_boolean_value(self, flag_key: str, default_value: bool) -> bool:
    ...         return flag_key == "chaos.payments"
    >>> flag("chaos.payments", Flags())(), flag("chaos.search", Flags())()
    (True, False)
    """
    require(isinstance(key, str), "key", key, "the key of a flag, such as 'chaos.payments'", TypeError)
    require(bool(key), "key", key, "the key of a flag, such as 'chaos.payments'")
    require_bool("default", default)

    def is_on() -> bool:
        return (client or _openfeature()).get_boolean_value(key, default)

    return is_on


@functools.cache
def _openfeature() -> FlagClient:
    """Return the client of OpenFeature, an optional library, for the provider that the program has set."""
    found: FlagClient = importlib.import_module("openfeature.api").get_client()
    return found


def header(name: str, value: str) -> Callable[[], bool]:
    """Return the switch of a request's header: on while a request is served whose header *name* is *value*.

    A client that sends the header switches chaos on: let *value* be a secret, which is compared in constant time, or
    have the proxy in front drop the header.

    Raises TypeError or ValueError for an empty *name* or *value*.

    >>> switch = header("x-chaos", "a1b2")
    >>> with served_headers([("X-Chaos", "a1b2")]):
    ...     switch()
    True
    >>> switch()
    False
    """
    for parameter, text in (("name", name), ("value", value)):
        require(isinstance(text, str), parameter, text, "text, such as header('x-chaos', 'a1b2')", TypeError)
        require(bool(text), parameter, "", "text, such as header('x-chaos', 'a1b2')")
    wanted, secret = name.lower(), value.encode()

    def is_on() -> bool:
        return any(
            key == wanted and hmac.compare_digest(found.encode("utf-8", "replace"), secret)
            for key, found in _headers.get()
        )

    return is_on


@contextmanager
def served_headers(headers: Iterable[tuple[str, str]]) -> Generator[None]:
    """Put the *headers* of a request in force in a ``with`` block, for the code that serves it, and tasks it starts.

    Names are compared without case. The block may end in another context than it began in.

    >>> with served_headers([("x-chaos", "a1b2")]):
    ...     header("X-Chaos", "a1b2")()
    True
    """
    before = _headers.get()
    _headers.set(tuple([(name.lower(), value) for name, value in headers]))
    try:
        yield
    finally:
        _headers.set(before)
