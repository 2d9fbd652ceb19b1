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

_RESERVE = 128 << 20
"""Bytes beyond the limit, for the report, and for a shared object that is looked at once it is loaded: OpenBLAS takes
100 MB."""
_NEAR = 4 << 20
"""Bytes that were left when something small did not fit: what is larger says so by itself."""
_BALLAST = 4 << 20
_COMPILER = 512 << 20
_MOST_FILE = 100 << 20
_MOST_OPEN = 256
_LONGEST = 10**9
_KINDS = (
    *(resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU),
    *(resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE),
)


class Limits:
    """The limits of this process, and what it has taken."""

    def __init__(self) -> None:
        # Opened before the guard is up, which would take it for the program's own doing.
        self._status = _opened("/proc/self/status", 2)
        self._statm = _opened("/proc/self/statm", 3)
        self._size: int | None = None
        self._soft = 0
        self._allowed = 0
        self._hard = 0
        self._may_compile = 0
        self._ceilings = {kind: resource.getrlimit(kind)[1] for kind in _KINDS}
        # Of pages that nobody has touched, so it costs an address and no memory.
        self._ballast: bytes | None = bytes(_BALLAST)
        self._processors = os.cpu_count() or 1

    def set_fixed(self) -> None:
        """Set what is the same for all programs."""
        self._limit(resource.RLIMIT_CORE, 0, 0)
        self._limit(resource.RLIMIT_NOFILE, _MOST_OPEN, _MOST_OPEN)
        self._limit(resource.RLIMIT_FSIZE, _MOST_FILE, _MOST_FILE)

    def set_processor(self, seconds: float) -> None:
        """Let it have all processors for *seconds*. The timer ends it much sooner; this holds without a parent, too."""
        most = min(int(seconds) + 1, _LONGEST) * self._processors + 1
        self._limit(resource.RLIMIT_CPU, most, most + 1)

    def measure(self) -> None:
        """Take note of the address space it has: what comes on top is the program's."""
        if self._statm is not None:
            self._size = int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize()

    def set_memory(self, size: int) -> None:
        """Let it have *size* bytes more of address space than it was measured to have."""
        if self._size is not None:
            self._soft = self._allowed = self._size + size
            self._hard = self._soft + _RESERVE
            self._limit(resource.RLIMIT_AS, self._soft, self._hard)

    def open_reserve(self) -> None:
        """Let it have the reserve, too, until `close_reserve`."""
        if self._soft:
            self._limit(resource.RLIMIT_AS, self._hard, self._hard)

    def close_reserve(self) -> None:
        """Have the limit hold again. What was taken of the reserve stays taken: `is_exceeded`."""
        if self._soft:
            self._limit(resource.RLIMIT_AS, self._soft, self._hard)

    def is_exceeded(self) -> bool:
        """Return whether it has more address space than it may, by what was taken of the reserve."""
        if not self._soft or self._statm is None:
            return False
        return int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize() > self._soft

    def limit_compiler(self, size: int) -> None:
        """Let compiling take *size* bytes more than there is now, or half a gigabyte where that is more.

        A source of ten million characters could take seven.
        """
        self.measure()
        if self._size is not None:
            self._hard = self._ceilings[resource.RLIMIT_AS]
            self._may_compile = max(size, _COMPILER)
            self._limit(resource.RLIMIT_AS, self._size + self._may_compile, self._hard)

    def is_compiler_out_of_memory(self) -> bool:
        """Return whether that was what a compiler lacked that raised MemoryError. It does so for deep nesting, too."""
        if self._size is None or not self._may_compile or self._status is None:
            return False
        return self._highest() > self._size + self._may_compile // 2

    def was_reached(self) -> bool:
        """Return whether the program had all the address space it may have at some time."""
        return bool(self._allowed) and self._highest() > self._allowed - _NEAR

    def _highest(self) -> int:
        """Return the most address space it has had, in bytes; 0 where that is not known."""
        if self._status is None:
            return 0
        _, _, rest = os.pread(self._status, 8192, 0).partition(b"VmPeak:")
        return int(rest.partition(b"kB")[0] or 0) << 10

    def relax(self) -> None:
        """Have the reserve, too: the program is over."""
        if not self._hard:
            return
        self._soft = 0
        try:
            self._limit(resource.RLIMIT_AS, self._hard, self._hard)
        except MemoryError:  # that takes some, too, and there may be none at all
            self._ballast = None
            self._limit(resource.RLIMIT_AS, self._hard, self._hard)

    def _limit(self, kind: int, soft: int, hard: int) -> None:
        """Set a limit; never above one that was in force already."""
        ceiling = self._ceilings[kind]
        if ceiling != resource.RLIM_INFINITY:  # which is a negative number
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):  # the platform does not take it
            pass

    def peak(self) -> int:
        """Return the most memory it has had, in bytes.

        Not `ru_maxrss`, where there is better: that starts with what the parent had when it made this process.
        """
        if self._status is not None:
            _, found, rest = os.pread(self._status, 8192, 0).partition(b"VmHWM:")
            if found:
                return int(rest.partition(b"kB")[0]) << 10
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most << 10


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
