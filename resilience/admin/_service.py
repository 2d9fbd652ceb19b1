"""The admin service: answers requests, without a server.

Reading shows states, counts and names, and nothing of a call. What changes anything needs the token in the header
``Authorization: Bearer ...``, which no page of another site can send; a request that says it comes from another origin
is refused all the same. Changes are limited to 30 a minute.

The page has no data in itself: its script reads the same documents as other programs do, and asks the operator for the
token, which it keeps for the tab and sends in the header. No cookie is set, so there is nothing that another site could
make a browser send.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from resilience._forks import fork_safe
from resilience._validation import parse_duration
from resilience.admin import _listing, _loads
from resilience.admin._actions import ACTIONS, Hands
from resilience.admin._journal import Journal
from resilience.admin._messages import Refusal, Request, Response, json_response
from resilience.config import ConfigurationError
from resilience.policies._token_bucket import Bucket

if TYPE_CHECKING:
    from resilience.config import Policies
    from resilience.fleet import Fleet

__all__ = ["Service"]

_ACTION = re.compile(r"/circuits/(?P<name>[^/]+)/(?P<action>[a-z]+)")
_MAX_BODY = 10_000
_MAX_TEXT = 500
_SECONDS_PER_CHANGE = 2.0
_MAX_CHANGES = 10  # at once, after a pause


class Service:
    """Answers requests to the page and its data, and carries out what an operator asks for.

    It owns the journal and the hands, and so a subscription and timers: `close` ends both. Reading is a table of paths
    and functions; an answer to POST goes through `_authorize`, whichever path it is for, before its body is looked at.
    Servers call it in any of their threads.

    >>> service = Service("a long random text", None, None, read_only=False, reading_needs_token=False)
    >>> service.answer(Request("GET", "/health", {}, {})).status
    200
    >>> service.answer(Request("POST", "/circuits/payments/isolate", {}, {})).status
    401
    >>> service.close()
    """

    def __init__(
        self,
        token: str | None,
        policies: Policies | None,
        fleet: Fleet | None,
        *,
        read_only: bool,
        reading_needs_token: bool,
    ) -> None:
        self.journal: Journal = Journal()
        self.hands: Hands = Hands(fleet)
        self._token = token
        self._policies = policies
        self._read_only = read_only
        self._reading_needs_token = reading_needs_token
        self._changes = Bucket(_SECONDS_PER_CHANGE, _MAX_CHANGES, fork_safe(threading.Lock()))
        self._reading: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
            "/circuits": self._circuits,
            "/bulkheads": lambda _: self._stamped(_loads.bulkhead_loads()),
            "/limits": lambda _: self._stamped(_loads.limit_loads()),
            "/budgets": lambda _: self._stamped(_loads.budget_loads()),
            "/calls": lambda _: _listing.calls(),
            "/rejections": lambda _: self._stamped({"rejections": self.journal.rejections()}),
            "/fleet": lambda _: self._stamped({"fleet": self.hands.fleet_snapshot()}),
            "/health": lambda _: _listing.health(),
            "/explain": lambda query: _listing.explanation(query.get("target", "")),
            "/configuration": lambda _: _listing.configuration(policies),
            "/events": self._events,
        }

    def answer(self, request: Request) -> Response:
        """Return the answer to *request*. What is wrong with it is a status and a sentence, and no exception."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.response()

    def _answer(self, request: Request) -> Response:
        """Return the answer to *request*. Raises `Refusal` for one that is not answered."""
        path = request.path.rstrip("/") or "/"
        if request.method in ("GET", "HEAD"):
            return self._read(request, path)
        if request.method != "POST":
            raise Refusal(405, f"{request.method} is not for this: GET, or POST", {"allow": "GET, POST"})
        self._authorize(request)
        body = _body_of(request)
        found = _ACTION.fullmatch(path)
        if found is not None and found["action"] in (*ACTIONS, "release"):
            return self._act(unquote(found["name"]), found["action"], body)
        if path == "/configuration":
            return self._configure(body)
        raise Refusal(404, f"nothing to do at {path}: POST /circuits/<name>/{'|'.join(ACTIONS)}, or /configuration")

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, request: Request, path: str) -> Response:
        if path == "/":
            page, policy = _page()
            return Response(200, page, "text/html", {"content-security-policy": policy})
        if path not in self._reading:
            raise Refusal(404, f"nothing is at {path}; there are {', '.join(self._reading)}")
        if self._reading_needs_token:
            self._require_token(request)
        if path == "/events" and "text/event-stream" in request.headers.get("accept", ""):
            return Response(200, content_type="text/event-stream", streams=True, after=_after(request))
        return json_response(self._reading[path](request.query))

    def _circuits(self, query: Mapping[str, str]) -> dict[str, object]:
        limit = _whole("limit", query.get("limit", "200"), 1, 1000)
        found = _listing.circuits(self.hands, name=query.get("name", ""), limit=limit)
        return {**found, "read_only": self._token is None or self._read_only}

    def _events(self, query: Mapping[str, str]) -> dict[str, object]:
        return self._stamped({"events": self.journal.entries(_whole("after", query.get("after", "0"), 0, 10**12))})

    @staticmethod
    def _stamped(document: Mapping[str, object]) -> dict[str, object]:
        """Return *document* with the time and the process: a server may have several, each with its own circuits."""
        return {**_listing.stamp(), **document}

    def may_block(self, request: Request) -> bool:
        """Whether the answer to *request* may wait for the store of a fleet: it is then for a thread."""
        return self.hands.fleet is not None and (request.method == "POST" or request.path.rstrip("/") == "/fleet")

    # -- changing ------------------------------------------------------------------------------------------------------

    def _authorize(self, request: Request) -> None:
        """Raise `Refusal` for a change that may not be made.

        The origin is checked first, so that a page of another site cannot try tokens. Requests without the token do not
        count among the 30 changes a minute, and cannot keep an operator out.
        """
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            raise Refusal(403, f"a page of {origin} may not change anything here")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refusal(403, "a page of another site may not change anything here")
        if self._token is None:
            raise Refusal(403, "nothing can be changed here: give admin(token=...) a token")
        self._require_token(request)
        if self._read_only:
            raise Refusal(403, "nothing can be changed here: admin(read_only=True)")
        if not self._changes.try_acquire(1.0):
            raise Refusal(429, "too many changes: 30 a minute", {"retry-after": "2"})

    def _require_token(self, request: Request) -> None:
        """Raise `Refusal` unless the request has the token.

        The comparison takes the same time for each wrong one of its length.
        """
        given = request.headers.get("authorization", "")
        expected = f"Bearer {self._token}"
        if self._token is None or not hmac.compare_digest(given.encode(), expected.encode()):
            raise Refusal(401, "give the token: Authorization: Bearer ...", {"www-authenticate": "Bearer"})

    def _act(self, name: str, action: str, body: Mapping[str, Any]) -> Response:
        """Do an action to a circuit, as the body of a request says, and answer with what holds now."""
        _require_known(body, {"until", "by", "why", "key"})
        seconds = body.get("until")
        if seconds is not None:
            try:
                seconds = parse_duration("until", seconds)
            except (TypeError, ValueError) as error:
                raise Refusal(422, f"{error}, from now on; leave it out for: until it is reset") from None
        hold = self.hands.act(
            name, _text("key", body.get("key")), action, seconds, _said("by", body), _said("why", body)
        )
        return json_response({**_listing.stamp(), "circuit": name, **dataclasses.asdict(hold)})

    def _configure(self, body: Mapping[str, Any]) -> Response:
        """Set an option while the program runs, or take it back where no value is given."""
        if self._policies is None:
            raise Refusal(404, "there is no configuration: give admin(policies=...) one")
        _require_known(body, {"policy", "option", "value", "by", "why"})
        name, option = str(body.get("policy", "")), str(body.get("option", ""))
        try:
            if "value" in body:
                by, why = _said("by", body), _said("why", body)
                changes = self._policies.set(name, option, body["value"], by=by, why=why)
            else:
                changes = self._policies.unset(name, option)
        except KeyError as error:
            raise Refusal(404, str(error.args[0])) from None
        except (ConfigurationError, ValueError) as error:
            raise Refusal(422, str(error)) from None
        return json_response({"changes": [str(change) for change in changes]})

    def close(self) -> None:
        """Unsubscribe from events, and stop the timers of what was set for a time."""
        self.journal.close()
        self.hands.close()


@functools.cache
def _page() -> tuple[bytes, str]:
    """Return the page, and what a browser may load and run for it: the page's own script and style, and the data.

    The policy names them by their hashes, so a script that got into a name of a circuit would not run. Both are
    computed once: the page is a file of the package.
    """
    page = resources.files("resilience.admin").joinpath("page.html").read_text("utf-8")
    hashes = [_hash_of(found) for found in _INLINE.findall(page)]
    inline = " ".join(hashes)
    policy = f"default-src 'none'; script-src {inline}; style-src {inline}; connect-src 'self'; img-src data:"
    return page.encode(), f"{policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


_INLINE = re.compile(r"<(?:script|style)>(.*?)</(?:script|style)>", re.DOTALL)


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _body_of(request: Request) -> Mapping[str, Any]:
    """Return the JSON object of a request.

    Raises `Refusal` for another content type, too: a form of another site can send those, and not JSON.
    """
    if len(request.body) > _MAX_BODY:
        raise Refusal(413, f"the body is larger than {_MAX_BODY} bytes")
    if "json" not in request.headers.get("content-type", ""):
        raise Refusal(415, "send JSON: Content-Type: application/json")
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise Refusal(400, f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(400, 'the body is no JSON object: send {"until": 600, "by": "ada", "why": "..."}')
    return cast("dict[str, Any]", body)


def _require_known(body: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise Refusal(422, f"{unknown[0]}: no such field; there are {', '.join(sorted(known))}")


def _said(field: str, body: Mapping[str, Any]) -> str:
    """Return who acts, or why: it is asked for, since the next one on duty will ask."""
    text = _text(field, body.get(field))
    if not text:
        raise Refusal(422, f'{field}: say it, as in {{"by": "ada", "why": "the provider is down"}}')
    return text


def _text(field: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise Refusal(422, f"{field}: give a text of at most {_MAX_TEXT} letters")
    return value.strip()


def _after(request: Request) -> int | None:
    """Return the number of the last event that a page has: it says so itself, or its browser does."""
    after = request.query.get("after", request.headers.get("last-event-id"))
    if after is None:
        return None
    return _whole("after", after, 0, 10**12)


def _whole(field: str, value: str, least: int, most: int) -> int:
    if not value.isdecimal() or not least <= int(value) <= most:
        raise Refusal(422, f"{field}={value}: give a whole number from {least} to {most}")
    return int(value)
