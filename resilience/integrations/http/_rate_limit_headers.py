"""The headers by which a service says that its rate limit has refused a request: `RateLimit`, `RateLimit-Policy`.

As of draft-ietf-httpapi-ratelimit-headers, structured fields of RFC 9651: a list of one limit, named by a string, with
the quota *q* of a window of *w* seconds, the rest *r* of it, and the seconds *t* until more is there.
"""

from __future__ import annotations

from resilience.errors.base import RateLimitedError
from resilience.policies._rate import parse_rate

__all__ = ["rate_limit_headers"]

_MAX_NAME = 100


def rate_limit_headers(error: RateLimitedError, wait: str | None) -> dict[str, str]:
    """Return the headers for a refused request that may come again after *wait* whole seconds; none of what is no rate.

    An error that another service has sent may have any text for its rate. Never raises.

    >>> rate_limit_headers(RateLimitedError("search", "5/10s"), "2")
    {'RateLimit': '"search";r=0;t=2', 'RateLimit-Policy': '"search";q=5;w=10'}
    """
    try:
        rate, name = parse_rate("rate", error.rate), _string(error.name)
    except Exception:  # the attributes may be anything
        return {}
    rest = f"{name};r=0"
    if wait is not None:
        rest += f";t={wait}"
    return {"RateLimit": rest, "RateLimit-Policy": f"{name};q={rate.calls};w={rate.seconds}"}


def _string(text: str) -> str:
    """Return a text as a string of structured fields (RFC 9651, 4.1.6), which has printable ASCII and nothing else."""
    printable = "".join(each if " " <= each <= "~" else "?" for each in text[:_MAX_NAME])
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
