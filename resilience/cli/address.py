"""Checks of URLs, headers and methods for `resilience call`, and a form of the URL that may be printed.

A URL or a header may hold a password: neither an error nor any other output repeats one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from resilience.cli.output import UserError

__all__ = ["parse_headers", "parse_method", "parse_url", "redacted_url"]

_ADVICE = "give one such as https://example.org/health"
_TOKEN = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
)  # RFC 9110, 5.6.2: the characters of a header's name and of a method
_VALUE_OF_QUERY = re.compile(r"=[^&]*")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


def parse_url(text: str) -> str:
    """Return *text* when it is an http or https URL with a host. Raises UserError, without repeating *text*."""
    import httpx

    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        # urllib's message repeats parts of the text, which may hold a password.
        raise UserError(f"the URL is malformed ({_reason(error)}); {_ADVICE}") from None
    if scheme not in ("http", "https"):
        named = "and is missing"
        if scheme and parts.netloc:
            named = f"not {scheme!r}"
        raise UserError(f"the URL is malformed: its scheme must be http or https, {named}; {_ADVICE}")
    if not host:
        raise UserError(f"the URL is malformed: it has no host; {_ADVICE}")
    if port == 0:
        raise UserError(f"the URL is malformed: port 0; {_ADVICE}")
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise UserError(f"the URL is malformed: it contains a blank; {_ADVICE}")
    try:
        _ = httpx.URL(text).host  # decodes international names, and raises for malformed ones
    except (httpx.InvalidURL, ValueError) as error:
        raise UserError(f"the URL is malformed ({_reason(error)}); {_ADVICE}") from None
    return text


def _reason(error: Exception) -> str:
    words = str(error).lower()
    return next((part for part in ("port", "ipv6", "hostname", "idna") if part in words), "it cannot be read")


def redacted_url(url: str) -> str:
    """Return *url* without user, password, fragment and the values of its query.

    >>> redacted_url("https://me:secret@example.org/a?token=secret&flag#x")
    'https://example.org/a?token=...&flag'
    """
    parts = urlsplit(url)
    query = _VALUE_OF_QUERY.sub("=...", parts.query)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return "?".join(filter(None, [shown, query]))


def parse_headers(given: Iterable[str]) -> list[tuple[str, str]]:
    """Return headers given as ``NAME:VALUE``. Raises UserError, which never repeats a value."""
    headers: list[tuple[str, str]] = []
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise UserError("--header has no colon; give NAME:VALUE, such as 'Accept: text/plain'")
        if not _TOKEN.fullmatch(name):
            raise UserError("--header begins with no valid name; give NAME:VALUE, such as 'Accept: text/plain'")
        if not _VALUE.fullmatch(value):
            raise UserError(f"--header {name}: its value may hold printable ASCII only")
        headers.append((name, value.strip()))
    return headers


def parse_method(text: str) -> str:
    """Return an HTTP method in capitals. Raises UserError for what cannot be one."""
    if not _TOKEN.fullmatch(text):
        raise UserError(f"--method {text!r} cannot be a method; give one such as GET or POST")
    return text.upper()
