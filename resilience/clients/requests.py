"""requests: sessions, and classes that derive from them.

The guard stands in ``session.send``, through which every call of a session goes. So one call is a request with its
redirects and its authentication, and adapters that are mounted later are guarded as well. A session keeps the guard in
its own attributes, and carries it along where it is pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse, Retry, Timeout
from urllib3.exceptions import EmptyPoolError

from resilience._runtime.protocol import Policy
from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protect import standard_protection
from resilience.clients._protection import Protection, attach_protection
from resilience.clients._urllib3_body import lift_limit, limit_reading, settle
from resilience.clients._urllib3_limits import calls_by_itself, cut, own_limit, retries_by_itself, timeout_of
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import Body, body_of
from resilience.clients.call_options import ParsedOptions, parse_options
from resilience.clients.exchange import Exchange
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "RequestsAdapter"]

_FIRST_ERROR: Final = 400
_NO_RETRIES: Final = Retry(0, read=False)  # as an adapter has it unless the user gives another
_OWN_ATTRIBUTES: Final = ("send", "mount", "__attrs__")

_running: ContextVar[_Call | None] = ContextVar("resilience.clients.requests", default=None)
"""The call whose attempt runs: redirects of its session belong to that attempt."""


class RequestsAdapter(Adapter[requests.Session]):
    """The adapter for `requests.Session`."""

    def covers(self, client: object) -> bool:
        """Return whether *client* is a session, or of a class that derives from it."""
        return isinstance(client, requests.Session)

    def is_async(self, client: requests.Session) -> bool:
        return False

    def errors(self, client: requests.Session) -> ErrorTree:
        """Return the classes that programs catch: a rejection is a `requests.ConnectionError`, a limit a `Timeout`.

        Both are `OSError`, as all errors of requests.
        """
        return ErrorTree(requests.ConnectionError, requests.Timeout)

    def sends_headers(self, client: requests.Session) -> bool:
        return True

    def install(self, client: requests.Session, guard: Guard | AsyncGuard, protection: Protection) -> requests.Session:
        """Replace ``send`` and ``mount`` in the attributes of the session itself.

        The names are added to ``__attrs__``, by which a session knows its state: so a pickled session is guarded.
        """
        assert isinstance(guard, Guard)
        for prefix, adapter in client.adapters.items():
            client.adapters[prefix] = _without_retries(adapter, prefix, protection)
        sender = _Sender(client, guard, protection)
        names = [*client.__attrs__, *_OWN_ATTRIBUTES]
        client.__dict__.update(send=sender.send, mount=sender.mount, __attrs__=names)
        return client

    def inspect(self, client: requests.Session) -> list[Finding]:
        """Return the retries and the pool of each mounted adapter. A session has no time limit of its own."""
        findings = [Finding("time_limit", "requests waits for ever where a call has no timeout=", warning=True)]
        for prefix, adapter in client.adapters.items():
            retries = safe_getattr(adapter, "max_retries")
            if retries_by_itself(retries):
                calls = calls_by_itself(retries)
                findings.append(Finding("retries", f"the adapter of {prefix} retries: {retries}", calls))
            findings += _pool_of(prefix, adapter)
        return findings


class _Sender:
    """The attributes ``send`` and ``mount`` of one protected session."""

    def __init__(self, session: requests.Session, guard: Guard, protection: Protection) -> None:
        self._session = session
        self._guard = guard
        self._protection = protection

    def send(self, request: Any, **keywords: Any) -> requests.Response:
        """Send *request* through the policies; a redirect of an attempt goes straight on, within what is left of it."""
        session = self._session
        running = _running.get()
        if running is not None and running.session is session and keywords.get("allow_redirects") is False:
            return type(session).send(session, request, **running.limited(keywords))
        options = parse_options(None)
        if not options.enabled:
            return type(session).send(session, request, **keywords)
        response: requests.Response = self._guard.call(_Call(session, request, keywords, options))
        return response

    def mount(self, prefix: str, adapter: Any) -> None:
        """Mount *adapter*, without retries of its own."""
        session = self._session
        type(session).mount(session, prefix, _without_retries(adapter, prefix, self._protection))

    def __getstate__(self) -> tuple[requests.Session, Sequence[Policy] | None]:
        """Return the session and its policies; of a standard stack none, since it is made anew in the other process.

        Policies that belong to one process, such as a circuit, refuse to be pickled with that reason.
        """
        if self._protection.is_standard:
            return self._session, None
        return self._session, tuple(self._protection.policies)

    def __setstate__(self, state: tuple[requests.Session, Sequence[Policy] | None]) -> None:
        """Guard the session in the process that has unpickled it.

        The policies are those that came along, or a standard stack of its own.
        """
        self._session, policies = state
        if policies is None:
            self._protection = standard_protection(ADAPTER, self._session)
        else:
            self._protection = Protection(ADAPTER.target(self._session), policies)
        self._guard = Guard(self._protection.target, self._protection.policies, ADAPTER.errors(self._session))
        attach_protection(self._session, self._protection)


class _Call(Exchange[requests.Response]):
    """A call of ``session.send``.

    requests has no limit for a whole request: its ``timeout=`` is for connecting and for each read. Where the time of
    an attempt is limited, it gets urllib3's own limits, with a total, and the body is read against the same moment.
    """

    def __init__(
        self, session: requests.Session, request: Any, keywords: dict[str, Any], options: ParsedOptions
    ) -> None:
        super().__init__(options)
        self.method: str = request.method
        self.session = session
        self._request = request
        self._keywords = keywords
        self._streams: bool = keywords.get("stream", session.stream)

    @property
    def url(self) -> str:
        return str(self._request.url)

    def request_headers(self) -> object:
        return self._request.headers

    def set_header(self, name: str, value: str) -> None:
        """Set the header on a copy of the request: the caller may send its own once more, by another call."""
        self._request = self._request.copy()
        self._request.headers[name] = value

    def body(self) -> Body:
        """Return the prepared body: text, bytes, a file, or what yields parts.

        Forms and forms with files are bytes by now.
        """
        return body_of(self._request.body)

    def status(self, response: requests.Response) -> int:
        return response.status_code

    def describe_failure(self, error: BaseException) -> None:
        """Set the request, and no response, as on errors of requests."""
        error.__dict__.update(request=self._request, response=None)

    def limited(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Return the *keywords* of a request of the call, with the time limits cut to what is left of the attempt."""
        left = self.time_left()
        if left is None:
            return keywords
        return {**keywords, "timeout": cut(_limits_of(self._keywords), left)}

    def send(self) -> requests.Response:
        """Make one attempt, with redirects, as a stream: the body of a failure is settled, that of a success read."""
        session = self.session
        token = _running.set(self)
        try:
            keywords = self.limited({**self._keywords, "stream": True})
            response = type(session).send(session, self._request, **keywords)
        except EmptyPoolError as error:  # requests knows of no pool that is waited for
            raise requests.ConnectionError(error, request=self._request) from error
        except requests.HTTPError as error:  # a hook's, by raise_for_status()
            if error.response is not None:
                self.settle(error.response)
            raise
        finally:
            _running.reset(token)
        if response.status_code >= _FIRST_ERROR:
            return response
        return self.finish(response)

    def finish(self, response: requests.Response) -> requests.Response:
        """Return the response as requests would: read, unless the call streams.

        A stream is read by the caller, within the limits of the call and without those of the policies.
        """
        limited = self.time_left() is not None
        if self._streams:
            if limited:
                lift_limit(response.raw, own_limit(_limits_of(self._keywords)))
            return response
        if limited:
            limit_reading(response.raw, self.time_left)
        try:
            response.content  # noqa: B018 - it is read, and kept
        except BaseException:
            response.close()
            raise
        return response

    def settle(self, response: requests.Response) -> None:
        """Read the body of a failure in advance; a response of a mock, which has no connection, has it in memory."""
        if isinstance(response.raw, HTTPResponse):
            settle(response.raw, self.time_left)

    def close(self, response: requests.Response) -> None:
        response.close()


def _limits_of(keywords: dict[str, Any]) -> Timeout:
    """Return the time limits that requests makes of the ``timeout=`` of a call."""
    given = keywords.get("timeout")
    if isinstance(given, Timeout):
        return given
    connect, read = given, given
    if isinstance(given, tuple):
        connect, read = cast("tuple[float | None, float | None]", given)
    return timeout_of(connect, read)


def _without_retries(adapter: Any, prefix: str, protection: Protection) -> Any:
    """Return *adapter*, or a copy of it that shares its pools and makes no retries of its own."""
    retries = safe_getattr(adapter, "max_retries")
    if not retries_by_itself(retries):
        return adapter
    protection.note(f"the adapter of {prefix} no longer retries by itself: it was mounted with {retries}")
    copied: Any = object.__new__(cast("type[object]", type(adapter)))
    copied.__dict__.update(adapter.__dict__, max_retries=_NO_RETRIES)
    return copied


def _pool_of(prefix: str, adapter: object) -> list[Finding]:
    """Return the size of an adapter's pool, and what a call does where it is used up."""
    if not isinstance(adapter, HTTPAdapter):
        return []
    size, blocks = adapter._pool_maxsize, adapter._pool_block
    text = f"the adapter of {prefix} keeps {size} connections for each host, and makes more where these are in use"
    if blocks:
        text = f"the adapter of {prefix} has at most {size} connections for each host; a call waits for one"
    return [Finding("pool", text)]


ADAPTER: Final = RequestsAdapter()
