"""Rate limits that servers describe in headers: how many requests remain, and when the count begins anew.

Most servers send these headers with every response, so the moment of the reset is a reason to wait only where nothing
remains. Three families are read:

* ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset`` (GitHub and many others), also without ``X-``, and as
  ``X-Rate-Limit-Reset``. The reset is a moment since 1970 or a number of seconds; the size tells. Discord gives the
  seconds in ``X-RateLimit-Reset-After`` too.
* ``x-ratelimit-remaining-requests`` and ``x-ratelimit-reset-requests``, and the same for ``-tokens`` (OpenAI);
  the reset is a duration such as ``6m0s``. Anthropic's are called ``anthropic-ratelimit-requests-reset``.
* ``RateLimit`` and ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers, as in ``"default";r=0;t=30``, and the
  form of its earlier versions, ``limit=100, remaining=0, reset=30``. Without a reset the window of the policy counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from resilience.classification._responses import header, header_sets
from resilience.classification._waits import Wait, reset_moment

__all__ = ["is_from_cache", "requests_left", "reset_in"]

_PREFIXES = ("x-ratelimit", "ratelimit", "x-rate-limit")
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens", "requests-day", "tokens-minute")
_PAIRS = (
    *((f"{prefix}-remaining", f"{prefix}-reset") for prefix in _PREFIXES),
    *((f"{prefix}-remaining", f"{prefix}-reset-after") for prefix in _PREFIXES),
    *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in _KINDS),
    *((f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset") for kind in _KINDS),
)
_PARAMETER = re.compile(r"(?:^|[;,]\s*)(r|t|w|remaining|reset)\s*=\s*(\d{1,15})")
_UNIT = re.compile(r';\s*qu\s*=\s*"([\w-]+)"')
_REQUESTS = (*(f"{prefix}-remaining" for prefix in _PREFIXES), "x-ratelimit-remaining-requests")
_NAME = re.compile(r'^\s*"?([^";,=]+)"?\s*(?=;|$)')
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_MAX_POLICIES = 20


def reset_in(headers: object) -> Wait:
    """Return the seconds until the last of the limits that are used up is reset; None where something remains.

    >>> reset_in({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"})
    360.0
    >>> reset_in({"RateLimit": '"burst";r=0;t=30'}), reset_in({"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "30"})
    (30.0, None)
    """
    return max(_used_up(headers), default=None)


def requests_left(response: object) -> int | None:
    """Return how many requests remain of the limit of which the fewest do; None where no header says so.

    Limits that count something else, such as tokens or bytes, are left out.

    >>> class Answer:
    ...     headers = {"RateLimit": '"burst";r=5;t=1, "daily";r=900;t=600'}
    >>> requests_left(Answer())
    5
    """
    return min((left for headers in header_sets(response) for left in _left(headers)), default=None)


def is_from_cache(response: object) -> bool:
    """Return whether a cache has kept a response: then its headers say nothing of the limit now (RFC 9111, 5.1)."""
    return any(header(headers, "age") is not None for headers in header_sets(response))


def _left(headers: object) -> Iterator[int]:
    words = [header(headers, name) or "" for name in _REQUESTS]
    words.append(header(headers, "anthropic-ratelimit-requests-remaining") or "")
    policies = header(headers, "ratelimit-policy") or ""
    units = {_name_of(member): unit[1] for member in policies.split(",") if (unit := _UNIT.search(member))}
    for name, found in _policies(header(headers, "ratelimit") or ""):
        if units.get(name, "requests") == "requests":
            words.append(found.get("r") or found.get("remaining") or "")
    return (int(word) for word in words if _COUNT.fullmatch(word.strip()))


def _used_up(headers: object) -> Iterator[float]:
    for remaining, reset in _PAIRS:
        if (header(headers, remaining) or "").strip() == "0":
            wait = reset_moment(header(headers, reset) or "")
            if wait is not None:
                yield wait
    yield from _structured(headers)


def _structured(headers: object) -> Iterator[float]:
    """Yield the waits in a ``RateLimit`` header, one for each policy that is used up."""
    windows = {name: found.get("w") for name, found in _policies(header(headers, "ratelimit-policy") or "")}
    for name, found in _policies(header(headers, "ratelimit") or ""):
        if found.get("r", found.get("remaining")) == "0":
            wait = reset_moment(found.get("t") or found.get("reset") or windows.get(name) or "")
            if wait is not None:
                yield wait


def _policies(value: str) -> list[tuple[str, dict[str, str]]]:
    """Return name and parameters of each policy in a header; the earlier form of the header is one without a name."""
    members = value.split(",")[:_MAX_POLICIES]
    if "remaining" in value:
        members = [value]
    return [(_name_of(member), dict(_PARAMETER.findall(member))) for member in members]


def _name_of(member: str) -> str:
    found = _NAME.match(member)
    return found[1] if found else ""
