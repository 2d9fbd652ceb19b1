"""Flask: a deadline around a view, and errors of the policies as answers."""

from __future__ import annotations

import os

import requests
from flask import Flask

from resilience import deadline, remaining, standard
from resilience.integrations.http.wsgi import WsgiProblemMiddleware

app = Flask(__name__)
app.config["PROPAGATE_EXCEPTIONS"] = True  # for the middleware, which answers them
guarded = WsgiProblemMiddleware(app)  # what the WSGI server runs

catalogue = standard("catalogue of flask", timeout=None)


@catalogue
def search_catalogue(query: str) -> list[str]:
    """Ask the catalogue, within what is left of the request's deadline."""
    url = os.environ.get("CATALOGUE", "http://catalogue:8000")
    response = requests.get(f"{url}/search", params={"q": query}, timeout=min(3.0, remaining() or 3.0))
    response.raise_for_status()
    return [item["name"] for item in response.json()]


@app.get("/search/<query>")
@deadline(5)  # below the route: what Flask calls is the view with its deadline
def search(query: str) -> list[str]:
    """Return the names that are found."""
    return search_catalogue(query)
