"""urllib3: pool managers, proxy managers and the pools of a single host.

The guard stands in ``urlopen``, through which every call goes. urllib3 follows a redirect by calling ``urlopen`` once
more; that belongs to the attempt. Its count of retries bounds redirects too, so it is kept for these.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import urllib3
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, PoolManager, Retry, Timeout

from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection, protection_of
from resilience.clients._urllib3_body import lift_limit, limit_reading, settle
from resilience.clients._urllib3_limits import (
    calls_by_itself,
    cut,
    own_limit,
    retries_by_itself,
    timeout_of,
    without_retries,
)
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import Body, body_of
from resilience.clients.call_options import NAME, ParsedOptions, parse_options
from resilience.clients.exchange import Exchange
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "Urllib3Adapter"]

Pool: TypeAlias = PoolManager | HTTPConnectionPool

_FIRST_ERROR: Final = 400
_BY_POSITION: Final[dict[bool, tuple[str, ...]]] = {
    True: ("redirect",),
    False: ("body", "headers", "retries", "redirect", "assert_same_host"),
}
"""The parameters of ``urlopen`` that may be given by position, after method and URL: of a manager, and of a pool."""

_running: ContextVar[_Call | None] = ContextVar("resilience.clients.urllib3", default=None)
"""The call whose attempt runs: redirects of its manager or pool belong to that attempt."""


class Urllib3Adapter(Adapter[Pool]):
    """The adapter for `urllib3.PoolManager` and `urllib3.HTTPConnectionPool`, and classes that derive from them.

    The client is changed in place. Pools that a protected manager makes are not protected themselves: the manager's
    guard has decided before it asks one of them.
    """

    def covers(self, client: object) -> bool:
        """Return whether *client* is a manager of pools, of which a proxy manager is one, or the pool of a host."""
        return isinstance(client, PoolManager | HTTPConnectionPool)

    def is_async(self, client: Pool) -> bool:
        return False

    def errors(self, client: Pool) -> ErrorTree:
        """Return the root of urllib3's exceptions, and its time-out.

        A rejection is no `MaxRetryError`: nothing was retried.
        """
        return ErrorTree(urllib3.exceptions.HTTPError, urllib3.exceptions.TimeoutError)

    def sends_headers(self, client: Pool) -> bool:
        return True

    def dependency(self, client: Pool) -> str:
        """Return the host of a pool; the name of the library for a manager, which calls any host."""
        if isinstance(client, HTTPConnectionPool):
            return str(client.host)
        return "urllib3"

    def install(self, client: Pool, guard: Guard | AsyncGuard, protection: Protection) -> Pool:
        """Replace ``urlopen`` in the attributes of the client itself: ``request`` and its variants call that."""
        assert isinstance(guard, Guard)
        retries = _defaults(client, "retries", Retry.DEFAULT)
        if retries_by_itself(retries):
            protection.note(f"urllib3 no longer retries by itself, {retries}: these bound its redirects alone")
        client.__dict__["urlopen"] = _Opener(client, guard, retries).urlopen
        return client

    def inspect(self, client: Pool) -> list[Finding]:
        """Return the retries that urllib3 makes, three unless it is given others, and a missing time limit."""
        findings: list[Finding] = []
        retries = _defaults(client, "retries", Retry.DEFAULT)
        if retries_by_itself(retries) and protection_of(client) is None:
            findings.append(Finding("retries", f"urllib3 retries by itself: {retries}", calls_by_itself(retries)))
        if _waits_for_ever(client):
            text = "urllib3 waits for ever where a call has no timeout="
            findings.append(Finding("time_limit", text, warning=True))
        return findings


class _Opener:
    """The attribute ``urlopen`` of one protected manager or pool.

    urllib3 calls ``self.urlopen`` to follow a redirect, and so gets here again within an attempt. The call that runs is
    known by a context variable, for each thread and task; a call of another client in between is a call of its own.
    """

    def __init__(self, client: Pool, guard: Guard, retries: Any) -> None:
        self._client = client
        self._guard = guard
        #: The retries of a call that says nothing of them.
        self._retries: Retry = without_retries(Retry.from_int(retries))

    def _retries_of(self, keywords: dict[str, Any]) -> Retry:
        """Return the retries of a call as they bound its redirects."""
        given, redirect = keywords.get("retries"), keywords.get("redirect", True)
        if given is None and redirect:
            return self._retries
        default = _defaults(self._client, "retries", Retry.DEFAULT)
        return without_retries(Retry.from_int(given, redirect=redirect, default=default))

    def urlopen(self, method: str, url: str, *arguments: Any, **keywords: Any) -> BaseHTTPResponse:
        """Open *url* through the policies; a redirect of an attempt goes straight on, within what is left of it."""
        client = self._client
        running = _running.get()
        if running is not None and running.client is client:
            return _own_urlopen(client)(method, url, *arguments, **running.limited(keywords))
        options = parse_options(keywords.pop(NAME, None))
        if not options.enabled:
            return _own_urlopen(client)(method, url, *arguments, **keywords)
        if arguments:
            names = _BY_POSITION[isinstance(client, PoolManager)]
            keywords.update(zip(names, arguments, strict=False))
        keywords["retries"] = self._retries_of(keywords)
        response: BaseHTTPResponse = self._guard.call(_Call(client, method, url, keywords, options))
        return response


class _Call(Exchange[BaseHTTPResponse]):
    """A call of ``urlopen``.

    An attempt asks urllib3 for the response with its body unread, and reads the body of a success itself: within what
    is left of the time, and as part of the attempt.
    """

    def __init__(self, client: Pool, method: str, url: str, keywords: dict[str, Any], options: ParsedOptions) -> None:
        super().__init__(options)
        self.method: str = method.upper()
        self.client = client
        self._arguments = (method, url)
        self._keywords = keywords
        self._reads: bool = keywords.get("preload_content", True)

    @property
    def url(self) -> str:
        """The URL, which a pool makes of its own scheme, host and port: it is given a path."""
        client, url = self.client, self._arguments[1]
        if isinstance(client, PoolManager):
            return url
        return f"{client.scheme}://{client.host}:{client.port}{url}"

    def request_headers(self) -> Mapping[str, str]:
        """Return the headers of the call, or those of the client, which are sent only where the call has none."""
        headers: Mapping[str, str] | None = self._keywords.get("headers")
        if headers is None:
            return self.client.headers
        return headers

    def set_header(self, name: str, value: str) -> None:
        """Set the header beside the others; those of the client are sent only where a call brings none of its own."""
        headers = HTTPHeaderDict(self.request_headers())
        headers[name] = value
        self._keywords["headers"] = headers

    def body(self) -> Body:
        return body_of(self._keywords.get("body"))

    def status(self, response: BaseHTTPResponse) -> int:
        return response.status

    def limited(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Return the *keywords* of a request of the call, with the time limits cut to what is left of the attempt."""
        left = self.time_left()
        if left is None:
            return keywords
        wait: float = self._keywords.get("pool_timeout") or left
        return {**keywords, "timeout": cut(self._own_limits(), left), "pool_timeout": min(left, wait)}

    def _own_limits(self) -> Timeout:
        """Return the time limits of the call, or of the client, before they are cut."""
        return _timeout_of(self._keywords.get("timeout", _defaults(self.client, "timeout", None)))

    def send(self) -> BaseHTTPResponse:
        """Make one attempt, with redirects. The body is left unread until the status is known."""
        token = _running.set(self)
        try:
            keywords = self.limited({**self._keywords, **self._preloading()})
            response = _own_urlopen(self.client)(*self._arguments, **keywords)
        finally:
            _running.reset(token)
        if response.status >= _FIRST_ERROR:
            return response
        return self.finish(response)

    def finish(self, response: BaseHTTPResponse) -> BaseHTTPResponse:
        """Return the response as urllib3 would: read, unless the call has ``preload_content=False``.

        What the caller reads is read within the limits of the call, and without those of the policies.
        """
        limited = self.time_left() is not None
        if not self._reads:
            if limited:
                lift_limit(response, own_limit(self._own_limits()))
            return response
        if limited:
            limit_reading(response, self.time_left)
        try:
            response.data  # noqa: B018 - it is read, and kept
        except BaseException:
            response.close()
            raise
        return response

    def _preloading(self) -> dict[str, object]:
        """Have the body left unread, and the connection held: the body is read within the time, or settled."""
        if not self._reads:
            return {}
        return {"preload_content": False, "release_conn": False}

    def settle(self, response: BaseHTTPResponse) -> None:
        """Read the body of a failure in advance; any other response has it in memory."""
        if isinstance(response, HTTPResponse):
            settle(response, self.time_left)

    def close(self, response: BaseHTTPResponse) -> None:
        """Close the response, and give its place in the pool back."""
        response.close()
        response.release_conn()


def _waits_for_ever(client: Pool) -> bool:
    """Return whether nothing limits how long a call of *client* waits for the answer."""
    limits = _timeout_of(_defaults(client, "timeout", None))
    return limits.total is None and limits.read_timeout is None


def _timeout_of(given: Any) -> Timeout:
    """Return the limits that urllib3 makes of a ``timeout=``, a number for each phase or an object of its own."""
    if isinstance(given, Timeout):
        return given
    return timeout_of(given, given)


def _own_urlopen(client: Pool) -> Callable[..., BaseHTTPResponse]:
    """Return the method of the client's class, which what patches the class has replaced."""
    own: Any = type(client).urlopen
    return functools.partial(own, client)


def _defaults(client: Pool, name: str, missing: Any) -> Any:
    """Return what a manager or a pool has as its *retries* or *timeout*; *missing* where it has none."""
    found: object
    if isinstance(client, PoolManager):
        found = client.connection_pool_kw.get(name)
    else:
        found = getattr(client, name)
    if found is None:
        return missing
    return found


ADAPTER: Final = Urllib3Adapter()
