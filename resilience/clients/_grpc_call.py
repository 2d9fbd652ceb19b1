"""One call of a gRPC channel as policies see it, and the four kinds of methods of a sync channel.

A method of a stub is a multicallable that the channel has made. Here each has another one around it, with the same
interface, that takes the calls through the guard:

* A unary response: the call is an exchange; each attempt has what is left of the time as its own deadline.
* A stream in response to one request: the call is made when its first message is asked for, and the exchange ends with
  that message. What comes later is the caller's.
* A stream of requests is consumed by the first attempt, so there is no other. With a stream in both directions the
  exchange ends when the call has begun: the two sides may wait for each other from then on.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple, cast

import grpc  # type: ignore[import-untyped, unused-ignore]

from resilience._deadline_context import remaining
from resilience.clients._grpc_errors import describe
from resilience.clients.bodies import FIXED, Body, OneTimeBody
from resilience.clients.call_options import parse_options
from resilience.clients.exchange import BaseExchange, Exchange
from resilience.clients.guards import Guard
from resilience.clock import current_clock

__all__ = ["KINDS", "GrpcExchange", "Method", "Peer", "guarded_method", "left_until", "moment_in"]

KINDS: Final = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
"""The kinds of methods: the factory of each is the channel's method of that name."""

_NO_MESSAGE: Final = object()


class Peer(NamedTuple):
    """The server of a channel, as far as exchanges know it."""

    target: str
    """The channel's target, such as ``dns:///catalogue:443``."""
    idempotency: Callable[[str], str]
    """Returns for the path of a method the HTTP method that is idempotent, or not, in the same way."""


class Method(NamedTuple):
    """A method of a service: its *path*, such as ``/shop.Catalogue/Find``, and what its calls have in common."""

    path: str
    peer: Peer
    responds_once: bool
    requests_once: bool


class GrpcExchange(BaseExchange[Any]):
    """One call of a *method*. The caller's *timeout* is the deadline of the call with its retries, as in gRFC A6.

    gRPC sends the deadline of each attempt to the server by itself. A *timeout* of zero or less counts as a deadline
    that has just passed, as in gRPC.
    """

    def __init__(self, method: Method, request: object, timeout: float | None, metadata: Any) -> None:
        options = parse_options(None)
        if timeout is not None:
            options = options._replace(deadline=max(timeout, _SOON))
        super().__init__(options)
        self.method: str = method.peer.idempotency(method.path)
        self.called: Method = method
        self.request: object = request
        self.metadata: Any = metadata

    @property
    def url(self) -> str:
        return self.called.path

    @property
    def host(self) -> str:
        """The channel's target: a circuit for each host is one for each channel."""
        return self.called.peer.target

    def request_headers(self) -> object:
        """Return the metadata of the call."""
        return dict(cast("Iterable[tuple[str, object]]", self.metadata or ()))

    def body(self) -> Body:
        """Return whether the requests are one message, which is in memory, or a stream of them, which is sent once."""
        return FIXED if self.called.requests_once else OneTimeBody()

    def status(self, response: Any) -> int:
        return 200  # a failed call raises

    def describe_failure(self, error: BaseException) -> None:
        describe(error)


_SOON: Final = 1e-9  # seconds: a deadline that has just passed


def moment_in(timeout: float | None) -> float | None:
    """Return the moment at which a stream must have ended, by the caller's *timeout* or an enclosing deadline."""
    limits = [limit for limit in (timeout, remaining()) if limit is not None]
    if not limits:
        return None
    return current_clock().now() + min(limits)


def left_until(moment: float | None) -> float | None:
    """Return the seconds until *moment*, 0 or more; None for None."""
    if moment is None:
        return None
    return max(moment - current_clock().now(), 0.0)


class _Options(NamedTuple):
    """The keywords of a call that each attempt has as the caller gave them."""

    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _UnaryExchange(GrpcExchange, Exchange[Any]):
    """A call with one response: an attempt returns the response and the finished call.

    With *as_future* the attempt is a future of gRPC's, so that another thread can cancel it.
    """

    def __init__(self, genuine: Any, options: _Options, as_future: bool, *given: Any) -> None:
        super().__init__(*given)
        self._genuine = genuine
        self._options = options
        self._as_future = as_future
        self.current: Any = None

    def send(self) -> Any:
        """Make one attempt, which has what is left of the time as its deadline."""
        keywords = {**self._options._asdict(), "timeout": self.time_left(), "metadata": self.metadata}
        if not self._as_future:
            return self._genuine.with_call(self.request, **keywords)
        self.current = self._genuine.future(self.request, **keywords)
        return self.current.result(), self.current

    def settle(self, response: Any) -> None:
        """Do nothing: a failed call raises."""

    def close(self, response: Any) -> None:
        """Do nothing: the call has ended with its response."""


class _StreamExchange(GrpcExchange, Exchange[Any]):
    """A call with a stream of responses: an attempt returns the call of gRPC's, and its first message.

    The time limits of the policies hold until the first message, *ends* is the moment at which all must have ended.
    """

    def __init__(self, genuine: Any, options: _Options, ends: float | None, *given: Any) -> None:
        super().__init__(*given)
        self._genuine = genuine
        self._options = options
        self._ends = ends

    def send(self) -> Any:
        """Begin the call, and wait for its first message where the server need not wait for further requests."""
        timeout = left_until(self._ends)
        call = self._genuine(self.request, timeout=timeout, metadata=self.metadata, **self._options._asdict())
        if not self.called.requests_once:
            return call, _NO_MESSAGE
        try:
            return call, self._first_of(call)
        except BaseException:
            call.cancel()
            raise

    def _first_of(self, call: Any) -> object:
        """Return the first message of *call*, which is cancelled where that does not come in time."""
        left = self.time_left()
        if left is None:
            return next(call, _NO_MESSAGE)
        late = threading.Event()

        def cancel() -> None:
            late.set()
            call.cancel()

        timer = threading.Timer(left, cancel)
        timer.daemon = True
        timer.start()
        try:
            return next(call, _NO_MESSAGE)
        except grpc.RpcError as error:
            if late.is_set():
                raise FirstMessageTimeoutError from error
            raise
        finally:
            timer.cancel()

    def settle(self, response: Any) -> None:
        """Do nothing: a failed call raises."""

    def close(self, response: Any) -> None:
        """Cancel the call, whose messages the caller does not get."""
        response[0].cancel()


class FirstMessageTimeoutError(grpc.RpcError):  # type: ignore[misc, unused-ignore]
    """The first message of a stream did not come in time; the call was cancelled."""

    def code(self) -> Any:
        """Return DEADLINE_EXCEEDED, as gRPC's own deadline would."""
        return grpc.StatusCode.DEADLINE_EXCEEDED

    def details(self) -> str:
        """Return the reason."""
        return "the first message did not come in time"

    def __str__(self) -> str:
        return self.details()


class _Guarded:
    """The multicallable of a *method* whose calls go through the *guard*: around the *genuine* one of the channel."""

    def __init__(self, genuine: Any, guard: Guard, method: Method) -> None:
        self._genuine = genuine
        self._guard = guard
        self._method = method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._genuine, name)


class _GuardedUnary(_Guarded):
    """A method with one response."""

    def __call__(self, request: Any, *given: Any, **named: Any) -> Any:
        response, _ = self.with_call(request, *given, **named)
        return response

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        """Return the response and the finished call."""
        options = _Options(credentials, wait_for_ready, compression)
        call = (self._method, request, timeout, metadata)
        return self._guard.call(_UnaryExchange(self._genuine, options, False, *call))

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        """Return a future of the call, which goes through the guard in a thread of its own."""
        from resilience.clients._grpc_future import GuardedFuture

        options = _Options(credentials, wait_for_ready, compression)
        exchange = _UnaryExchange(self._genuine, options, True, self._method, request, timeout, metadata)
        return GuardedFuture(functools.partial(self._guard.call, exchange), lambda: exchange.current)


class _GuardedStream(_Guarded):
    """A method with a stream of responses."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        """Return the call of gRPC's, or for one request what makes it when its first message is asked for."""
        options = _Options(credentials, wait_for_ready, compression)
        call = (self._method, request, timeout, metadata)
        exchange = _StreamExchange(self._genuine, options, moment_in(timeout), *call)
        if self._method.requests_once:
            return _Messages(functools.partial(self._guard.call, exchange))
        begun, _ = self._guard.call(exchange)
        return begun


class _Messages:
    """The messages of a stream, and its call: made at the first message, or when anything is asked of the call.

    Where the call has failed the error takes its place, as in gRPC, whose stream is the error that it raises.
    """

    def __init__(self, begin: Callable[[], tuple[Any, object]]) -> None:
        self._begin = begin
        self._call: Any = None
        self._first: object = _NO_MESSAGE

    def _begun(self) -> Any:
        if self._call is None:
            try:
                self._call, self._first = self._begin()
            except Exception as error:
                self._call = error
        return self._call

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Return the next message; the first one is that of the attempt which succeeded."""
        call = self._begun()
        first, self._first = self._first, _NO_MESSAGE
        if first is not _NO_MESSAGE:
            return first
        if isinstance(call, Exception) and not isinstance(call, Iterator):
            raise call
        return next(cast("Iterator[Any]", call))

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of gRPC's call, which is made where it was not yet."""
        return getattr(self._begun(), name)

    def cancel(self) -> bool:
        """Cancel the call: one that has not begun is not made."""
        if self._call is None:
            self._call = grpc.FutureCancelledError()
            return True
        return bool(self._call.cancel())


grpc.Call.register(_Messages)


def guarded_method(kind: str, genuine: Any, guard: Guard, path: str, peer: Peer) -> Any:
    """Return the multicallable around the *genuine* one for a method of this *kind*."""
    method = Method(path, peer, kind.endswith("unary"), kind.startswith("unary"))
    return _CLASSES[kind](genuine, guard, method)


class _UnaryUnary(_GuardedUnary, grpc.UnaryUnaryMultiCallable):  # type: ignore[misc, unused-ignore]
    """One request, one response."""


class _StreamUnary(_GuardedUnary, grpc.StreamUnaryMultiCallable):  # type: ignore[misc, unused-ignore]
    """A stream of requests, one response."""


class _UnaryStream(_GuardedStream, grpc.UnaryStreamMultiCallable):  # type: ignore[misc, unused-ignore]
    """One request, a stream of responses."""


class _StreamStream(_GuardedStream, grpc.StreamStreamMultiCallable):  # type: ignore[misc, unused-ignore]
    """Streams in both directions."""


_CLASSES: Final[dict[str, type[_Guarded]]] = {
    "unary_unary": _UnaryUnary,
    "unary_stream": _UnaryStream,
    "stream_unary": _StreamUnary,
    "stream_stream": _StreamStream,
}
