"""httpx, sync and async, and clients of its kind: httpx2 has classes of its own with the same methods.

The guard stands in ``client.send``, through which every call of a client goes. So one call is a request with its
redirects and its authentication, mounts, proxies and other transports work as they do, and what instruments a transport
sees each attempt.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from resilience._deadline_context import current_deadline_any_clock
from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._httpx_streams import AsyncStream, SyncStream, TimedStream, stream_class, take, take_async
from resilience.clients._protection import Protection
from resilience.clients.adapter import Adapter, Finding
from resilience.clients.bodies import FIXED, Body, FileBody, OneTimeBody, body_of
from resilience.clients.call_options import NAME, ParsedOptions, parse_options
from resilience.clients.exchange import MAX_DRAINED, AsyncExchange, BaseExchange, Exchange
from resilience.clients.guards import AsyncGuard, Guard

__all__ = ["ADAPTER", "HttpxAdapter"]

_FIRST_ERROR: Final = 400
_LEAST: Final = 0.001  # seconds: zero means "no limit" to some, and "do not block" to others


class HttpxAdapter(Adapter[Any]):
    """The adapter for the clients of *library*, a module with the classes of httpx.

    The client is changed in place, in its own attributes: a program that holds the client already, such as a generated
    API client that was given it, is guarded from then on. The class stays as it is.
    """

    def __init__(self, library: str) -> None:
        """Make the classes of streams that responses of *library* accept: it asks for its own base classes."""
        self.library: Any = importlib.import_module(library)
        self.sync_stream: type[Any] = stream_class(SyncStream, self.library.SyncByteStream)
        self.timed_stream: type[Any] = stream_class(TimedStream, self.library.SyncByteStream)
        self.async_stream: type[Any] = stream_class(AsyncStream, self.library.AsyncByteStream)

    def covers(self, client: object) -> bool:
        """Return whether *client* is a client of this library; httpx2 has classes of its own."""
        return isinstance(client, self.library.Client | self.library.AsyncClient)

    def is_async(self, client: Any) -> bool:
        return isinstance(client, self.library.AsyncClient)

    def errors(self, client: Any) -> ErrorTree:
        """Return the classes that programs catch.

        A rejection is a `TransportError`, as an error while connecting is; a limit of a policy is a `TimeoutException`.
        """
        return ErrorTree(self.library.TransportError, self.library.TimeoutException)

    def sends_headers(self, client: Any) -> bool:
        return True

    def inspect(self, client: Any) -> list[Finding]:
        """Return the retries of the transports, missing time limits, and the size of the pool."""
        from resilience.clients._httpx_findings import findings_of

        return list(findings_of(client))

    def dependency(self, client: Any) -> str:
        """Return the host of ``base_url``, else the name of the library."""
        return str(client.base_url.netloc, "ascii") or str(self.library.__name__)

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        """Replace ``send`` in the attributes of the client itself, which all its methods call.

        What a subclass has as its ``send`` runs in each attempt.
        """
        send = client.send
        if isinstance(guard, AsyncGuard):
            client.send = self._async_send(client, send, guard)
        else:
            client.send = self._sync_send(client, send, guard)
        return client

    def _sync_send(self, client: Any, send: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
        """Return the function that stands in the place of *send*, and takes each request through *guard*.

        A request whose options are False goes past it.
        """
        genuine = _Genuine(self, client, send)

        def guarded(request: Any, **keywords: Any) -> Any:
            options = parse_options(request.extensions.get(NAME))
            if not options.enabled:
                return send(request, **keywords)
            return guard.call(_SyncCall(genuine, request, keywords, options))

        return guarded

    def _async_send(
        self, client: Any, send: Callable[..., Awaitable[Any]], guard: AsyncGuard
    ) -> Callable[..., Awaitable[Any]]:
        """Return the same of an async client."""
        genuine = _Genuine(self, client, send)

        async def guarded(request: Any, **keywords: Any) -> Any:
            options = parse_options(request.extensions.get(NAME))
            if not options.enabled:
                return await send(request, **keywords)
            return await guard.call(_AsyncCall(genuine, request, keywords, options))

        return guarded


class _Genuine:
    """A *client* as it was before it was protected, whose method is *send*."""

    __slots__ = ("adapter", "client", "send")

    def __init__(self, adapter: HttpxAdapter, client: Any, send: Callable[..., Any]) -> None:
        self.adapter: HttpxAdapter = adapter
        self.client: Any = client
        self.send: Callable[..., Any] = send


class _Call(BaseExchange[Any]):
    """A call of ``client.send``.

    The body of a response is left unread by the client, which is asked for a stream in each attempt: the status decides
    first. The body of a success is read as part of the attempt, unless the caller has asked for a stream.
    """

    _limits: _Limits | None = None

    def __init__(self, genuine: _Genuine, request: Any, keywords: dict[str, Any], options: ParsedOptions) -> None:
        super().__init__(options)
        self.genuine: _Genuine = genuine
        self.method: str = request.method
        self.request: Any = request
        self.streams: bool = keywords.pop("stream", False)
        self._given: Any = request
        #: Those of the caller: an attempt has others, and two of them may run at once.
        self._extensions: Any = request.extensions
        self._keywords = keywords

    @property
    def url(self) -> str:
        return str(self.request.url)

    @property
    def host(self) -> str:
        """The host as the URL has it, with its port where that is not the scheme's own."""
        return str(self.request.url.netloc, "ascii")

    def request_headers(self) -> object:
        return self.request.headers

    def set_header(self, name: str, value: str) -> None:
        """Set the header on a copy of the request: the caller may send its own once more, by another client."""
        if self.request is self._given:
            self.request = _copied(self._given)
        self.request.headers[name] = value

    def body(self) -> Body:
        """Return the body that the request's stream has.

        Bytes and forms are in memory. A form with files has the files in its fields. What the user has given as a
        generator or a file is below a stream of the library's; a stream of the user's own class is sent once.
        """
        stream = self.request.stream
        if isinstance(stream, self.genuine.adapter.library.ByteStream):
            return FIXED
        fields = safe_getattr(stream, "fields")
        if isinstance(fields, list):  # of a form with files
            files = [safe_getattr(field, "file") for field in cast("list[object]", fields)]
            return FileBody(*(file for file in files if not isinstance(file, str | bytes | None)))
        source = safe_getattr(stream, "_stream")
        if source is None:  # a stream of the user's own class
            return OneTimeBody()
        body = body_of(source)
        if isinstance(body, OneTimeBody):
            return OneTimeBody(lambda: safe_getattr(stream, "_is_stream_consumed") is False)
        return body

    def status(self, response: Any) -> int:
        return int(response.status_code)

    def receive_fault(self, error: Exception) -> Exception:
        response: Any = safe_getattr(error, "response")
        if response is not None:
            response.request = self.request
        return super().receive_fault(error)

    def describe_failure(self, error: BaseException) -> None:
        """Set the request that ``error.request`` returns: the library raises RuntimeError where there is none."""
        error.__dict__["_request"] = self.request

    def send_in_time(self) -> Any:
        """Send the request, with its time limits cut to what is left; the request itself keeps its own.

        The result is awaited where the client is async.
        """
        request, own = self.request, self._extensions
        limits = _Limits(own.get("timeout") or self.genuine.client.timeout.as_dict())
        limits.due, limits.now = self.due, self.clock.now
        self._limits = limits
        request.extensions = {**own, "timeout": limits}
        return self.genuine.send(request, stream=True, **self._keywords)

    def hand_over(self, response: Any) -> Any:
        """Return the *response* of a stream: its body is read within the client's own limits."""
        if self._limits is not None:
            self._limits.due = math.inf
        return response


def _copied(request: Any) -> Any:
    """Return a copy of *request* with headers of its own, and the same body."""
    copied: Any = object.__new__(cast("type[object]", type(request)))
    copied.__dict__.update(request.__dict__, headers=request.headers.copy())
    return copied


class _Limits(dict[str, float | None]):
    """The time limits of a request, each cut to what is left until it is *due* when the transport asks for it.

    It asks again after each redirect, for each phase. Plain numbers would be those of the first request: three
    redirects could take three times as long as the deadline allows.
    """

    __slots__ = ("due", "now")

    due: float
    now: Callable[[], float]

    def __getitem__(self, name: str) -> float | None:
        limit: float | None = self.get(name)
        return limit

    def get(self, name: str, default: Any = None) -> Any:
        """Return the limit *name*, or what is left where that is less; a transport asks by this method."""
        limit = _get(self, name, default)
        left = self.due - self.now()
        if limit is not None and limit <= left:
            return limit
        if left == math.inf:
            return None
        return max(left, _LEAST)


_get: Final = cast("Callable[..., Any]", dict.get)  # pyright: ignore[reportUnknownMemberType]


class _SyncCall(_Call, Exchange[Any]):
    """A call of a sync client: nothing can interrupt it, so its time limits are those of the transport."""

    def send(self) -> Any:
        """Make one attempt as a stream, so that the body of a failure is left to `settle`; read that of a success."""
        if self.due == math.inf:
            response = self.genuine.send(self.request, stream=True, **self._keywords)
        else:
            try:
                response = self.send_in_time()
            finally:
                self.request.extensions = self._extensions
        if response.status_code >= _FIRST_ERROR:
            return response
        return self.finish(response)

    def _read(self, response: Any) -> Any:
        """Read the body of *response* in time, as ``send`` without ``stream=True`` does; close it where that fails."""
        try:
            if self.due < math.inf and not response.is_closed:
                response.stream = self.genuine.adapter.timed_stream(response.stream, self._check_time)
            response.read()
        except BaseException:
            response.close()
            raise
        return response

    def _check_time(self) -> None:
        """Raise the library's error of a read that took too long where the time of the attempt has passed."""
        if self.due <= self.clock.now():
            late = self.genuine.adapter.library.ReadTimeout
            raise late("the body took too long", request=self.request)

    def settle(self, response: Any) -> None:
        """Read the body in advance, and leave what was read to the response in place of its stream."""
        if response.is_closed or _is_long(response):
            return
        stream = response.stream
        response.stream = self.genuine.adapter.sync_stream(take(stream), stream.close)

    def close(self, response: Any) -> None:
        response.close()

    def finish(self, response: Any) -> Any:
        """Return the response of a stream as it is; read that of any other call."""
        if self.streams:
            return self.hand_over(response)
        return self._read(response)


class _AsyncCall(_Call, AsyncExchange[Any]):
    """A call of an async client: the limits of its policies cancel it."""

    async def send(self) -> Any:
        """Make one attempt, as `_SyncCall.send` does.

        Limits that cancel the task need no help of the transport's. A deadline that does not is kept by the transport:
        one of an enclosing ``with`` block, and all of them outside of asyncio and under a test's clock.
        """
        if self.due == math.inf or current_deadline_any_clock() is None:  # what limits it cancels it as well
            response = await self.genuine.send(self.request, stream=True, **self._keywords)
        else:
            try:
                response = await self.send_in_time()
            finally:
                self.request.extensions = self._extensions
        if response.status_code >= _FIRST_ERROR:
            return response
        return await self.finish(response)

    async def _read(self, response: Any) -> Any:
        """Read the body of *response*, and close it where that fails or is cancelled."""
        try:
            await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response

    async def settle(self, response: Any) -> None:
        if response.is_closed or _is_long(response):
            return
        stream = response.stream
        response.stream = self.genuine.adapter.async_stream(await take_async(stream), stream.aclose)

    async def close(self, response: Any) -> None:
        await response.aclose()

    async def finish(self, response: Any) -> Any:
        if self.streams:
            return self.hand_over(response)
        return await self._read(response)


def _is_long(response: Any) -> bool:
    """Whether the server says that the body is longer than what is read of a failure."""
    length = response.headers.get("content-length", "")
    return length.isdecimal() and int(length) > MAX_DRAINED


ADAPTER: Final = HttpxAdapter("httpx")
