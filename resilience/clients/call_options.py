"""The options of one call: what the caller of a protected client says about a single request.

They travel by the client's own channel: with httpx by ``extensions={"resilience": {...}}``. A client without one, such
as requests, takes those of the block around the call (`request_options`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Final, NamedTuple, TypedDict, cast

from resilience._validation import optional, parse_duration, require, require_bool, require_known_names

__all__ = ["NAME", "CallOptions", "ParsedOptions", "parse_options", "request_options"]

NAME: Final = "resilience"
"""The name under which a client's channel carries them."""


class CallOptions(TypedDict, total=False):
    """The options of a single call, each of which may be left out."""

    deadline: float | timedelta
    """Seconds for this call with its redirects and retries; an earlier deadline around it holds as well."""
    idempotent: bool
    """Whether this call may happen twice: True lets a POST be repeated, False keeps a GET from being repeated."""


class ParsedOptions(NamedTuple):
    """The options of a single call, checked."""

    deadline: float | None = None
    idempotent: bool | None = None
    enabled: bool = True


_DEFAULTS: Final = ParsedOptions()
_DISABLED: Final = ParsedOptions(enabled=False)
_of_block: ContextVar[ParsedOptions] = ContextVar("resilience.clients.request_options", default=_DEFAULTS)


def parse_options(given: object) -> ParsedOptions:
    """Return the options that a caller has *given*: a mapping, None, or False for a call without any policy.

    An option that is not given is that of the block around the call, see `request_options`. Raises TypeError or
    ValueError for anything else, and for an option that there is not.

    >>> parse_options({"deadline": 2, "idempotent": True})
    ParsedOptions(deadline=2.0, idempotent=True, enabled=True)
    >>> parse_options({"deadlin": 2})
    Traceback (most recent call last):
    ...
    TypeError: resilience() got an unexpected keyword argument 'deadlin'; did you mean 'deadline'?
    """
    block = _of_block.get()
    if given is None:
        return block
    if given is False:
        return _DISABLED
    expected = "a mapping such as {'deadline': 2.0, 'idempotent': True}, or False for a call without policies"
    require(isinstance(given, Mapping), NAME, given, expected, TypeError)
    options = cast("Mapping[str, object]", given)
    require_known_names(NAME, options, CallOptions.__annotations__)
    deadline = optional(parse_duration, "deadline", options.get("deadline", block.deadline))
    idempotent = optional(require_bool, "idempotent", options.get("idempotent", block.idempotent))
    return ParsedOptions(deadline, idempotent)


@contextmanager
def request_options(
    *, deadline: float | timedelta | None = None, idempotent: bool | None = None, enabled: bool = True
) -> Generator[None]:
    """Give the calls of protected clients in a block options of their own.

    For clients that have no channel of their own for them, and for calls that a library makes. The block may be within
    an async function; tasks and threads that copy its context inherit the options. A nested block replaces all options
    of the enclosing one: what it does not give is the default. The options that a call carries come before the block's.

    Args:
        deadline: seconds for each call with its redirects and retries.
        idempotent: whether the calls may happen twice: True lets a POST be repeated.
        enabled: False makes the calls without any policy.

    >>> import requests
    >>> from resilience.clients import protect, request_options
    >>> session = protect(requests.Session())
    >>> with request_options(deadline=0.5, idempotent=True):
    ...     found = session.post("http://search.example/query", json={"text": "lamp"})  # doctest: +SKIP
    """
    seconds = optional(parse_duration, "deadline", deadline)
    options = ParsedOptions(seconds, optional(require_bool, "idempotent", idempotent), require_bool("enabled", enabled))
    token = _of_block.set(options)
    try:
        yield
    finally:
        _of_block.reset(token)
