"""The options of one call: what the caller of a protected client says about a single request.

They travel by the client's own channel: with httpx by ``extensions={"resilience": {...}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple, TypedDict, cast

from resilience._validation import optional, parse_duration, require, require_bool, require_known_names

__all__ = ["NAME", "CallOptions", "ParsedOptions", "parse_options"]

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


def parse_options(given: object) -> ParsedOptions:
    """Return the options that a caller has *given*: a mapping, None, or False for a call without any policy.

    Raises TypeError or ValueError for anything else, and for an option that there is not.

    >>> parse_options({"deadline": 2, "idempotent": True})
    ParsedOptions(deadline=2.0, idempotent=True, enabled=True)
    >>> parse_options({"deadlin": 2})
    Traceback (most recent call last):
    ...
    TypeError: resilience() got an unexpected keyword argument 'deadlin'; did you mean 'deadline'?
    """
    if given is None:
        return _DEFAULTS
    if given is False:
        return _DISABLED
    expected = "a mapping such as {'deadline': 2.0, 'idempotent': True}, or False for a call without policies"
    require(isinstance(given, Mapping), NAME, given, expected, TypeError)
    options = cast("Mapping[str, object]", given)
    require_known_names(NAME, options, CallOptions.__annotations__)
    deadline = optional(parse_duration, "deadline", options.get("deadline"))
    return ParsedOptions(deadline, optional(require_bool, "idempotent", options.get("idempotent")))
