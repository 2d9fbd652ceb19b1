"""gRPC server interceptors that put the deadline of a call in force: one for sync servers, one for asyncio.

gRPC has the deadline of a call on the wire itself (``grpc-timeout``), and its server cancels a call for which the
client has stopped waiting. What a handler calls does not know of it, unless the server's side puts it in force.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeAlias

import grpc  # type: ignore[import-untyped, unused-ignore]
import grpc.aio  # type: ignore[import-untyped, unused-ignore]

from resilience._deadline_context import ActiveDeadline
from resilience._runtime.callables import Kind, kind_of, name_of
from resilience.errors.base import DeadlineExceededError
from resilience.integrations.deadlines._arrival import Arrival, active_deadline, late_errors, report_expired, within
from resilience.policies.deadline import Deadline

__all__ = ["AsyncDeadlineInterceptor", "DeadlineInterceptor"]

_Context: TypeAlias = Any  # the servicer's context of either server
_Handler: TypeAlias = Any  # a `grpc.RpcMethodHandler`
_Behavior: TypeAlias = Callable[[Any, _Context], Any]

_PASSED = "the deadline has passed"
_FOREVER = 3e8  # seconds, ten years: what `time_remaining` says where the client has set no deadline is longer


_SOON = 1e-9  # seconds: a deadline that has just passed
_END = object()


class _Limits:
    """The deadline of a call, from its context and the limits of the server."""

    __slots__ = ("_arrival",)

    def __init__(self, default: float | timedelta | None, maximum: float | timedelta | None) -> None:
        self._arrival = Arrival(default, maximum)

    def seconds(self, context: _Context) -> float | None:
        """Return the seconds that are left for the call; None: no limit."""
        asked: float | None = context.time_remaining()
        if asked is not None and asked > _FOREVER:
            asked = None
        return self._arrival.seconds(asked)


class DeadlineInterceptor(grpc.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Put the deadline of each call in force for its handler, on a sync server.

    The handler reads it by `remaining`; its guarded calls begin nothing that could not end in time. Nothing interrupts
    the handler itself. Where it raises `DeadlineExceededError` the call ends with DEADLINE_EXCEEDED; a call whose
    deadline had passed on arrival ends so at once, and its handler is not called.

    Args:
        default: seconds for a call without a deadline. None: no limit.
        maximum: the most seconds that a client gets, whatever it asks for. None: as many as it asks for.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> server = grpc.server(ThreadPoolExecutor(), interceptors=[DeadlineInterceptor(maximum=30)])
    """

    def __init__(self, *, default: float | timedelta | None = None, maximum: float | timedelta | None = 60) -> None:
        self._limits = _Limits(default, maximum)

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Return the handler of the call, within its deadline."""
        return _replaced(continuation(handler_call_details), self._limited)

    def _limited(self, behavior: _Behavior, streams: bool) -> _Behavior:
        target = name_of(behavior)

        def handle(request: Any, context: _Context) -> Any:
            due = self._due(context, target)
            if due is None:
                return behavior(request, context)
            try:
                with within(due, target):
                    answer = behavior(request, context)
            except DeadlineExceededError:
                context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _PASSED)
                raise  # not reached: `abort` raises
            if streams:
                return _messages(iter(answer), due, target, context)
            return answer

        return handle

    def _due(self, context: _Context, target: str) -> ActiveDeadline | None:
        seconds = self._limits.seconds(context)
        if seconds is None:
            return None
        if seconds <= 0:
            report_expired(target)
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _PASSED)
        return active_deadline(seconds)


def _messages(answer: Iterator[Any], due: ActiveDeadline, target: str, context: _Context) -> Iterator[Any]:
    """Yield the messages of an *answer*, each made within the deadline."""
    try:
        while True:
            with within(due, target):
                message = next(answer, _END)
            if message is _END:
                return
            yield message
    except DeadlineExceededError:
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _PASSED)


class AsyncDeadlineInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc, unused-ignore]
    """Put the deadline of each call in force for its handler, on a server of `grpc.aio`: it is cancelled when it comes.

    The options, and all else, are as for `DeadlineInterceptor`. A handler that is not async is not interrupted.

    >>> async def serve():
    ...     return grpc.aio.server(interceptors=[AsyncDeadlineInterceptor(maximum=30)])
    """

    def __init__(self, *, default: float | timedelta | None = None, maximum: float | timedelta | None = 60) -> None:
        self._limits = _Limits(default, maximum)
        self._sync = DeadlineInterceptor(default=default, maximum=maximum)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Return the handler of the call, within its deadline."""
        return _replaced(await continuation(handler_call_details), self._limited)

    def _limited(self, behavior: _Behavior, streams: bool) -> _Behavior:
        kind, target = kind_of(behavior), name_of(behavior)
        if kind is Kind.COROUTINE:
            return self._awaited(behavior, target)
        if kind is Kind.ASYNC_GENERATOR:
            return self._streamed(behavior, target)
        return self._sync._limited(behavior, streams)

    def _awaited(self, behavior: _Behavior, target: str) -> _Behavior:
        async def handle(request: Any, context: _Context) -> Any:
            seconds = self._limits.seconds(context)
            try:
                left = _left(seconds, target)
                if left is None:
                    return await behavior(request, context)
                with late_errors(active_deadline(left), target):
                    return await Deadline(left).acall(behavior, request, context)
            except DeadlineExceededError:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _PASSED)

        return handle

    def _streamed(self, behavior: _Behavior, target: str) -> _Behavior:
        async def handle(request: Any, context: _Context) -> AsyncIterator[Any]:
            seconds = self._limits.seconds(context)
            try:
                left = _left(seconds, target)
                async with (
                    aclosing(behavior(request, context)) as made,
                    aclosing(_in_time(made, left, behavior)) as messages,
                ):
                    async for message in messages:
                        yield message
            except DeadlineExceededError:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _PASSED)

        return handle


async def _in_time(messages: AsyncIterator[Any], seconds: float | None, behavior: _Behavior) -> AsyncGenerator[Any]:
    """Yield the *messages*, where each is made within what is left of so many *seconds*; None: no limit.

    The limit is around each message: around all of them it would cancel what sends them as well.
    """

    @functools.wraps(behavior)
    async def following() -> Any:
        return await anext(messages, _END)

    if seconds is None:
        async for message in messages:
            yield message
        return
    due = active_deadline(seconds)
    while True:
        with late_errors(due, name_of(behavior)):
            message = await Deadline(max(due.moment - due.clock.now(), _SOON)).acall(following)
        if message is _END:
            return
        yield message


def _left(seconds: float | None, target: str) -> float | None:
    """Return *seconds*; raise the error for a call whose deadline had passed on arrival."""
    if seconds is not None and seconds <= 0:
        report_expired(target)
        raise DeadlineExceededError(target)
    return seconds


def _replaced(handler: _Handler, limited: Callable[[_Behavior, bool], _Behavior]) -> _Handler:
    """Return *handler* with a behavior that is *limited*; None for None, a method that is not served."""
    if handler is None:
        return None
    kind = f"{_ARITY[handler.request_streaming]}_{_ARITY[handler.response_streaming]}"
    make: Callable[..., _Handler] = getattr(grpc, f"{kind}_rpc_method_handler")
    behavior = limited(getattr(handler, kind), bool(handler.response_streaming))
    return make(behavior, handler.request_deserializer, handler.response_serializer)


_ARITY = {False: "unary", True: "stream"}
