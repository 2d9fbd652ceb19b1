"""requests: a time limit for each request, since the library has none, and its own retries left off."""

from __future__ import annotations

import requests

from resilience import remaining, standard

catalogue = standard("catalogue of requests", timeout=None)  # requests keeps the limit, in the caller's thread

session = requests.Session()  # its adapters make no retries unless they are given a urllib3 Retry


@catalogue
def search(base_url: str, query: str) -> tuple[str, ...]:
    """Return the names that are found."""
    response = session.get(f"{base_url}/search", params={"q": query}, timeout=min(3.0, remaining() or 3.0))
    response.raise_for_status()  # a 503 is a failure only if it is raised
    return tuple(item["name"] for item in response.json())
