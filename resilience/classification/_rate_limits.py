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

from resilience.classification._responses import header
from resilience.classification._waits import Wait, reset_moment

__all__ = ["reset_in"]

_PREFIXES = ("x-ratelimit", "ratelimit", "x-rate-limit")
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens", "requests-day", "tokens-minute")
_PAIRS = (
    *((f"{prefix}-remaining", f"{prefix}-reset") for prefix in _PREFIXES),
    *((f"{prefix}-remaining", f"{prefix}-reset-after") for prefix in _PREFIXES),
    *((f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}") for kind in _KINDS),
    *((f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset") for kind in _KINDS),
)
_PARAMETER = re.compile(r"(?:^|[;,]\s*)(r|t|w|remaining|reset)\s*=\s*(\d{1,15})")
_NAME = re.compile(r'^\s*"?([^";,=]+)"?\s*(?=;|$)')
_MAX_POLICIES = 20


def reset_in(headers: object) -> Wait:
    """Return the seconds until the last of the limits that are used up is reset; None where something remains.

    >>> reset_in({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"})
    360.0
    >>> reset_in({"RateLimit": '"burst";r=0;t=30'}), reset_in({"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "30"})
    (30.0, None)
    """
    return max(_used_up(headers), default=None)


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
