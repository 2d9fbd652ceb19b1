"""Routes: which policies are for which request, by method, host and path. The most specific route wins.

The order of the file does not decide, so that a route can be added at the end, or by another source, and the meaning of
the others stays. Only between equals the first wins.

>>> routes = [parse_route("shop.internal", "shop", "code"), parse_route("GET shop.internal/items", "items", "code")]
>>> best_route(routes, "GET", "http://shop.internal/items/3").policy, best_route(routes, "PUT", "shop.internal/").policy
('items', 'shop')
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from resilience.config._sources import ConfigurationError

__all__ = ["Route", "best_route", "names_of", "parse_route"]

_METHOD = re.compile(r"[A-Z]+")


class Route(NamedTuple):
    """A pattern for requests, and the name of the policies for them. ``*`` stands for any text, and in a host too.

    *method* is empty for any.
    """

    method: str
    host: str
    path: str
    policy: str

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path}".strip()

    def matches(self, method: str, host: str, path: str) -> bool:
        """Whether a request goes by this route. A path pattern that ends in a name matches what is below it as well."""
        if self.method and self.method != method.upper():
            return False
        return fnmatch.fnmatchcase(host.lower(), self.host) and _path_matches(self.path, path)

    @property
    def specificity(self) -> tuple[int, int, int, int]:
        """How narrow it is: a host without ``*`` before one with, then the longer path and host, then a method."""
        return "*" not in self.host, len(self.path.replace("*", "")), len(self.host.replace("*", "")), bool(self.method)


def _path_matches(pattern: str, path: str) -> bool:
    if fnmatch.fnmatchcase(path, pattern):
        return True
    return "*" not in pattern and path.startswith(pattern.rstrip("/") + "/")


def parse_route(text: str, policy: str, origin: str) -> Route:
    """Return the route that *text* describes: ``[METHOD] host[/path]``.

    >>> parse_route("GET catalogue.internal/items/*", "catalogue", "resilience.toml")
    Route(method='GET', host='catalogue.internal', path='/items/*', policy='catalogue')

    Raises ConfigurationError for an invalid text.
    """
    words = text.split()
    method = ""
    if words and _METHOD.fullmatch(words[0]):
        method = words.pop(0)
    if len(words) != 1:
        raise ConfigurationError(f"{origin}: routes: match = {text!r}: give 'GET catalogue.internal/items/*'")
    host, path = _host_and_path(words[0])
    if not host:
        raise ConfigurationError(f"{origin}: routes: match = {text!r}: give a host, such as 'catalogue.internal/items'")
    return Route(method, host, path or "/*", policy)


def best_route(routes: Sequence[Route], method: str, url: str) -> Route | None:
    """Return the most specific of *routes* for a request; the first of equals; None where no route matches."""
    host, path = _host_and_path(url)
    found = [route for route in routes if route.matches(method, host, path or "/")]
    return max(found, key=lambda route: route.specificity, default=None)


def names_of(routes: Sequence[Route], default: str | None) -> list[str]:
    """Return the names of the policies that requests may get, each once."""
    names = [route.policy for route in routes]
    if default is not None:
        names.append(default)
    return list(dict.fromkeys(names))


def _host_and_path(url: str) -> tuple[str, str]:
    """Return the host and the path of a URL, with or without a scheme; an empty host where it is no URL."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
    except ValueError:  # brackets of an IPv6 address that do not match
        return "", ""
    return parts.hostname or "", parts.path
