"""aiohttp's client sessions.

The guard stands in ``session._request``, through which every call of a session goes, the handshake of a websocket too.
So one call is a request with its redirects, the middlewares of a session or a call run in each attempt, and mocks that
replace the class's own method are guarded. The body of a response is the caller's to read: what fails there is not
retried.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import aiohttp
from aiohttp import ClientResponse, ClientSession, FormData, payload
from aiohttp.payload import IOBasePayload, Payload
from multidict import CIMultiDict

from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._protection import Protection
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import FIXED, Body, FileBody, OneTimeBody
from resilience.clients.call_options import NAME, ParsedOptions, parse_options
from resilience.clients.exchange import MAX_DRAINED, AsyncExchange
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "AiohttpAdapter"]

_IN_MEMORY: Final = (str, bytes, bytearray, memoryview)


class AiohttpAdapter(Adapter[ClientSession]):
    """The adapter for `aiohttp.ClientSession`.

    The session is changed in place. The function that replaces its method holds the session weakly: aiohttp warns of a
    session that is collected while it is open, and a reference cycle would delay that warning.
    """

    def covers(self, client: object) -> bool:
        """Return whether *client* is a session, or of a class that derives from it."""
        return isinstance(client, ClientSession)

    def is_async(self, client: ClientSession) -> bool:
        return True

    def errors(self, client: ClientSession) -> ErrorTree:
        """Return the classes that programs catch: both are `aiohttp.ClientError`, and a limit is a `TimeoutError`."""
        return ErrorTree(aiohttp.ClientConnectionError, aiohttp.ServerTimeoutError)

    def sends_headers(self, client: ClientSession) -> bool:
        return True

    def dependency(self, client: ClientSession) -> str:
        """Return the host of the session's ``base_url``, else the name of the library."""
        base = client._base_url
        if base is None:
            return "aiohttp"
        return base.host_port_subcomponent or "aiohttp"

    def install(self, client: ClientSession, guard: Guard | AsyncGuard, protection: Protection) -> ClientSession:
        """Replace ``_request`` in the attributes of the session itself.

        The class keeps its own, which each attempt calls: so what patches the class, as mocks do, is still reached.
        """
        assert isinstance(guard, AsyncGuard)
        if safe_getattr(client, "_retry_connection"):
            client._retry_connection = False
            protection.note("aiohttp no longer sends a request again by itself when the server has closed a connection")
        # A session that is not closed says so when it is collected: no cycle may delay that.
        own = weakref.ref(client)

        def request(method: str, url: Any, **keywords: Any) -> Any:
            session = cast("ClientSession", own())
            options = _options_of(keywords)
            if not options.enabled:
                return type(session)._request(session, method, url, **keywords)
            return _carried_out(guard, _Call(session, method, url, keywords, options))

        client.__dict__["_request"] = request
        return client

    def inspect(self, client: ClientSession) -> list[Finding]:
        """Return the repetition on a lost connection, a missing time limit, and the limit of the connector."""
        findings: list[Finding] = []
        if safe_getattr(client, "_retry_connection"):
            text = "aiohttp sends an idempotent request again when the server has closed the connection"
            findings.append(Finding("retries", text, 2))
        timeout = client.timeout
        if not any((timeout.total, timeout.sock_read)):
            text = "the session waits for ever: its timeout has no total, no sock_read"
            findings.append(Finding("time_limit", text, problem=True))
        connector = client.connector
        if connector is not None and connector.limit:
            text = f"the connector has at most {connector.limit} connections; a call waits for one"
            findings.append(Finding("pool", text))
        return findings


def _options_of(keywords: dict[str, Any]) -> ParsedOptions:
    """Return the options that a call carries in its ``trace_request_ctx``, where that is a mapping."""
    context: object = keywords.get("trace_request_ctx")
    if not isinstance(context, Mapping):
        return parse_options(None)
    return parse_options(cast("Mapping[object, object]", context).get(NAME))


async def _carried_out(guard: AsyncGuard, call: _Call) -> Any:
    """Make the call, and close its body at the end, as aiohttp does."""
    try:
        return await guard.call(call)
    finally:
        await call.close_body()


class _Call(AsyncExchange[ClientResponse]):
    """A call of ``session._request``.

    The payload of the request belongs to the call and not to an attempt, so the call closes it, once, at its end.
    """

    def __init__(
        self, session: ClientSession, method: str, url: Any, keywords: dict[str, Any], options: ParsedOptions
    ) -> None:
        super().__init__(options)
        self.method: str = method.upper()
        self._session = session
        self._given = (method, url)
        self._keywords = keywords
        self._payload: _Payload | None = None

    @property
    def url(self) -> str:
        """The URL as the session builds it from its ``base_url`` and what the caller gave."""
        return str(self._session._build_url(self._given[1]))

    @property
    def host(self) -> str:
        return self._session._build_url(self._given[1]).host_port_subcomponent or ""

    def request_headers(self) -> object:
        """Return the headers of the session and of the call, as aiohttp puts them together."""
        return self._session._prepare_headers(self._keywords.get("headers"))

    def set_header(self, name: str, value: str) -> None:
        """Set the header beside those of the call, in a mapping of its own: the caller's stays as it is."""
        headers: CIMultiDict[str] = CIMultiDict(self._keywords.get("headers") or ())
        headers[name] = value
        self._keywords["headers"] = headers

    def body(self) -> Body:
        """Return the body, made into aiohttp's payload where it is more than bytes or text.

        aiohttp would close a file at the end of the first attempt; a payload of the call's own stays open.
        """
        data = self._keywords.get("data")
        if self._keywords.get("upload_tracker") is not None:
            return OneTimeBody()  # a tracker follows one request
        if data is None or isinstance(data, _IN_MEMORY):
            return FIXED
        self._payload = _Payload(data)
        self._keywords["data"] = self._payload.value
        return self._payload

    async def close_body(self) -> None:
        """Close the body of the request, if it is the call's."""
        if self._payload is not None:
            await self._payload.close()

    def status(self, response: ClientResponse) -> int:
        return response.status

    async def send(self) -> ClientResponse:
        """Make one attempt, with redirects. The body of the response is the caller's."""
        session = self._session
        return await type(session)._request(session, *self._given, **self._keywords)

    async def settle(self, response: ClientResponse) -> None:
        """Wait until all of the body has arrived, or as much as is read of a failure: aiohttp keeps it for the caller.

        The connection is free as soon as the end of the body is there.
        """
        content = response.content
        if content.is_eof():
            return
        limit = min(MAX_DRAINED, content.get_read_buffer_limits()[1])
        if (response.content_length or 0) > limit:
            return
        while not content.is_eof() and content.exception() is None and content.total_bytes <= limit:
            try:
                await content._wait("settle")
            except Exception:  # the caller gets it, who reads the body
                return

    async def close(self, response: ClientResponse) -> None:
        """Release the connection: aiohttp closes one whose body has not been read to its end."""
        response.release()  # one that has not been read to its end is closed


class _Payload(FileBody):
    """The body of a request as aiohttp's payload, which stays open for all attempts.

    A payload sets its files back by itself, and knows whether it has used up what cannot be read again.
    """

    def __init__(self, data: Any) -> None:
        self.value: Payload = _payload_of(data)
        super().__init__(*(part._value for part in _parts_of(self.value) if isinstance(part, IOBasePayload)))
        vars(self.value)["close"] = _stay_open

    def may_repeat(self) -> bool:
        """Return whether the payload, and each of its files, can be read from its start again."""
        return not self.value.consumed and super().may_repeat()

    def rewind(self) -> None:
        """Leave it to the payload."""

    async def close(self) -> None:
        """Close the payload and its files."""
        vars(self.value).pop("close", None)
        await self.value.close()


async def _stay_open() -> None:
    """Do nothing, at the end of an attempt."""


def _payload_of(data: Any) -> Payload:
    """Return the payload that aiohttp makes of *data*."""
    if isinstance(data, FormData):
        data = data()
    try:
        return payload.PAYLOAD_REGISTRY.get(data, disposition=None)
    except payload.LookupError:
        return FormData(data)()


def _parts_of(value: Payload) -> Iterator[Payload]:
    """Yield the payload, and those that a multipart payload consists of."""
    yield value
    if isinstance(value, aiohttp.MultipartWriter):
        for part, _, _ in value:
            yield from _parts_of(part)


ADAPTER: Final = AiohttpAdapter()
