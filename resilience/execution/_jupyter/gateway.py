"""Kernels of a Jupyter server or kernel gateway, by URL: HTTP to start, interrupt and end, a websocket for messages.

Built on tornado, which `jupyter_client` brings along. The protocol is that of Jupyter Server's REST API, and messages
of the Jupyter protocol as JSON, each with its channel.

An answer of 4xx says that a request was wrong: a matter of configuration, since another attempt gets the same answer. A
lost connection, an answer of 5xx and one that asks for patience are matters of connectivity, which a retry may solve.
The token goes to the server of the URL and to no other: redirects are not followed.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

from resilience._decorators import retry_on_category
from resilience.categories import ErrorCategory
from resilience.clock import current_clock
from resilience.contrib.executor import ContainerConfigurationError
from resilience.execution._jupyter.kernel import Kernel, Message, connectivity_error, object_at

if TYPE_CHECKING:
    from tornado.httpclient import AsyncHTTPClient, HTTPRequest
    from tornado.websocket import WebSocketClientConnection

__all__ = ["GatewayKernel"]

_VERSION = "5.3"  # of the message protocol
_MAX_MESSAGE = 64 * 1024 * 1024
_PING_INTERVAL = 30.0  # seconds
_SHUTDOWN_RETRY_DELAY = 0.5  # seconds
_PORTS = {"http": 80, "https": 443}


class GatewayKernel(Kernel):
    """A kernel named *kernel_name* that the server at *url* starts on `open` and ends on `close`."""

    def __init__(self, url: str, kernel_name: str, token: str | None, seconds: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"gateway_url={url!r}: give a URL such as 'http://localhost:8888'")
        self._url = url.rstrip("/")
        self._kernel_name = kernel_name
        self._headers = {} if token is None else {"Authorization": f"token {token}"}
        self._seconds = seconds
        self._session = uuid.uuid4().hex
        self._http: AsyncHTTPClient | None = None
        self._socket: WebSocketClientConnection | None = None
        self._id = ""
        self.host: str = parts.hostname
        self.port: int = parts.port or _PORTS[parts.scheme]
        self.name: str = f"kernel {kernel_name}"

    async def open(self) -> None:
        from tornado.httpclient import AsyncHTTPClient

        self._http = AsyncHTTPClient(force_instance=True)
        specs = await self._call("GET", "kernelspecs")
        known = sorted(object_at(specs, "kernelspecs"))
        if self._kernel_name not in known:
            raise ContainerConfigurationError(
                f"there is no kernel named {self._kernel_name!r} at {self.host}:{self.port};"
                f" available kernels: {', '.join(known) or 'none'}",
                {"kernels": known},
            )
        self._id = quote(str((await self._call("POST", "kernels", {"name": self._kernel_name}))["id"]), safe="")
        await self._connect()

    async def _connect(self) -> None:
        """Open the websocket that carries the messages of all channels."""
        from tornado.websocket import websocket_connect

        request = self._request("GET", f"kernels/{self._id}/channels?session_id={self._session}")
        request.url = "ws" + request.url.removeprefix("http")
        try:
            self._socket = await websocket_connect(request, ping_interval=_PING_INTERVAL, max_message_size=_MAX_MESSAGE)
        except Exception as error:  # of the socket, TLS, HTTP or tornado
            raise connectivity_error(self, f"its channels cannot be opened: {error or type(error).__name__}") from error

    def _request(self, method: str, path: str, body: object = None) -> HTTPRequest:
        from tornado.httpclient import HTTPRequest

        return HTTPRequest(
            f"{self._url}/api/{path}",
            method=method,
            headers={**self._headers, "Content-Type": "application/json"},
            body=None if body is None else json.dumps(body),
            allow_nonstandard_methods=True,
            connect_timeout=self._seconds,
            request_timeout=self._seconds,
            follow_redirects=False,  # the token is for this server
        )

    async def _call(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        """Return the answer of the REST API, empty if it has no body.

        Raises `ContainerConfigurationError` and `ContainerConnectivityError`.
        """
        from tornado.httpclient import HTTPClientError

        assert self._http is not None
        try:
            answer = await self._http.fetch(self._request(method, path, body))
            found: object = json.loads(answer.body) if answer.body else {}
        except HTTPClientError as error:
            if 300 <= error.code < 500 and error.code not in (408, 425, 429):
                raise ContainerConfigurationError(
                    f"{self.host}:{self.port} answers {method} /api/{path} with {error.code} {error.message}",
                    {"status": error.code},
                ) from error
            raise connectivity_error(self, f"{method} /api/{path}: {error}", status=error.code) from error
        except Exception as error:  # no connection, no TLS, no JSON
            raise connectivity_error(self, f"{method} /api/{path}: {error or type(error).__name__}") from error
        if not isinstance(found, dict):
            raise connectivity_error(self, f"{method} /api/{path}: the answer is no JSON object")
        return cast("Mapping[str, Any]", found)

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()
        if self._http is not None:
            with contextlib.suppress(Exception):  # the server cannot be reached
                await self._end()
            self._http.close()
            self._http, self._id = None, ""

    async def _end(self) -> None:
        """End the kernel, which would otherwise use the server's memory until that is restarted."""
        if self._id:
            # A server that is about to restart a kernel which died cannot end it: it answers 500.
            end = retry_on_category(ErrorCategory.INFRASTRUCTURE, attempts=3, base_delay=_SHUTDOWN_RETRY_DELAY)(
                self._call
            )
            await end("DELETE", f"kernels/{self._id}")

    async def send(self, kind: str, content: Mapping[str, object]) -> str:
        from tornado.websocket import WebSocketClosedError

        assert self._socket is not None
        moment = datetime.datetime.fromtimestamp(current_clock().wall(), datetime.UTC)
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "date": moment.isoformat(),
            "version": _VERSION,
        }
        message: dict[str, object] = {
            "channel": "shell",
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "buffers": [],
        }
        try:
            await self._socket.write_message(json.dumps(message))
        except WebSocketClosedError as error:
            raise connectivity_error(self, "the connection was closed") from error
        return header["msg_id"]

    async def receive(self) -> Message:
        assert self._socket is not None
        while True:
            text = await self._socket.read_message()
            if text is None:
                raise connectivity_error(self, "the connection was closed")
            if isinstance(text, str):  # bytes are messages with buffers, of which none is requested here
                return Message.of(json.loads(text))

    async def interrupt(self) -> None:
        await self._call("POST", f"kernels/{self._id}/interrupt", {})
