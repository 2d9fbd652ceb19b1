"""What the process may take: memory, processor time, files. Set by the process itself, before the code runs.

The soft limit of memory lies below the hard one: when the code has hit it, it is raised, and there is room to report
the MemoryError with its line. Where a platform has no such limit, there is none: macOS knows RLIMIT_AS and does not
keep it.
"""

from __future__ import annotations

import os
import resource
import sys

__all__ = ["Limits", "out_of_the_way"]

_RESERVE = 64 << 20
"""Bytes beyond the limit, for the report."""
_BALLAST = 4 << 20
_MOST_FILE = 100 << 20
_MOST_OPEN = 256
_LONGEST = 10**9


class Limits:
    """The limits of this process, and what it has taken."""

    def __init__(self) -> None:
        # Opened before the guard is up, which would take it for the program's own doing.
        self._status = _opened("/proc/self/status", 2)
        self._statm = _opened("/proc/self/statm", 3)
        self._hard = 0
        self._ballast: bytes | None = None
        self._processors = os.cpu_count() or 1

    def set_fixed(self) -> None:
        """Set what is the same for all programs."""
        _limit(resource.RLIMIT_CORE, 0, 0)
        _limit(resource.RLIMIT_NOFILE, _MOST_OPEN, _MOST_OPEN)
        _limit(resource.RLIMIT_FSIZE, _MOST_FILE, _MOST_FILE)

    def set_processor(self, seconds: float) -> None:
        """Let it have all processors for *seconds*. The timer ends it much sooner; this holds without a parent, too."""
        most = min(int(seconds) + 1, _LONGEST) * self._processors + 1
        _limit(resource.RLIMIT_CPU, most, most + 1)

    def set_memory(self, size: int) -> None:
        """Let it have *size* bytes more of address space than it has now."""
        if self._statm is not None:
            self._ballast = bytes(_BALLAST)  # of pages that nobody has touched, so it costs an address and no memory
            now = int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize()
            self._hard = now + size + _RESERVE
            _limit(resource.RLIMIT_AS, now + size, self._hard)

    def relax(self) -> None:
        """Have the reserve, too: the program is over."""
        self._ballast = None  # to raise a limit takes some memory, too, and there may be none at all
        if self._hard:
            _limit(resource.RLIMIT_AS, self._hard, self._hard)

    def peak(self) -> int:
        """Return the most memory it has had, in bytes.

        Not `ru_maxrss`, where there is better: that starts with what the parent had when it made this process.
        """
        if self._status is not None:
            for line in os.pread(self._status, 8192, 0).splitlines():
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) << 10
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most << 10


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit; never above one that is in force already."""
    _, ceiling = resource.getrlimit(kind)
    if ceiling != resource.RLIM_INFINITY:
        hard = min(hard, ceiling)
    try:
        resource.setrlimit(kind, (min(soft, hard), hard))
    except (ValueError, OSError):  # the platform does not take it
        pass


def out_of_the_way(descriptor: int, place: int) -> int:
    """Move a descriptor to the upper end, and return where it is now.

    The program has the low numbers, as it would elsewhere, and when it closes them all, its next files do not take the
    place of what is written to here.
    """
    try:
        moved = os.dup2(descriptor, _MOST_OPEN - 1 - place, inheritable=False)
    except OSError:  # there are not so many
        os.set_inheritable(descriptor, False)
        return descriptor
    os.close(descriptor)
    return moved


def _opened(path: str, place: int) -> int | None:
    try:
        return out_of_the_way(os.open(path, os.O_RDONLY), place)
    except OSError:
        return None
