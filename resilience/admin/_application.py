"""The admin service as an application: one that ASGI servers call, and WSGI servers as well.

This module translates requests and responses, and decides nothing about them. One object is both kinds of application,
told apart by the number of arguments, so that a program mounts the same `admin()` under any framework.

Events stream as Server-Sent Events. Under ASGI a stream costs a task, and ends after a minute. Under WSGI it holds a
thread of the server, so it ends after 25 seconds; in a worker with one thread, or where other streams have two, it ends
at once with the events that there are. The page then asks again, with the number of the last event it has, so that none
is missed in between.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias, overload
from urllib.parse import parse_qsl

import anyio

from resilience._validation import require, require_bool
from resilience.admin._journal import Entry, Journal
from resilience.admin._messages import Request
from resilience.admin._service import Service
from resilience.clock import SYSTEM

if TYPE_CHECKING:
    from resilience.config import Policies
    from resilience.fleet import Fleet

__all__ = ["AdminApplication", "admin"]

# As wide as those of the frameworks: mappings are invariant, so more precise types would reject a framework's.
_Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_POLL = 0.25  # seconds
_KEEP_ALIVE = 15.0  # seconds: proxies end a connection that is silent for a minute
_ASGI_STREAM = 60.0  # seconds: a server that shuts down waits for the answers it has begun
_WSGI_STREAM = 25.0
_MAX_WSGI_STREAMS = 2  # each holds a thread of the server
_BEGIN = "retry: 2000\n: events follow\n\n"
_MAX_BODY = 10_001


class AdminApplication:
    """The admin page and its data, as an application: `admin` makes one.

    An ASGI server calls it with three arguments, a WSGI server with two. Starlette and FastAPI mount it as it is; with
    Django it stands beside Django's application in the server. In an event loop it answers at once from memory; only a
    request that asks the store of a fleet goes to a thread.

    >>> application = admin()
    >>> parts = application({"REQUEST_METHOD": "GET", "PATH_INFO": "/health"}, lambda status, headers: print(status))
    200 OK
    >>> json.loads(b"".join(parts))["status"]
    'ok'
    >>> application.close()
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @overload
    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: _Receive,
        send: _Send,
        /,
    ) -> Awaitable[None]: ...

    @overload
    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object], /) -> Iterable[bytes]: ...

    def __call__(self, *arguments: Any) -> Any:
        """Answer a request of an ASGI server, or of a WSGI server."""
        if len(arguments) == 2:
            return self._wsgi(*arguments)
        return self._asgi(*arguments)

    def close(self) -> None:
        """Unsubscribe from events: for tests, and for an application that is taken down while the process goes on."""
        self._service.close()

    # -- ASGI ----------------------------------------------------------------------------------------------------------

    async def _asgi(
        self,
        scope: MutableMapping[str, Any],
        receive: _Receive,
        send: _Send,
    ) -> None:
        """Answer a request of an ASGI server. Lifespan messages are confirmed: the application may stand alone."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the admin application answers HTTP, not {scope['type']}")
        root, path = scope.get("root_path", ""), scope["path"]
        if root and path.startswith(root):  # Starlette leaves the mount point in the path
            path = path[len(root) :]
        request = Request(
            scope["method"],
            path or "/",
            dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))),
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            await _body(receive),
        )
        if self._service.may_block(request):
            response = await anyio.to_thread.run_sync(self._service.answer, request)
        else:
            response = self._service.answer(request)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in response.all_headers()]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if response.streams:
            stream = _Stream(self._service.journal, response.after, _nothing)
            await self._stream(stream, receive, send)
            return
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _stream(self, stream: _Stream, receive: _Receive, send: _Send) -> None:
        """Send events as they come, until the client leaves, or the time of a stream is over."""
        with contextlib.closing(stream):
            async with anyio.create_task_group() as tasks:

                async def leave() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                tasks.start_soon(leave)
                async for text in _texts(stream):
                    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                await send({"type": "http.response.body", "body": b""})
                tasks.cancel_scope.cancel()

    # -- WSGI ----------------------------------------------------------------------------------------------------------

    def _wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer a request of a WSGI server, in the thread that it calls in."""
        length = environ.get("CONTENT_LENGTH") or "0"
        body = b""
        if length.isdecimal() and int(length):
            body = environ["wsgi.input"].read(min(int(length), _MAX_BODY))
        headers = {
            key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")
        }
        request = Request(
            environ["REQUEST_METHOD"],
            environ.get("PATH_INFO") or "/",
            dict(parse_qsl(environ.get("QUERY_STRING", ""))),
            {**headers, "content-type": environ.get("CONTENT_TYPE", "")},
            body,
        )
        response = self._service.answer(request)
        status = HTTPStatus(response.status)
        start_response(f"{status.value} {status.phrase}", response.all_headers())
        if response.streams:
            arrived = threading.Event()
            stream = _Stream(self._service.journal, response.after, arrived.set)
            return _blocking_texts(stream, arrived, waits=self._may_hold_a_thread(environ))
        return [b"" if request.method == "HEAD" else response.body]

    def _may_hold_a_thread(self, environ: dict[str, Any]) -> bool:
        """Whether a stream may take a thread of the server: it has others, and few are taken by streams."""
        return bool(environ.get("wsgi.multithread")) and self._service.journal.feeds <= _MAX_WSGI_STREAMS


class _Stream:
    """The text of a stream of events: first those kept *after* a number, then those that come; each of them once.

    The feed is opened before the kept events are read. An event that comes between the two is in both, and the numbers,
    which grow by one with each event, show that it has been sent.
    """

    def __init__(self, journal: Journal, after: int | None, wake: Callable[[], object]) -> None:
        self._journal = journal
        self._feed = journal.open(wake)  # first: no event may come in between
        self._last = after or 0
        self._waiting: list[Entry] = []
        if after is not None:
            self._waiting = journal.entries(after)

    def take(self) -> str:
        """Return what has come since the last time, as Server-Sent Events; empty where nothing has."""
        waiting, self._waiting = [*self._waiting, *self._feed.take()], []
        parts: list[str] = []
        for entry in waiting:
            number = int(str(entry["number"]))
            if number > self._last:
                self._last = number
                parts.append(f"id: {number}\ndata: {json.dumps(entry, default=str)}\n\n")
        return "".join(parts)

    def close(self) -> None:
        """End it: its page has gone."""
        self._journal.close_feed(self._feed)


async def _texts(stream: _Stream) -> AsyncIterator[str]:
    """Yield the texts of events as they come, and a comment where none comes for a while.

    Proxies end a connection that is silent. The feed is polled: events are emitted in any thread, and waking an event
    loop from there would cost each emitter.
    """
    yield _BEGIN
    idle, ends = 0.0, SYSTEM.now() + _ASGI_STREAM
    while SYSTEM.now() < ends:
        text = stream.take()
        if text or idle >= _KEEP_ALIVE:
            idle = 0.0
            yield text or ": nothing new\n\n"
        await anyio.sleep(_POLL)  # events come from any thread, and a page need not show them sooner
        idle += _POLL


def _blocking_texts(stream: _Stream, arrived: threading.Event, *, waits: bool) -> Iterator[bytes]:
    """Yield the texts of events as they come; those that there are where it must not wait."""
    ends = SYSTEM.now() + _WSGI_STREAM
    with contextlib.closing(stream):
        yield (_BEGIN + stream.take()).encode()
        while waits and (left := ends - SYSTEM.now()) > 0:
            arrived.wait(left)
            arrived.clear()
            text = stream.take()
            if text:  # of a chunk without bytes a server makes the end
                yield text.encode()


def _nothing() -> None:
    """Stand for what wakes a reader: this one looks at its feed by itself."""


async def _body(receive: _Receive) -> bytes:
    """Return the body of a request, or as much of it as shows that it is too large."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body") or len(body) > _MAX_BODY:
            return body


async def _lifespan(receive: _Receive, send: _Send) -> None:
    """Confirm the messages of a server's start and end."""
    while True:
        message = await receive()
        kind = message["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def admin(
    *,
    token: str | None = None,
    read_only: bool = False,
    policies: Policies | None = None,
    fleet: Fleet | None = None,
    reading_needs_token: bool = False,
) -> AdminApplication:
    """Return the admin application of this process, for an ASGI or a WSGI server.

    Args:
        token: what an operator gives to change anything, as ``Authorization: Bearer ...``. None: nothing can be.
        read_only: whether nothing can be changed, with the token either.
        policies: a configuration to show, and to change while the program runs.
        fleet: the fleet whose circuits are set in all its processes; those that it does not share, in this one.
        reading_needs_token: whether states and names are shown only to those who give the token.

    It shows states, counts and names of circuits and functions, and nothing of a call: no argument, no message, no
    secret. Each change is an event, ``circuit.set_by_hand`` or ``configuration.changed``, with its author and reason.

    Raises TypeError or ValueError for invalid options.

    >>> application = admin(token="a long random text")
    >>> application.close()
    """
    require(
        token is None or isinstance(token, str), "token", token, "a text, or None: nothing can be changed", TypeError
    )
    require(token is None or bool(token.strip()), "token", token, "a text that cannot be guessed, or None")
    require_bool("read_only", read_only)
    require(
        token is not None or not require_bool("reading_needs_token", reading_needs_token),
        "reading_needs_token",
        reading_needs_token,
        "a token with it, or nothing can be read",
    )
    if fleet is not None:
        from resilience.fleet import Fleet

        require(isinstance(fleet, Fleet), "fleet", fleet, "a resilience.fleet.Fleet, or None", TypeError)
    service = Service(token, policies, fleet, read_only=read_only, reading_needs_token=reading_needs_token)
    return AdminApplication(service)
