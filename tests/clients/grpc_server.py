"""Real gRPC servers on loopback, sync and asyncio, that play a script: what each call of a method is answered with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc.aio

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
Code = grpc.StatusCode


class Busy:
    """A step of a script: the status *code*, with *pushback* in milliseconds, after so many *messages* of a stream."""

    def __init__(self, code: grpc.StatusCode, pushback: int | None = None, messages: int = 0) -> None:
        self.code = code
        self.pushback = pushback
        self.messages = messages

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return () if self.pushback is None else (("grpc-retry-pushback-ms", str(self.pushback)),)


class Shop:
    """The service ``shop``: its methods are called like their kinds; the last step of the *script* is played on."""

    def __init__(self, *script: object) -> None:
        self.script = list(script) or ["ok"]
        self.calls: list[list[bytes]] = []
        self.left: list[float] = []

    def step(self, requests: list[bytes], context: grpc.ServicerContext) -> object:
        self.calls.append(requests)
        self.left.append(context.time_remaining())
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def answer(self, request: object, context: grpc.ServicerContext) -> Iterator[bytes]:
        requests = [request] if isinstance(request, bytes) else list(request)
        step = self.step(requests, context)
        for number in range(getattr(step, "messages", 3)):
            yield b"message %d" % number
        if isinstance(step, Busy):
            context.set_trailing_metadata(step.metadata)
            context.abort(step.code, "as the script says")

    def one(self, request: object, context: grpc.ServicerContext) -> bytes:
        return list(self.answer(request, context))[0]

    def many(self, request: object, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from self.answer(request, context)

    def handler(self) -> grpc.GenericRpcHandler:
        methods = {
            kind: getattr(grpc, f"{kind}_rpc_method_handler")(self.many if kind.endswith("stream") else self.one)
            for kind in KINDS
        }
        return grpc.method_handlers_generic_handler("shop", methods)


@contextlib.contextmanager
def serving(shop: Shop) -> Iterator[str]:
    """Serve *shop*, and give its address."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers([shop.handler()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


class Caller:
    """Calls methods of a shop through a channel that *guard* has been put around: sync."""

    error = grpc.RpcError

    def __init__(self, guard: object, target: str | None = None) -> None:
        self.guard = guard
        self.target = target

    def __call__(self, shop: Shop, *kinds: str, **options: object) -> list[object]:
        """Return for each of the *kinds* of methods the messages, or the error, of one call."""
        with serving(shop) as address, grpc.insecure_channel(self.target or address) as channel:
            guarded = self.guard(channel)
            assert guarded is channel
            return [self.call(guarded, kind, options) for kind in kinds]

    def call(self, channel: grpc.Channel, kind: str, options: dict[str, object]) -> object:
        method = getattr(channel, kind)(f"/shop/{kind}")
        try:
            answer = method(iter([b"a", b"b"]) if kind.startswith("stream") else b"a", **options)
            return list(answer) if kind.endswith("stream") else [answer]
        except Exception as error:
            return error


class FutureCaller(Caller):
    """The same by futures, which streams of responses do not have."""

    def call(self, channel: grpc.Channel, kind: str, options: dict[str, object]) -> object:
        if kind.endswith("stream"):
            return super().call(channel, kind, options)
        method = getattr(channel, kind)(f"/shop/{kind}")
        future = method.future(iter([b"a", b"b"]) if kind.startswith("stream") else b"a", **options)
        error = future.exception(60)
        return [future.result()] if error is None else error


class AsyncCaller(Caller):
    """The same on asyncio."""

    error = grpc.aio.AioRpcError

    def __call__(self, shop: Shop, *kinds: str, **options: object) -> list[object]:
        return asyncio.run(self.run(shop, kinds, options))

    async def run(self, shop: Shop, kinds: tuple[str, ...], options: dict[str, object]) -> list[object]:
        with serving(shop) as address:
            async with grpc.aio.insecure_channel(self.target or address) as channel:
                guarded = self.guard(channel)
                assert guarded is channel
                return [await self.call_async(guarded, kind, options) for kind in kinds]

    async def call_async(self, channel: grpc.aio.Channel, kind: str, options: dict[str, object]) -> object:
        async def requests() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"

        method = getattr(channel, kind)(f"/shop/{kind}")
        try:
            answer = method(requests() if kind.startswith("stream") else b"a", **options)
            return [message async for message in answer] if kind.endswith("stream") else [await answer]
        except Exception as error:
            return error
