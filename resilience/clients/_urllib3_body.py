"""The body of an urllib3 response that is read within a time limit, or that has been read in part.

requests and urllib3 both keep the connection's own response, that of `http.client`, in ``_fp`` of urllib3's response.
`DividedBody` takes its place there. So the response stays urllib3's own: it decodes, counts and releases the connection
as it does.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import IncompleteRead
from typing import Any, Final

from resilience._safe_access import safe_getattr
from resilience.clients.exchange import MAX_DRAINED

__all__ = ["DividedBody", "lift_limit", "limit_reading", "settle"]

TimeLeft = Callable[[], float | None]

_CHUNK: Final = 65_536
_SHORT: Final = 4096  # bytes that the buffer of a connection certainly holds
_LEAST: Final = 0.001  # seconds: a socket takes zero for "do not block"


def _without_limit() -> None:
    """Return None: nothing limits the time."""


class DividedBody:
    """A body of which the bytes *taken* come first, and then the *rest*, as far as it comes within *time_left*.

    It has the methods of `http.client.HTTPResponse` that urllib3 calls. Where *error* is given, it is raised in place
    of the rest.

    The time limit of a socket is for one read. A server that sends a byte each second never exceeds it, so the limit is
    set anew before each read, to what is left of the time for the whole body.
    """

    def __init__(
        self,
        rest: Any,
        taken: bytes = b"",
        error: Exception | None = None,
        time_left: TimeLeft = _without_limit,
        connection: object = None,
    ) -> None:
        self._rest = rest
        self._taken = taken
        self._error = error
        self._time_left = time_left
        self._connection = connection

    def isclosed(self) -> bool:
        """Return whether nothing is left to read."""
        return not self._taken and self._error is None and bool(self._rest.isclosed())

    @property
    def closed(self) -> bool:
        """Whether nothing is left to read, as files have it."""
        return self.isclosed()

    def read(self, amount: int | None = None) -> bytes:
        """Read *amount* bytes, fewer where the body ends; all of it without an amount."""
        parts: list[bytes] = []
        wanted = amount
        while wanted is None or wanted > 0:
            part = self.read1(wanted)
            if not part:
                break
            parts.append(part)
            if wanted is not None:
                wanted -= len(part)
        else:
            return b"".join(parts)
        content = b"".join(parts)
        if amount is None:
            self.require_end(content)
            self._rest.close()  # `read1` of Python 3.12 and older does not, and urllib3 would keep the connection
        return content

    def require_end(self, content: bytes | bytearray) -> None:
        """Raise IncompleteRead where the body has ended before its end, after *content*."""
        missing = safe_getattr(self._rest, "length")
        if isinstance(missing, int) and missing > 0:
            raise IncompleteRead(bytes(content), missing)

    def read1(self, amount: int | None = None) -> bytes:
        """Read what has arrived, at most *amount* bytes; wait where there is nothing. Empty at the end."""
        most = _CHUNK
        if amount is not None and amount >= 0:
            most = amount
        if self._taken:
            part, self._taken = self._taken[:most], self._taken[most:]
            return part
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._rest.isclosed():
            return b""
        self._limit_socket()
        return bytes(self._rest.read1(most))

    def close(self) -> None:
        """Close the rest, and forget what was taken."""
        self._taken, self._error = b"", None
        self._rest.close()

    def flush(self) -> None:
        """Do nothing, as the connection's own response."""

    def _limit_socket(self) -> None:
        """Have the socket wait for what is left of the time, and no longer. Raises TimeoutError if that is nothing."""
        left = self._time_left()
        if left is None:
            return
        if left <= 0:
            raise TimeoutError("the body took too long")
        socket = _socket_of(self._connection, self._rest)
        if socket is not None:
            socket.settimeout(max(_LEAST, min(left, socket.gettimeout() or left)))


def limit_reading(response: Any, time_left: TimeLeft) -> None:
    """Have the body of an urllib3 *response* read within *time_left*: each chunk may come in time, and all too late.

    A short body that is in the buffer of the connection needs no limit, and is left as it is.
    """
    body: Any = safe_getattr(response, "_fp")
    if not _is_readable(body):
        return
    error: Exception | None = None
    try:
        if _has_arrived(body):
            return
    except OSError as failure:  # raised where urllib3 expects it, while it reads
        error = failure
    connection = safe_getattr(response, "_connection")
    response._fp = DividedBody(body, error=error, time_left=time_left, connection=connection)


def _has_arrived(body: Any) -> bool:
    """Return whether all of a short *body* has come with its headers, or comes with the next read of the socket."""
    try:
        length, peek = body.length, body.fp.peek
    except AttributeError:  # no body of `http.client`
        return False
    if not isinstance(length, int) or length > _SHORT:
        return False
    return length == 0 or len(peek(length)) >= length


def lift_limit(response: Any, own: float | None) -> None:
    """Have the body of an urllib3 *response* read within the client's *own* limit for reading: the caller reads it."""
    body: Any = safe_getattr(response, "_fp")
    if _is_readable(body):
        socket = _socket_of(safe_getattr(response, "_connection"), body)
        if socket is not None:
            socket.settimeout(own)


def settle(response: Any, time_left: TimeLeft) -> None:
    """Read up to `MAX_DRAINED` bytes of an urllib3 *response*, and give its connection back if that is all of it.

    The caller that reads the response gets all of its bytes, and the error if there was one. A body that its headers
    say to be longer is left alone.
    """
    body: Any = safe_getattr(response, "_fp")
    length = safe_getattr(body, "length")
    if not _is_readable(body) or (isinstance(length, int) and length > MAX_DRAINED):
        return
    connection: Any = safe_getattr(response, "_connection")
    source = DividedBody(body, time_left=time_left, connection=connection)
    taken, error, ended = _taken_of(source)
    response._fp = DividedBody(body, taken, error)
    if error is not None and connection is not None:
        connection.close()
    if ended or error is not None:
        body.close()
        response.release_conn()


def _taken_of(source: DividedBody) -> tuple[bytes, Exception | None, bool]:
    """Return what could be read of *source*, the error that ended it, and whether that was all of it."""
    taken = bytearray()
    try:
        while len(taken) <= MAX_DRAINED:
            part = source.read1()
            if not part:
                source.require_end(taken)
                return bytes(taken), None, True
            taken += part
    except Exception as error:
        return bytes(taken), error, False
    return bytes(taken), None, False


def _socket_of(connection: object, body: object) -> Any:
    """Return the socket that *body* is read from: of the connection, or of a body that has taken it over at its end."""
    file = safe_getattr(safe_getattr(body, "fp"), "raw")
    return safe_getattr(connection, "sock") or safe_getattr(file, "_sock")


def _is_readable(body: object) -> bool:
    """Return whether *body* is one of a connection, of which there is something to read."""
    closed = safe_getattr(body, "isclosed")
    return callable(closed) and not closed() and callable(safe_getattr(body, "read1"))
