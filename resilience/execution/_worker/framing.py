"""Frames between parent and worker: length, token and JSON, over a socket of their own.

Output of the program goes elsewhere, so no printed text can pass for a result. The token is drawn for each process and
stands in each frame: code that finds the socket and writes to it does not forge one by accident. Both sides use this
module, the child before anything else.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resilience.execution._worker.messages import Prepare, Request, Start

__all__ = [
    "HEADER",
    "MAX_FRAME",
    "TOKEN",
    "Channel",
    "ChannelClosed",
    "decode_length",
    "decode_message",
    "encode_frame",
]

HEADER = 4
"""Bytes of the header: the length of what follows it."""
TOKEN = 16
MAX_FRAME = 64 << 20
"""Bytes of a frame; a request holds up to 10 million characters, which JSON may write as six bytes each."""
_CHUNK = 1 << 13
_MAX_CHUNK = 1 << 20


class ChannelClosed(Exception):
    """The parent has closed its end of the socket."""


def _codec() -> tuple[Callable[[object], str], Callable[[str, int], tuple[object, int]]]:
    """Return a JSON encoder, and a decoder that also returns where the value ends.

    The package `json` takes 8 ms to import, mostly for regular expressions, where Python itself takes 12 ms to start.
    Its work is done by a module of its own in CPython.
    """
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner

        pieces = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
        scan = make_scanner(_ScannerContext)  # type: ignore[arg-type]  # the real one takes anything of this shape
        if "".join(pieces([{"a": 1.5}], 0)) == '[{"a":1.5}]' and scan('{"a":[null]}', 0) == ({"a": [None]}, 12):
            return lambda message: "".join(pieces(message, 0)), scan
    except (ImportError, TypeError, AttributeError):
        pass
    import json

    decoder = json.JSONDecoder(parse_constant=_refuse)
    return lambda message: json.dumps(message, allow_nan=False, separators=(",", ":")), decoder.raw_decode


def _refuse(value: object) -> object:
    raise ValueError(f"JSON has no {type(value).__name__} such as this")


class _ScannerContext:
    """The attributes that a `_json` scanner reads of its decoder."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)
    memo: dict[str, str] = {}  # noqa: RUF012  # as the scanner wants it


_write, _read = _codec()


def encode_frame(token: bytes, message: object) -> bytes:
    r"""Return *message* as a frame. Raises ValueError for values that JSON does not have.

    >>> encode_frame(b"0123456789abcdef", {"kind": "ready"})
    b'\x00\x00\x00 0123456789abcdef{"kind":"ready"}'
    """
    body = _write(message).encode("ascii")
    return b"".join(((len(body) + TOKEN).to_bytes(HEADER, "big"), token, body))


def decode_length(header: bytes) -> int:
    r"""Return how many bytes follow *header*. Raises ValueError if no frame is that long.

    >>> decode_length(b"\x00\x00\x00\x20")
    32
    """
    length = int.from_bytes(header, "big")
    if not TOKEN < length <= MAX_FRAME:
        raise ValueError(f"a frame of {length} bytes")
    return length


def decode_message(frame: bytes) -> object:
    """Return the message of *frame*, without its header. Raises ValueError if it is not JSON, and RecursionError."""
    text = frame[TOKEN:].decode("ascii")
    try:
        message, end = _read(text, 0)
    except StopIteration as nothing:
        raise ValueError(f"no JSON at {nothing.value}") from None
    if end != len(text):
        raise ValueError(f"more than JSON, from {end} on")
    return message


class Channel:
    """The worker's end of the socket. Blocking: the worker has nothing else to wait for.

    A frame is sent as a whole or not at all. The parent could not find the beginning of the next one after a part.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor: int = descriptor
        self.token: bytes = bytes(TOKEN)
        """Drawn by the parent, taken from its first message."""
        self.is_sending: bool = False
        """Whether a frame is being sent. The time limit's signal must not interrupt that."""
        self._received = bytearray()

    def send(self, message: Mapping[str, object]) -> None:
        """Send one message. Raises ValueError for values that JSON does not have, and `ChannelClosed`."""
        left = memoryview(encode_frame(self.token, message))
        self.is_sending = True
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError:
            raise ChannelClosed from None
        finally:
            self.is_sending = False

    def detach(self) -> None:
        """Close this end in a fork, which must neither send messages nor keep the parent waiting."""
        os.close(self.descriptor)

    def receive(self) -> Prepare | Request | Start:
        """Wait for a message. Raises `ChannelClosed`."""
        received = self._exactly(decode_length(self._exactly(HEADER)))
        self.token = received[:TOKEN]
        return decode_message(received)  # type: ignore[return-value]

    def receive_bytes(self, number: int) -> bytes:
        """Wait for *number* bytes that follow a message. Raises `ChannelClosed`."""
        return self._exactly(number)

    def wait(self) -> None:
        """Wait until the parent closes its end. Raises `ChannelClosed` then."""
        self._exactly(1)  # never arrives

    def _exactly(self, number: int) -> bytes:
        received = self._received
        while len(received) < number:
            try:
                part = os.read(self.descriptor, min(max(number - len(received), _CHUNK), _MAX_CHUNK))
            except OSError:  # the parent closed its end before it had read everything
                part = b""
            if not part:
                raise ChannelClosed
            received += part
        taken = bytes(received[:number])
        del received[:number]
        return taken
