"""What a program prints: kept within bounds, however much it is."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable

__all__ = ["MOST_OUTPUT", "Output"]

MOST_OUTPUT = 1 << 20
"""Bytes that are kept of each stream: half of them from the beginning, half from the end."""
_CHUNK = 1 << 16
_MOST_LEFT = 4 << 20
"""Bytes that are still read once the process is dead: more than a pipe holds. Who escaped may go on writing."""


class Output:
    r"""One stream: its beginning and its end, with a mark where something is missing.

    >>> output = Output(-1, most=8)
    >>> output.add(b"0123456789"), output.add(b"abcdef")
    (None, None)
    >>> output.text()
    '0123\n[... 8 bytes left out ...]\ncdef'
    """

    def __init__(self, descriptor: int, most: int = MOST_OUTPUT, tell: Callable[[str], object] | None = None) -> None:
        self.descriptor = descriptor
        self.is_cut: bool = False
        self._half = most // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._tell = tell
        self._decoder = None if tell is None else codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> bool:
        """Read what is there, a piece at most; return whether there may be more to come."""
        try:
            piece = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            piece = b""
        if piece:
            self.add(piece)
        else:
            self._say(b"", final=True)
        return bool(piece)

    def read_rest(self) -> None:
        """Read what is left in the pipe, without waiting for anybody to write or to close it."""
        enough = self._total + _MOST_LEFT
        while self._total < enough:
            before = self._total
            if not self.read() or self._total == before:
                break

    def add(self, piece: bytes) -> None:
        """Keep *piece*, as far as there is room."""
        self._say(piece)
        self._total += len(piece)
        room = self._half - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        self._tail += piece
        if len(self._tail) > 2 * self._half:  # seldom: each time it moves what is kept
            del self._tail[: -self._half]
        self.is_cut = self._total > 2 * self._half

    def text(self) -> str:
        """Return what is kept."""
        if not self.is_cut:
            return (self._head + self._tail).decode("utf-8", "replace")
        left_out = self._total - 2 * self._half
        head, tail = self._head, self._tail[-self._half :]
        begin, end = head.decode("utf-8", "replace"), tail.decode("utf-8", "replace")
        return f"{begin}\n[... {left_out} bytes left out ...]\n{end}"

    def _say(self, piece: bytes, *, final: bool = False) -> None:
        if self._tell is not None and self._decoder is not None:
            text = self._decoder.decode(piece, final)
            if text:
                self._tell(text)
