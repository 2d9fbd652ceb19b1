"""requests: a protected session, whose calls have time limits, which the library itself does not give them."""

from __future__ import annotations

import requests

from resilience.clients import protect

session = protect(requests.Session())  # calls stay in their thread


def search(base_url: str, query: str) -> tuple[str, ...]:
    """Return the names that are found."""
    response = session.get(f"{base_url}/search", params={"q": query})
    response.raise_for_status()  # the last response, where the retries were in vain
    return tuple(item["name"] for item in response.json())
