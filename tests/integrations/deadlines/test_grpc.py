"""Handlers of real gRPC servers, sync and asyncio, within the deadlines of their calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio
import pytest

from resilience import remaining, subscribe
from resilience.errors import DeadlineExceededError
from resilience.events import TimedOut
from resilience.integrations.deadlines.grpc import AsyncDeadlineInterceptor, DeadlineInterceptor

PATIENCE = 30.0  # seconds; no test waits for so long
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


class Service:
    """The four kinds of methods, which note what is left, and then raise *error*, if any."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.left: list[float | None] = []

    def note(self) -> bytes:
        self.left.append(remaining())
        if self.error is not None:
            raise self.error
        return b"a lamp"

    def one(self, request: object, context: object) -> bytes:
        return self.note()

    def many(self, request: object, context: object) -> Iterator[bytes]:
        yield self.note()
        yield self.note()

    async def one_async(self, request: object, context: object) -> bytes:
        return self.note()

    async def many_async(self, request: object, context: object) -> AsyncIterator[bytes]:
        yield self.note()
        yield self.note()

    def handlers(self, suffix: str = "") -> grpc.GenericRpcHandler:
        methods = {
            kind: getattr(grpc, f"{kind}_rpc_method_handler")(
                getattr(self, ("many" if kind.endswith("stream") else "one") + suffix)
            )
            for kind in KINDS
        }
        return grpc.method_handlers_generic_handler("shop", methods)


def ask(channel: grpc.Channel, kind: str, timeout: float | None = None) -> list[bytes]:
    call = getattr(channel, kind)(f"/shop/{kind}")
    answer = call(iter([b""]) if kind.startswith("stream") else b"", timeout=timeout)
    return list(answer) if kind.endswith("stream") else [answer]


async def ask_async(channel: grpc.aio.Channel, kind: str, timeout: float | None = None) -> list[bytes]:
    call = getattr(channel, kind)(f"/shop/{kind}")
    answer = call(iter([b""]) if kind.startswith("stream") else b"", timeout=timeout)
    return [message async for message in answer] if kind.endswith("stream") else [await answer]


class Sync:
    """Asks a sync server."""

    def __call__(self, service: Service, kind: str, timeout: float | None, **limits: float) -> list[bytes]:
        with ThreadPoolExecutor(2) as pool:
            server = grpc.server(pool, interceptors=[DeadlineInterceptor(**limits)])
            server.add_generic_rpc_handlers([service.handlers()])
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    return ask(channel, kind, timeout)
            finally:
                server.stop(None).wait()


class Async:
    """Asks a server of `grpc.aio`."""

    suffix = "_async"

    def __call__(self, service: Service, kind: str, timeout: float | None, **limits: float) -> list[bytes]:
        return asyncio.run(self.ask(service, kind, timeout, limits))

    async def ask(self, service: Service, kind: str, timeout: float | None, limits: dict[str, float]) -> list[bytes]:
        pool = ThreadPoolExecutor(1)
        server = grpc.aio.server(pool, interceptors=[AsyncDeadlineInterceptor(**limits)])
        server.add_generic_rpc_handlers([service.handlers(self.suffix)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await ask_async(channel, kind, timeout)
        finally:
            await server.stop(None)
            # A sync handler's thread hands its last message to the loop after the call has ended.
            await asyncio.to_thread(pool.shutdown)


class AsyncWithSyncHandlers(Async):
    """Asks a server of `grpc.aio` whose handlers are plain functions, which it runs in threads."""

    suffix = ""


@pytest.fixture(params=[Sync, Async, AsyncWithSyncHandlers], ids=["sync", "asyncio", "asyncio-sync-handlers"])
def server(request: pytest.FixtureRequest) -> object:
    return request.param()


@pytest.mark.parametrize("kind", KINDS)
def test_the_handler_reads_what_the_client_has_left(server: object, kind: str):
    service = Service()
    messages = server(service, kind, PATIENCE)
    assert messages == [b"a lamp"] * len(service.left)
    assert all(left is not None and 0 < left <= PATIENCE + 1 for left in service.left)  # their clocks are rounded
    assert len(service.left) == (2 if kind.endswith("stream") else 1)


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_call_without_a_deadline_has_the_default(server: object, kind: str):
    free, limited = Service(), Service()
    server(free, kind, None)
    server(limited, kind, None, default=8.0)
    assert set(free.left) == {None}
    assert all(left is not None and 0 < left <= 8 for left in limited.left)


def test_a_client_gets_no_more_than_the_maximum(server: object):
    service = Service()
    server(service, "unary_unary", 1e6, maximum=9.0)
    assert service.left[0] <= 9


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_the_deadline_below_a_handler_is_answered_with_its_status(server: object, kind: str):
    for _ in range(10):
        with pytest.raises(grpc.RpcError) as raised:
            server(Service(DeadlineExceededError("shop.search")), kind, PATIENCE)
        # A client of grpc.aio that is still sending when the answer comes may not get to see it.
        if raised.value.details() != "Internal error from Core":
            break
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert raised.value.details() == "the deadline has passed"


@pytest.mark.parametrize("kind", KINDS)
def test_other_exceptions_of_a_handler_are_answered_as_without_the_interceptor(server: object, kind: str):
    with pytest.raises(grpc.RpcError) as raised:
        server(Service(LookupError("no such lamp")), kind, PATIENCE)
    assert raised.value.code() is grpc.StatusCode.UNKNOWN


def test_a_method_that_is_not_served_stays_so(server: object):
    with pytest.raises(grpc.RpcError) as raised:
        server(_Nothing(), "unary_unary", PATIENCE)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


class _Nothing(Service):
    def handlers(self, suffix: str = "") -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler("another", {})


class Context:
    """The context of a call whose deadline had passed when it arrived. A real client sends none of these."""

    def __init__(self) -> None:
        self.aborted: object = None

    def time_remaining(self) -> float:
        return 0.0

    def abort(self, code: object, details: str) -> None:
        self.aborted = code
        raise RuntimeError(details)


class AsyncContext(Context):
    """The same, of `grpc.aio`."""

    async def abort(self, code: object, details: str) -> None:
        super().abort(code, details)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_arrives_too_late_ends_at_once(kind: str):
    service, context, events = Service(), Context(), []
    handler = DeadlineInterceptor().intercept_service(lambda _: _handler(service, kind, ""), None)
    with subscribe(events.append), pytest.raises(RuntimeError):
        list(getattr(handler, kind)(b"", context))
    assert (context.aborted, service.left) == (grpc.StatusCode.DEADLINE_EXCEEDED, [])
    assert [(type(event), event.limit) for event in events] == [(TimedOut, 0.0)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_async_call_that_arrives_too_late_ends_at_once(kind: str):
    service, context, events = Service(), AsyncContext(), []

    async def continuation(_: object) -> object:
        return _handler(service, kind, "_async")

    async def call() -> None:
        handler = await AsyncDeadlineInterceptor().intercept_service(continuation, None)
        answer = getattr(handler, kind)(b"", context)
        if not kind.endswith("stream"):
            await answer
        else:
            async for _ in answer:
                pass

    with subscribe(events.append), pytest.raises(RuntimeError):
        asyncio.run(call())
    assert (context.aborted, service.left) == (grpc.StatusCode.DEADLINE_EXCEEDED, [])
    assert [(type(event), event.limit) for event in events] == [(TimedOut, 0.0)]


def _handler(service: Service, kind: str, suffix: str) -> object:
    return service.handlers(suffix).service(type("Details", (), {"method": f"/shop/{kind}"}))


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_an_async_handler_is_cancelled_by_the_servers_own_maximum(kind: str):
    """The client has set no deadline, so gRPC itself would wait."""
    ended: list[str] = []

    class Hanging(Service):
        async def one_async(self, request: object, context: object) -> bytes:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(kind)

        async def many_async(self, request: object, context: object) -> AsyncIterator[bytes]:
            yield b"a lamp"
            yield await self.one_async(request, context)

    with pytest.raises(grpc.RpcError) as raised:
        Async()(Hanging(), kind, None, default=0.05)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert ended == [kind]


def test_a_stream_that_the_client_leaves_is_closed():
    closed = threading.Event()

    class Endless(Service):
        async def many_async(self, request: object, context: object) -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a lamp"
            finally:
                closed.set()

    class Leaving(Async):
        async def ask(
            self, service: Service, kind: str, timeout: float | None, limits: dict[str, float]
        ) -> list[bytes]:
            server = grpc.aio.server(interceptors=[AsyncDeadlineInterceptor(**limits)])
            server.add_generic_rpc_handlers([service.handlers("_async")])
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                call = channel.unary_stream("/shop/unary_stream")(b"", timeout=timeout)
                first = await call.read()
                call.cancel()
            await asyncio.to_thread(closed.wait, PATIENCE)
            await server.stop(None)
            return [first]

    assert Leaving()(Endless(), "unary_stream", PATIENCE) == [b"a lamp"]
    assert closed.is_set()
