"""Recorder of the program's progress in a file that outlives the process.

A process that is killed or crashes cannot send a result. So the worker writes, in 1 us each time, what the parent needs
for a report in that case: completed statements, lines that were reached, and the traceback of `faulthandler`. The file
has no name. Parent and worker use this module.
"""

from __future__ import annotations

import os
import sys

__all__ = ["PATH", "TRACE", "Recorder", "Recording"]

_NUMBER = 4
_PATH_AT = 4 * _NUMBER
PATH = 1000
"""Number of lines that are recorded."""
TRACE = _PATH_AT + PATH * _NUMBER
"""Offset of the traceback that `faulthandler` writes."""
_HERE = os.path.dirname(__file__)  # noqa: PTH120  # pathlib is slow to import


class Recorder:
    """Writes the file, in the worker.

    Layout, in native 32-bit numbers: whether a request has begun, completed lines, last line and column of the last
    completed statement, then up to 1000 lines in the order in which they were reached. The traceback of `faulthandler`
    follows as text. Zero means that nothing was recorded.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._is_attached = True
        self.reset()

    def reset(self) -> None:
        """Empty the file, for the next program."""
        self._lines_left = PATH
        os.ftruncate(self.descriptor, TRACE)
        os.pwrite(self.descriptor, bytes(TRACE), 0)
        os.lseek(self.descriptor, TRACE, os.SEEK_SET)  # `faulthandler` writes where the file stands

    def detach(self) -> None:
        """Stop writing, in a fork."""
        self._is_attached = False

    def begin(self) -> None:
        """Record that a request has arrived. Without this record the program has certainly not run."""
        os.pwrite(self.descriptor, b"\1", 0)

    def statement_done(self, lines: int, end_line: int, end_column: int) -> None:
        """Record that a statement has completed: *lines* so far, the last one up to *end_column*, in bytes."""
        if self._is_attached:
            self._write(_bytes(lines) + _bytes(end_line) + _bytes(end_column), _NUMBER)

    def line_reached(self, line: int) -> None:
        """Record that a line is reached for the first time."""
        if self._is_attached and self._lines_left:
            self._write(_bytes(line), TRACE - self._lines_left * _NUMBER)
            self._lines_left -= 1

    def _write(self, note: bytes, at: int) -> None:
        try:
            os.pwrite(self.descriptor, note, at)
        except OSError:  # the program has closed it
            self._is_attached = False


def _bytes(number: int) -> bytes:
    return number.to_bytes(_NUMBER, sys.byteorder)


class Recording:
    """Reads the file, in the parent. Its content is untrusted: the program may have written to it.

    >>> Recording(bytes(TRACE)).begun
    False
    """

    def __init__(self, content: bytes, filename: str = "<string>") -> None:
        self._filename = filename
        notes = memoryview(content[:TRACE].ljust(TRACE, b"\0")).cast("I").tolist()
        self.begun: bool = bool(notes[0])
        self.completed_lines: int = notes[1]
        self.end_line: int = notes[2]
        self.end_column: int = notes[3]
        path = notes[4:]
        self.path: list[int] = path[: path.index(0)] if 0 in path else path
        self.trace: str = content[TRACE:].decode("utf-8", "replace")

    @property
    def line(self) -> int | None:
        """Line of the program in the traceback of `faulthandler`; None if there is no traceback."""
        threads = self.trace.split("hread 0x")
        main = next((thread for thread in threads if _HERE in thread), self.trace)
        _, found, rest = main.partition(f'File "{self._filename}", line ')
        number = rest.partition(" ")[0] if found else ""
        return int(number) if number.isdecimal() and len(number) < 9 else None
