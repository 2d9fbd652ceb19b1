"""What a child sends, frame by frame. It is not trusted: frames are bounded, and must hold together."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import cast

from resilience.execution._worker.framing import HEADER, TOKEN, length_of, message_of

__all__ = ["MALFORMED", "Frames", "Message", "number_of", "text_of"]

Message = Mapping[str, object]

MALFORMED = (ValueError, RecursionError, TypeError, KeyError)
"""What taking a message, and what is in it, raises where that makes no sense."""

_MOST_ANSWER = 16 << 20
_MOST_FRAMES = 200_000
_CHUNK = 1 << 13


class Frames:
    """The frames that come in at *control*, which does not block."""

    def __init__(self, control: socket.socket, token: bytes) -> None:
        self._control = control
        self._token = token
        self._received = bytearray()
        self._left = _MOST_FRAMES
        self.is_closed: bool = False
        """Whether nothing more can come."""

    def receive(self) -> bool:
        """Receive a piece of what is there; return whether there may be more of it."""
        try:
            piece = self._control.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        self.is_closed = not piece
        self._received += piece
        return len(piece) == _CHUNK

    def take(self) -> Message | None:
        """Return the next message; None where it has not come in as a whole. Raises one of `MALFORMED`."""
        received = self._received
        if len(received) < HEADER:
            return None
        length = length_of(bytes(received[:HEADER]))
        if length > _MOST_ANSWER:
            raise ValueError(f"a frame of {length} bytes")
        if len(received) < HEADER + length:
            return None
        frame = bytes(received[HEADER : HEADER + length])
        del received[: HEADER + length]
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {_MOST_FRAMES} frames")
        if frame[:TOKEN] != self._token:
            raise ValueError("a frame without the token")
        message = message_of(frame)
        if not isinstance(message, dict):
            raise TypeError("a frame that holds no object")
        return cast("Message", message)


def number_of(value: object) -> int:
    """Return a whole number. Raises TypeError for anything else."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no number")
    return value


def text_of(value: object) -> str:
    """Return a text that can be sent on. Raises TypeError for anything else."""
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value.encode("utf-8", "replace").decode("utf-8")
