"""httpx, sync and async, and clients of its kind: httpx2 has classes of its own with the same methods.

The guard stands in ``client.send``, through which every call of a client goes. So one call is a request with its
redirects and its authentication, mounts, proxies and other transports work as they do, and what instruments a transport
sees each attempt.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

from resilience._safe_access import safe_getattr
from resilience.clients._error_tree import ErrorTree
from resilience.clients._httpx_streams import AsyncStream, SyncStream, stream_class, take, take_async
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
    """The adapter for the clients of *library*, a module with the classes of httpx."""

    def __init__(self, library: str) -> None:
        self.library: Any = importlib.import_module(library)
        self.sync_stream: type[Any] = stream_class(SyncStream, self.library.SyncByteStream)
        self.async_stream: type[Any] = stream_class(AsyncStream, self.library.AsyncByteStream)

    def covers(self, client: object) -> bool:
        return isinstance(client, self.library.Client | self.library.AsyncClient)

    def is_async(self, client: Any) -> bool:
        return isinstance(client, self.library.AsyncClient)

    def errors(self, client: Any) -> ErrorTree:
        return ErrorTree(self.library.TransportError, self.library.TimeoutException)

    def sends_headers(self, client: Any) -> bool:
        return True

    def inspect(self, client: Any) -> list[Finding]:
        from resilience.clients._httpx_findings import findings_of

        return list(findings_of(client))

    def dependency(self, client: Any) -> str:
        return str(client.base_url.netloc, "ascii") or str(self.library.__name__)

    def install(self, client: Any, guard: Guard | AsyncGuard, protection: Protection) -> Any:
        send = client.send
        if isinstance(guard, AsyncGuard):
            client.send = self._async_send(client, send, guard)
        else:
            client.send = self._sync_send(client, send, guard)
        return client

    def _sync_send(self, client: Any, send: Callable[..., Any], guard: Guard) -> Callable[..., Any]:
        def guarded(request: Any, **keywords: Any) -> Any:
            options = parse_options(request.extensions.get(NAME))
            if not options.enabled:
                return send(request, **keywords)
            return guard.call(_SyncCall(self, client, send, request, keywords, options))

        return guarded

    def _async_send(
        self, client: Any, send: Callable[..., Awaitable[Any]], guard: AsyncGuard
    ) -> Callable[..., Awaitable[Any]]:
        async def guarded(request: Any, **keywords: Any) -> Any:
            options = parse_options(request.extensions.get(NAME))
            if not options.enabled:
                return await send(request, **keywords)
            return await guard.call(_AsyncCall(self, client, send, request, keywords, options))

        return guarded


class _Call(BaseExchange[Any]):
    """A call of ``client.send``."""

    def __init__(
        self,
        adapter: HttpxAdapter,
        client: Any,
        send: Any,
        request: Any,
        keywords: dict[str, Any],
        options: ParsedOptions,
    ) -> None:
        super().__init__(options)
        self.method: str = request.method
        self.request: Any = request
        self.adapter: HttpxAdapter = adapter
        self._client = client
        self._send = send
        self._streams: bool = keywords.pop("stream", False)
        self._keywords = keywords

    @property
    def url(self) -> str:
        return str(self.request.url)

    @property
    def host(self) -> str:
        return str(self.request.url.netloc, "ascii")

    def request_headers(self) -> object:
        return self.request.headers

    def set_header(self, name: str, value: str) -> None:
        self.request.headers[name] = value

    def body(self) -> Body:
        stream = self.request.stream
        if isinstance(stream, self.adapter.library.ByteStream):
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
        error.__dict__["_request"] = self.request

    def limit_time(self) -> None:
        """Cut the time limits of the request to what is left; where nothing limits the call they stay as they are."""
        if self.due == math.inf:
            return
        limits = self.request.extensions.get("timeout")
        if not isinstance(limits, _Limits):
            limits = _Limits(limits or self._client.timeout.as_dict())
            self.request.extensions = {**self.request.extensions, "timeout": limits}
        limits.call = self

    def hand_over(self, response: Any) -> Any:
        """Return the *response* of a stream: its body is read within the client's own limits."""
        limits = self.request.extensions.get("timeout")
        if isinstance(limits, _Limits):
            limits.call = None
        return response


class _Limits(dict[str, float | None]):
    """The time limits of a request, each cut to what is left of its *call* when the transport asks for it.

    It asks again after each redirect, for each phase.
    """

    call: _Call | None = None

    def __getitem__(self, name: str) -> float | None:
        limit: float | None = self.get(name)
        return limit

    def get(self, name: str, default: Any = None) -> Any:
        limit = super().get(name, default)
        if self.call is None:
            return limit
        left = max(self.call.due - self.call.clock.now(), _LEAST)
        if limit is None or left < limit:
            return left
        return limit


class _SyncCall(_Call, Exchange[Any]):
    def send(self) -> Any:
        self.limit_time()
        response = self._send(self.request, stream=True, **self._keywords)
        if response.status_code >= _FIRST_ERROR:
            return response
        return self.finish(response)

    def _read(self, response: Any) -> Any:
        try:
            if self.time_left() is not None and not response.is_closed:
                stream = response.stream
                response.stream = self.adapter.sync_stream(self._in_time(stream), stream.close)
            response.read()
        except BaseException:
            response.close()
            raise
        return response

    def _in_time(self, chunks: Any) -> Iterator[bytes]:
        """Yield *chunks* until the time has passed: each may come in time, and all of them too late."""
        for chunk in chunks:
            if self.time_left() == 0:
                raise self.adapter.library.ReadTimeout("the body took too long", request=self.request)
            yield chunk

    def settle(self, response: Any) -> None:
        if response.is_closed or _is_long(response):
            return
        stream = response.stream
        response.stream = self.adapter.sync_stream(take(stream), stream.close)

    def close(self, response: Any) -> None:
        response.close()

    def finish(self, response: Any) -> Any:
        if self._streams:
            return self.hand_over(response)
        return self._read(response)


class _AsyncCall(_Call, AsyncExchange[Any]):
    async def send(self) -> Any:
        self.limit_time()
        response = await self._send(self.request, stream=True, **self._keywords)
        if response.status_code >= _FIRST_ERROR:
            return response
        return await self.finish(response)

    async def _read(self, response: Any) -> Any:
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
        response.stream = self.adapter.async_stream(await take_async(stream), stream.aclose)

    async def close(self, response: Any) -> None:
        await response.aclose()

    async def finish(self, response: Any) -> Any:
        if self._streams:
            return self.hand_over(response)
        return await self._read(response)


def _is_long(response: Any) -> bool:
    """Whether the server says that the body is longer than what is read of a failure."""
    length = response.headers.get("content-length", "")
    return length.isdecimal() and int(length) > MAX_DRAINED


ADAPTER: Final = HttpxAdapter("httpx")
