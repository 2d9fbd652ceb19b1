"""The flight recorder: how far the program has come, in a file that outlives the process.

A process that is killed, or crashes, can send nothing any more. So it writes down as it goes, at 1 us a note, what its
parent reads in that case: the statements that are done, the lines that were reached, and what `faulthandler` has to
say. The file has no name. Both sides use this module.
"""

from __future__ import annotations

import os
import sys

__all__ = ["PATH", "TRACE", "Recorder", "Recording"]

_NUMBER = 4
_PATH_AT = 4 * _NUMBER
PATH = 1000
"""How many lines are kept."""
TRACE = _PATH_AT + PATH * _NUMBER
"""Where the words of `faulthandler` begin."""
_HERE = os.path.dirname(__file__)  # noqa: PTH120  # pathlib is slow to import


class Recorder:
    """The child's side."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._left = PATH
        self._is_on = True
        os.pwrite(descriptor, bytes(TRACE), 0)
        os.lseek(descriptor, TRACE, os.SEEK_SET)  # `faulthandler` writes where the file stands

    def abandon(self) -> None:
        """Write nothing any more, in a fork."""
        self._is_on = False

    def begin(self) -> None:
        """Note that there is a request. Without this, the code has certainly not run."""
        os.pwrite(self.descriptor, b"\1", 0)

    def done(self, lines: int, end_line: int, end_column: int) -> None:
        """Note that a statement is done: *lines* in all, the last of them up to *end_column*, in bytes."""
        if self._is_on:
            note = b"".join(number.to_bytes(_NUMBER, sys.byteorder) for number in (lines, end_line, end_column))
            self._write(note, _NUMBER)

    def reached(self, line: int) -> None:
        """Note that a line is reached for the first time."""
        if self._is_on and self._left:
            self._write(line.to_bytes(_NUMBER, sys.byteorder), TRACE - self._left * _NUMBER)
            self._left -= 1

    def _write(self, note: bytes, at: int) -> None:
        try:
            os.pwrite(self.descriptor, note, at)
        except OSError:  # the program has closed it
            self._is_on = False


class Recording:
    """What a recorder has written, for the parent. It may be anything: the code has had its hands on the file.

    >>> Recording(bytes(TRACE)).begun
    False
    """

    def __init__(self, content: bytes) -> None:
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
        """The line the program was at when `faulthandler` looked; None where it did not."""
        threads = self.trace.split("hread 0x")
        main = next((thread for thread in threads if _HERE in thread), self.trace)
        _, found, rest = main.partition('File "<string>", line ')
        number = rest.partition(" ")[0] if found else ""
        return int(number) if number.isdecimal() and len(number) < 9 else None
