"""Reader of the frames that a worker sends. The worker is untrusted: size, number and shape of frames are checked.

A length is believed only up to a limit, and nothing is allocated for it in advance: a frame grows as its bytes arrive.
A frame without the token is no frame of the worker, but something that the program has written to a descriptor it
found. All of that ends the session; no frame is skipped, since what follows could not be trusted any more.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import cast

from resilience.execution._worker.framing import HEADER, TOKEN, decode_length, decode_message

__all__ = ["MALFORMED", "FrameReader", "Message", "require_int", "require_str"]

Message = Mapping[str, object]

MALFORMED = (ValueError, RecursionError, TypeError, KeyError)
"""Exceptions that a message which breaks the protocol raises while it is read and taken apart."""

_MAX_RESULT = 16 << 20
_MAX_FRAMES = 200_000
_CHUNK = 1 << 13


class FrameReader:
    """Reads frames from the non-blocking socket *control* and accepts those that carry *token*.

    `receive` takes bytes from the socket, `next_message` takes messages from these bytes. They are apart, so that a
    flood of frames cannot keep a session in one call.
    """

    def __init__(self, control: socket.socket, token: bytes) -> None:
        self._control = control
        self._token = token
        self._received = bytearray()
        self._frames_left = _MAX_FRAMES
        self.is_closed: bool = False
        """Whether the worker's end of the socket is closed."""

    def reset(self) -> None:
        """Allow as many frames again: the next program of a session begins."""
        self._frames_left = _MAX_FRAMES

    def receive(self) -> bool:
        """Receive up to one chunk; return whether there may be more."""
        try:
            piece = self._control.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        self.is_closed = not piece
        self._received += piece
        return len(piece) == _CHUNK

    def next_message(self) -> Message | None:
        """Return the next complete message, None if there is none yet. Raises one of `MALFORMED`."""
        received = self._received
        if len(received) < HEADER:
            return None
        length = decode_length(bytes(received[:HEADER]))
        if length > _MAX_RESULT:
            raise ValueError(f"a frame of {length} bytes")
        if len(received) < HEADER + length:
            return None
        frame = bytes(received[HEADER : HEADER + length])
        del received[: HEADER + length]
        self._frames_left -= 1
        if self._frames_left < 0:
            raise ValueError(f"more than {_MAX_FRAMES} frames")
        if frame[:TOKEN] != self._token:
            raise ValueError("a frame without the token")
        message = decode_message(frame)
        if not isinstance(message, dict):
            raise TypeError("a frame whose content is not a JSON object")
        return cast("Message", message)


def require_int(value: object) -> int:
    """Return *value* if it is an int. Raises TypeError for anything else, bool too."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an int")
    return value


def require_str(value: object) -> str:
    """Return *value* if it is a str, with lone surrogates replaced. Raises TypeError for anything else."""
    if type(value) is not str:
        raise TypeError(f"{value!r} is not a str")
    return value.encode("utf-8", "replace").decode("utf-8")
