"""How parent and child talk: frames of a length, a token and JSON, over a socket of their own.

Nothing the code prints goes this way, so no text can be taken for a result. The token is drawn for each process and
stands in each frame: code that finds the socket and writes to it does not forge one by accident. Both sides use this
module, the child before anything else.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resilience.execution._worker.messages import Go, Prepare, Request

__all__ = ["HEADER", "MOST", "TOKEN", "Channel", "ChannelClosed", "frame_of", "length_of", "message_of"]

HEADER = 4
"""Bytes of the length: of what follows the header."""
TOKEN = 16
MOST = 64 << 20
"""Bytes of a frame; a request holds up to 10 million characters, which JSON may write as six bytes each."""
_CHUNK = 1 << 13
_MOST_CHUNK = 1 << 20


class ChannelClosed(Exception):
    """The other side has gone."""


def _codec() -> tuple[Callable[[object], str], Callable[[str, int], tuple[object, int]]]:
    """Return what makes JSON, and what reads it from some place on, and tells where it ends.

    The package `json` takes 8 ms to import, mostly for regular expressions, where Python itself takes 12 ms to start.
    What does its work is a module of its own in CPython.
    """
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner

        pieces = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
        scan = make_scanner(_Reading)  # type: ignore[arg-type]  # the real one takes anything of this shape
        if "".join(pieces([{"a": 1.5}], 0)) == '[{"a":1.5}]' and scan('{"a":[null]}', 0) == ({"a": [None]}, 12):
            return lambda message: "".join(pieces(message, 0)), scan
    except (ImportError, TypeError, AttributeError):
        pass
    import json

    decoder = json.JSONDecoder(parse_constant=_refuse)
    return lambda message: json.dumps(message, allow_nan=False, separators=(",", ":")), decoder.raw_decode


def _refuse(value: object) -> object:
    raise ValueError(f"JSON has no {type(value).__name__} such as this")


class _Reading:
    """What a scanner asks of the decoder it belongs to."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)
    memo: dict[str, str] = {}  # noqa: RUF012  # as the scanner wants it


_write, _read = _codec()


def frame_of(token: bytes, message: object) -> bytes:
    r"""Return *message* as it is sent. Raises ValueError for what JSON does not take.

    >>> frame_of(b"0123456789abcdef", {"kind": "hello"})
    b'\x00\x00\x00 0123456789abcdef{"kind":"hello"}'
    """
    body = _write(message).encode("ascii")
    return b"".join(((len(body) + TOKEN).to_bytes(HEADER, "big"), token, body))


def length_of(header: bytes) -> int:
    r"""Return how many bytes follow a header. Raises ValueError where no frame is that long.

    >>> length_of(b"\x00\x00\x00\x20")
    32
    """
    length = int.from_bytes(header, "big")
    if not TOKEN < length <= MOST:
        raise ValueError(f"a frame of {length} bytes")
    return length


def message_of(frame: bytes) -> object:
    """Return the message of what follows a header. Raises ValueError where that is no JSON, and RecursionError."""
    text = frame[TOKEN:].decode("ascii")
    try:
        message, end = _read(text, 0)
    except StopIteration as nothing:
        raise ValueError(f"no JSON at {nothing.value}") from None
    if end != len(text):
        raise ValueError(f"more than JSON, from {end} on")
    return message


class Channel:
    """The child's end."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int = descriptor
        self.token: bytes = bytes(TOKEN)
        """The parent draws it, and sends it along."""
        self.busy: bool = False
        """Whether a frame is on its way, which nothing may break off."""
        self._received = bytearray()

    def send(self, message: Mapping[str, object]) -> None:
        """Send one message. Raises ValueError for what JSON does not take, and `ChannelClosed`."""
        left = memoryview(frame_of(self.token, message))
        self.busy = True
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError:
            raise ChannelClosed from None
        finally:
            self.busy = False

    def abandon(self) -> None:
        """Close this end in a fork: it must neither answer nor keep the parent waiting."""
        os.close(self.descriptor)

    def receive(self) -> Prepare | Request | Go:
        """Wait for a message. Raises `ChannelClosed`."""
        received = self._exactly(length_of(self._exactly(HEADER)))
        self.token = received[:TOKEN]
        return message_of(received)  # type: ignore[return-value]

    def wait(self) -> None:
        """Wait until the other side has gone. Raises `ChannelClosed` then."""
        self._exactly(1)  # which never comes

    def _exactly(self, number: int) -> bytes:
        received = self._received
        while len(received) < number:
            try:
                part = os.read(self.descriptor, min(max(number - len(received), _CHUNK), _MOST_CHUNK))
            except OSError:  # it has gone without having read all that was sent
                part = b""
            if not part:
                raise ChannelClosed
            received += part
        taken = bytes(received[:number])
        del received[:number]
        return taken
