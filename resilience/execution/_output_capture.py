"""Bounded capture of a program's output: the beginning and the end of each stream.

The beginning says what a program was about to do, the end why it stopped; what floods a stream is mostly between. A
stream is always read on, however much there is: a program whose pipe is full would wait for its reader.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable

__all__ = ["MAX_OUTPUT", "OutputCapture"]

MAX_OUTPUT = 1 << 20
"""Bytes kept of each stream: half of them from its beginning, half from its end."""
_CHUNK = 1 << 16
_MAX_REST = 4 << 20
"""Bytes read after the process has exited: more than a pipe holds. An orphaned process may write without end."""


class OutputCapture:
    r"""Captures one stream: its beginning and its end, with a line between them that says how much is missing.

    *emit* is called with each piece of text as it arrives.

    >>> output = OutputCapture(-1, limit=8)
    >>> output.add(b"0123456789"), output.add(b"abcdef")
    (None, None)
    >>> output.text()
    '0123\n[... 8 bytes left out ...]\ncdef'
    """

    def __init__(self, descriptor: int, limit: int = MAX_OUTPUT, emit: Callable[[str], object] | None = None) -> None:
        self.descriptor = descriptor
        self.is_cut: bool = False
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0
        self._emit = emit
        self._decoder = None if emit is None else codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> bool:
        """Read up to one chunk without waiting; return False at the end of the stream."""
        try:
            piece = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            piece = b""
        if piece:
            self.add(piece)
        else:
            self._emit_text(b"", final=True)
        return bool(piece)

    def read_rest(self) -> None:
        """Read what is left in the pipe. Does not wait for writers to write or to close it."""
        enough = self._total + _MAX_REST
        while self._total < enough:
            before = self._total
            if not self.read() or self._total == before:
                break

    def add(self, piece: bytes) -> None:
        """Keep *piece*, as far as there is free."""
        self._emit_text(piece)
        self._total += len(piece)
        free = self._half - len(self._head)
        if free > 0:
            self._head += piece[:free]
            piece = piece[free:]
        self._tail += piece
        if len(self._tail) > 2 * self._half:  # rarely: each deletion moves the bytes that stay
            del self._tail[: -self._half]
        self.is_cut = self._total > 2 * self._half

    def text(self) -> str:
        """Return the captured text. Bytes that are not UTF-8 are replaced."""
        if not self.is_cut:
            return (self._head + self._tail).decode("utf-8", "replace")
        left_out = self._total - 2 * self._half
        head, tail = self._head, self._tail[-self._half :]
        begin, end = head.decode("utf-8", "replace"), tail.decode("utf-8", "replace")
        return f"{begin}\n[... {left_out} bytes left out ...]\n{end}"

    def _emit_text(self, piece: bytes, *, final: bool = False) -> None:
        if self._emit is not None and self._decoder is not None:
            text = self._decoder.decode(piece, final)
            if text:
                self._emit(text)
