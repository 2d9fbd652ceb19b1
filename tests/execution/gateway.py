"""A small Jupyter server: the part of its REST API and of its websockets that a kernel's client uses. Real kernels."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import socket
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

TOKEN = "sesame"  # noqa: S105


class Gateway:
    """The state of the server: its kernels, and the requests it got."""

    def __init__(self) -> None:
        self.kernels: dict[str, AsyncKernelManager] = {}
        self.asked: list[str] = []
        self.sockets: list[Channels] = []
        self.failing: int = 0
        """How many of the next requests are answered with 503."""
        self.loop = asyncio.new_event_loop()
        self.directory: str = ""

    def cut_off(self) -> None:
        """Close all websockets."""
        for channels in self.sockets:
            self.loop.call_soon_threadsafe(channels.close)

    async def close(self) -> None:
        for manager in self.kernels.values():
            await end(manager)


async def end(manager: AsyncKernelManager) -> None:
    await manager.shutdown_kernel(now=True)
    manager.context.destroy(linger=0)


class Asked(RequestHandler):
    """Base of all request handlers: authentication and the log of requests."""

    def initialize(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def prepare(self) -> None:
        self.gateway.asked.append(f"{self.request.method} {self.request.path.rpartition('/')[2]}")
        if self.gateway.failing:
            self.gateway.failing -= 1
            raise HTTPError(503)
        if self.request.headers.get("Authorization") != f"token {TOKEN}":
            raise HTTPError(403)

    def manager(self, number: str) -> AsyncKernelManager:
        if number not in self.gateway.kernels:
            raise HTTPError(404)
        return self.gateway.kernels[number]


class Specs(Asked):
    def get(self) -> None:
        self.write({"default": "python3", "kernelspecs": {"python3": {"name": "python3"}}})


class Kernels(Asked):
    async def post(self) -> None:
        number = str(uuid.uuid4())
        # Sockets of the file system: a TCP port that is free now may be another test's when the kernel binds it.
        address = f"{self.gateway.directory}/{number[:8]}"
        manager = AsyncKernelManager(kernel_name=json.loads(self.request.body)["name"], transport="ipc", ip=address)
        await manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.gateway.kernels[number] = manager
        self.set_status(201)
        self.write({"id": number, "name": manager.kernel_name})


class One(Asked):
    async def delete(self, number: str) -> None:
        await end(self.manager(number))
        del self.gateway.kernels[number]
        self.set_status(204)


class Interrupt(Asked):
    async def post(self, number: str) -> None:
        await self.manager(number).interrupt_kernel()
        self.set_status(204)


class Channels(WebSocketHandler, Asked):
    async def open(self, number: str) -> None:
        self.gateway.sockets.append(self)
        self.client: AsyncKernelClient = self.manager(number).client()
        self.client.start_channels(stdin=False, hb=False)
        await self.subscribed()
        self.tasks = [asyncio.ensure_future(self.forward(name)) for name in ("iopub", "shell")]
        self.tasks.append(asyncio.ensure_future(self.watch(number)))

    async def subscribed(self) -> None:
        """Return when the kernel's output arrives, as a Jupyter server does: what is published before that is lost."""
        while True:
            self.client.kernel_info()
            with contextlib.suppress(queue.Empty):
                await self.client.get_iopub_msg(timeout=0.2)
                return

    async def forward(self, name: str) -> None:
        channel = getattr(self.client, f"{name}_channel")
        with contextlib.suppress(WebSocketClosedError):
            while True:
                message = await channel.get_msg()
                message.pop("buffers", None)
                await self.write_message(json.dumps({**message, "channel": name}, default=str))

    async def watch(self, number: str) -> None:
        with contextlib.suppress(WebSocketClosedError):
            while await self.manager(number).is_alive():
                await asyncio.sleep(0.05)
            status = {"header": {"msg_type": "status"}, "parent_header": {}, "content": {"execution_state": "dead"}}
            await self.write_message(json.dumps({**status, "channel": "iopub"}))

    def on_message(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.client.session.send(self.client.shell_channel.socket, message)

    def on_close(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.client.stop_channels()


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, Gateway]]:
    """A server in a thread, and its address."""
    gateway = Gateway()
    sockets = tempfile.TemporaryDirectory(prefix="gateway-")
    gateway.directory = sockets.name
    kernel = r"/api/kernels/([\w-]+)"
    given = {"gateway": gateway}
    routes = [
        ("/api/kernelspecs", Specs, given),
        ("/api/kernels", Kernels, given),
        (kernel, One, given),
        (f"{kernel}/interrupt", Interrupt, given),
        (f"{kernel}/channels", Channels, given),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)

    async def begin() -> HTTPServer:
        server = HTTPServer(Application(routes, log_function=lambda handler: None))
        server.add_socket(listener)
        return server

    async def finish(server: HTTPServer) -> None:
        server.stop()
        await server.close_all_connections()
        await gateway.close()

    def run() -> None:
        server = gateway.loop.run_until_complete(begin())
        gateway.loop.run_forever()
        gateway.loop.run_until_complete(finish(server))
        gateway.loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", gateway
    finally:
        gateway.loop.call_soon_threadsafe(gateway.loop.stop)
        thread.join()
        listener.close()
        sockets.cleanup()
