"""Watching a file: a thread that looks at it every few seconds, and has it read again when it has changed.

It asks for the state of the file rather than for notifications of the operating system: these differ by system, and are
unreliable on network file systems.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from resilience._undo import Undo

__all__ = ["Watch"]


class Watch(Undo):
    """A file that is being watched, until this object is called or its ``with`` block is left.

    `Policies.watch` makes it. The thread is a daemon: it does not keep a program from ending. A forked process has no
    copy of it and calls `Policies.watch` again.
    """

    __slots__ = ("_ended", "_look", "_path", "_seconds", "_seen", "_thread")

    def __init__(self, path: Path, seconds: float, look: Callable[[], object]) -> None:
        self._path = path
        self._seconds = seconds
        self._look = look
        self._seen = self._state()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"resilience watches {path.name}", daemon=True)
        self._thread.start()

    def _state(self) -> tuple[int, int, int] | None:
        """Return what tells one version of the file from another; None where there is no file now.

        An editor replaces a file by another one, with a number of its own.
        """
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()

    def look(self) -> bool:
        """Look at the file now; return whether it has changed since the last look, and was read again."""
        state = self._state()
        if state is None or state == self._seen:
            return False
        self._seen = state
        self._look()
        return True

    def __call__(self) -> None:
        """Stop watching. The file is not read again."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __repr__(self) -> str:
        return f"<Watch {str(self._path)!r} every {self._seconds:g} s>"
