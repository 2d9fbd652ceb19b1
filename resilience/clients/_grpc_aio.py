"""The interceptors that guard a channel of `grpc.aio`: the outermost ones of the genuine channel.

gRPC runs interceptors in a task of the call, and lets them make the call several times. What the caller gets is the
call object that gRPC makes for any channel with interceptors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio  # type: ignore[import-untyped, unused-ignore]

from resilience.clients._grpc_call import GrpcExchange, Method, Peer, left_until, moment_in
from resilience.clients.exchange import AsyncExchange
from resilience.clients.guards import AsyncGuard

__all__ = ["interceptors_of"]

_NO_MESSAGE = object()


class _AsyncExchange(GrpcExchange, AsyncExchange[Any]):
    """A call of `grpc.aio`: *continuation* makes an attempt, as *details* and the request say.

    An attempt that fails or is cancelled cancels its call object: the server would go on working for it otherwise.
    """

    def __init__(self, continuation: Callable[..., Awaitable[Any]], details: Any, method: Method, request: Any) -> None:
        super().__init__(method, request, details.timeout, details.metadata)
        self._continuation = continuation
        self._details = details
        self._ends = moment_in(details.timeout)

    async def send(self) -> Any:
        """Make one attempt, which has what is left of the time as its deadline."""
        timeout = self.time_left() if self.called.responds_once else left_until(self._ends)
        call = await self._continuation(self._details._replace(timeout=timeout), self.request)
        try:
            return await self.begun(call)
        except BaseException:
            call.cancel()
            raise

    async def begun(self, call: Any) -> Any:
        """Return *call* once it is known to have succeeded: with its response."""
        await call
        return call

    async def settle(self, response: Any) -> None:
        """Do nothing: a failed call raises."""

    async def close(self, response: Any) -> None:
        """Do nothing: the call has ended with its response."""


class _AsyncStreamExchange(_AsyncExchange):
    """A call with a stream of responses: it has succeeded with the first message, or its end."""

    async def begun(self, call: Any) -> Any:
        """Return the call with its first message."""
        messages = aiter(call)
        return call, await anext(messages, _NO_MESSAGE), messages

    async def close(self, response: Any) -> None:
        """Cancel the call, whose messages the caller does not get."""
        response[0].cancel()


class _AsyncDuplexExchange(_AsyncExchange):
    """A call with streams in both directions: it has succeeded when it has begun."""

    async def begun(self, call: Any) -> Any:
        """Return the call: either side may wait for the other's first message."""
        return call

    async def close(self, response: Any) -> None:
        """Cancel the call."""
        response.cancel()


class _Interceptor:
    """The base of the interceptors of the four kinds: it takes a call through the guard."""

    def __init__(self, guard: AsyncGuard, peer: Peer) -> None:
        self._guard = guard
        self._peer = peer

    async def _call(
        self, exchange: type[_AsyncExchange], continuation: Any, details: Any, request: Any, kind: tuple[bool, bool]
    ) -> Any:
        path = details.method
        if isinstance(path, bytes):
            path = path.decode()
        return await self._guard.call(exchange(continuation, details, Method(path, self._peer, *kind), request))


class _UnaryUnary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """The interceptor of methods with one request and one response."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._call(_AsyncExchange, continuation, client_call_details, request, (True, True))


class _StreamUnary(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    """The interceptor of methods with a stream of requests and one response."""

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._call(_AsyncExchange, continuation, client_call_details, request_iterator, (True, False))


class _UnaryStream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc, unused-ignore]
    """The interceptor of methods with one request and a stream of responses."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        _, first, rest = await self._call(
            _AsyncStreamExchange, continuation, client_call_details, request, (False, True)
        )
        return _messages(first, rest)


class _StreamStream(_Interceptor, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc, unused-ignore]
    """The interceptor of methods with streams in both directions."""

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        kind = (False, False)
        return await self._call(_AsyncDuplexExchange, continuation, client_call_details, request_iterator, kind)


async def _messages(first: object, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield the first message, and those that follow it."""
    if first is not _NO_MESSAGE:
        yield first
        async for message in rest:
            yield message


def interceptors_of(guard: AsyncGuard, peer: Peer) -> dict[str, Any]:
    """Return the interceptor for each kind of method."""
    return {
        "unary_unary": _UnaryUnary(guard, peer),
        "unary_stream": _UnaryStream(guard, peer),
        "stream_unary": _StreamUnary(guard, peer),
        "stream_stream": _StreamStream(guard, peer),
    }
