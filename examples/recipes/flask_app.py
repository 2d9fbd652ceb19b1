"""Flask: a deadline around a view, and errors of the policies as answers."""

from __future__ import annotations

import os

import requests
from flask import Flask

from resilience import deadline
from resilience.clients import protect
from resilience.integrations.http.wsgi import WsgiProblemMiddleware

app = Flask(__name__)
app.config["PROPAGATE_EXCEPTIONS"] = True  # for the middleware, which answers them
guarded = WsgiProblemMiddleware(app)  # what the WSGI server runs

session = protect(requests.Session())


def search_catalogue(query: str) -> list[str]:
    """Ask the catalogue, within what is left of the request's deadline."""
    url = os.environ.get("CATALOGUE", "http://catalogue:8000")
    response = session.get(f"{url}/search", params={"q": query})
    response.raise_for_status()
    return [item["name"] for item in response.json()]


@app.get("/search/<query>")
@deadline(5)  # below the route: what Flask calls is the view with its deadline
def search(query: str) -> list[str]:
    """Return the names that are found."""
    return search_catalogue(query)
