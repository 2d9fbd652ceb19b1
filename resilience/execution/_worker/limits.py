"""Resource limits of the worker: address space, CPU time, files. The worker sets them itself before the program runs.

The soft memory limit lies below the hard one. When the program hits it, the worker raises it, so that it can report the
MemoryError with its line. A platform that does not enforce a limit has none: macOS accepts RLIMIT_AS and ignores it.

Memory is limited as address space, the only kind that the system refuses at the moment it is asked for: a limit of
resident memory is not enforced by Linux, and a cgroup kills. It counts what is reserved but not touched, too, so it
begins at what the interpreter and the modules of `preload` have already.
"""

from __future__ import annotations

import os
import resource
import sys

__all__ = ["Limits", "move_to_high_number"]

_RESERVE = 128 << 20
"""Bytes beyond the limit, for the report, and for a shared object whose size is checked after loading: OpenBLAS takes
100 MB."""
_REACHED_MARGIN = 4 << 20
"""Bytes: a peak this close to the limit counts as reached. Larger allocations raise a MemoryError by themselves."""
_BALLAST = 4 << 20
_COMPILER_MEMORY = 512 << 20
_MAX_FILE_SIZE = 100 << 20
_MAX_OPEN_FILES = 256
_MAX_CPU_SECONDS = 10**9
_KINDS = (
    *(resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU),
    *(resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE),
)


class Limits:
    """Limits of this process and its use of memory.

    The descriptors of ``/proc`` are opened early: later the guard would refuse them, or the program has used up
    all that it is allowed. A hard limit is set only where no other program follows: it cannot be raised again.
    """

    def __init__(self) -> None:
        # Opened before the guard is on, which would reject it as the program's own read.
        self._status = _open_if_exists("/proc/self/status", 2)
        self._statm = _open_if_exists("/proc/self/statm", 3)
        self._size: int | None = None
        self._soft = 0
        self._allowed = 0
        self._peak_before = 0
        self._hard = 0
        self._compiler_limit = 0
        self._ceilings = {kind: resource.getrlimit(kind)[1] for kind in _KINDS}
        # Its pages are never touched: it takes address space and no memory.
        self._ballast: bytes | None = bytes(_BALLAST)
        self._processors = os.cpu_count() or 1
        self._has_own_maxrss = False
        self.is_for_session: bool = False
        """Whether another program follows, whose limits may be higher: the hard limits stay as they are then."""

    def set_fixed(self) -> None:
        """Set the limits that are the same for all programs."""
        self._limit(resource.RLIMIT_CORE, 0, 0)
        self._limit(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES)
        self._limit(resource.RLIMIT_FSIZE, _MAX_FILE_SIZE, _MAX_FILE_SIZE)

    def set_processor(self, seconds: float) -> None:
        """Limit CPU time to *seconds* of all processors: a last resort that works without timer and parent."""
        limit = min(int(seconds) + 1, _MAX_CPU_SECONDS) * self._processors + 1
        if self.is_for_session:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            limit += int(usage.ru_utime + usage.ru_stime) + 1
        self._limit(resource.RLIMIT_CPU, limit, limit + 1)

    def measure(self) -> None:
        """Measure the address space of the interpreter: whatever is added later counts as the program's."""
        if self._statm is not None:
            self._size = int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize()

    def set_memory(self, size: int) -> None:
        """Limit the address space to *size* bytes more than measured."""
        if self._size is not None:
            self._peak_before = self._peak_address_space() if self.is_for_session else 0
            self._soft = self._allowed = self._size + size
            self._hard = self._soft + _RESERVE
            self._limit(resource.RLIMIT_AS, self._soft, self._hard)

    def open_reserve(self) -> None:
        """Raise the limit by the reserve until `close_reserve`."""
        if self._soft:
            self._limit(resource.RLIMIT_AS, self._hard, self._hard)

    def close_reserve(self) -> None:
        """Restore the limit. Whatever was allocated of the reserve stays allocated, which `is_exceeded` tells."""
        if self._soft:
            self._limit(resource.RLIMIT_AS, self._soft, self._hard)

    def is_exceeded(self) -> bool:
        """Return whether the process has used some of the reserve."""
        if not self._soft or self._statm is None:
            return False
        return int(os.pread(self._statm, 64, 0).split()[0]) * resource.getpagesize() > self._soft

    def limit_compiler(self, size: int) -> None:
        """Limit compiling to *size* bytes more than there is now, or to half a gigabyte if that is more.

        A source of ten million characters could take seven gigabytes.
        """
        self.measure()
        if self._size is not None:
            self._hard = self._ceilings[resource.RLIMIT_AS]
            self._compiler_limit = max(size, _COMPILER_MEMORY)
            self._limit(resource.RLIMIT_AS, self._size + self._compiler_limit, self._hard)

    def is_compiler_out_of_memory(self) -> bool:
        """Return whether the compiler's MemoryError was about memory. It raises one for deep nesting, too."""
        if self._size is None or not self._compiler_limit or self._status is None:
            return False
        return self._peak_address_space() > self._size + self._compiler_limit // 2

    def was_memory_exhausted(self) -> bool:
        """Return whether the program has reached its limit at some time."""
        reached = max(self._allowed - _REACHED_MARGIN, self._peak_before)
        return bool(self._allowed) and self._peak_address_space() > reached

    def _peak_address_space(self) -> int:
        """Return the peak of the address space in bytes; 0 if unknown."""
        if self._status is None:
            return 0
        _, _, rest = os.pread(self._status, 8192, 0).partition(b"VmPeak:")
        return int(rest.partition(b"kB")[0] or 0) << 10

    def release_reserve(self) -> None:
        """Raise the limit by the reserve for good: the program has ended."""
        if not self._hard:
            return
        self._soft = 0
        try:
            self._limit(resource.RLIMIT_AS, self._hard, self._hard)
        except MemoryError:  # the call itself allocates, and nothing may be left
            self._ballast = None
            self._limit(resource.RLIMIT_AS, self._hard, self._hard)

    def lift(self) -> None:
        """Lift the memory limit between two programs of a session, as if none had been set."""
        self._soft = self._hard = self._allowed = self._compiler_limit = 0
        self._limit(resource.RLIMIT_AS, self._ceilings[resource.RLIMIT_AS], self._ceilings[resource.RLIMIT_AS])

    def _limit(self, kind: int, soft: int, hard: int) -> None:
        """Set a limit, never above the one that the process started with."""
        ceiling = self._ceilings[kind]
        if self.is_for_session:
            hard = ceiling
        if ceiling != resource.RLIM_INFINITY:  # a negative number
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):  # not supported by the platform
            pass

    def peak_memory(self) -> int:
        """Return the peak of resident memory in bytes.

        `ru_maxrss` begins with the parent's own at the time of the fork. It takes a tenth of the time of a file in
        ``/proc``, but tells something only once this process has used more than that, or where there is no such file.
        """
        peak = None if self._has_own_maxrss else self._peak_by_status()
        return _maxrss() if peak is None else peak

    def compare_peaks(self) -> None:
        """Find out whether `ru_maxrss` is this process's own by now."""
        before = _maxrss()
        self._has_own_maxrss = before <= (self._peak_by_status() or 0)

    def _peak_by_status(self) -> int | None:
        if self._status is None:
            return None
        _, found, rest = os.pread(self._status, 8192, 0).partition(b"VmHWM:")
        return int(rest.partition(b"kB")[0]) << 10 if found else None


def _maxrss() -> int:
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found << 10


def move_to_high_number(descriptor: int, place: int) -> int:
    """Move a descriptor to a high number and return that.

    The program gets the low numbers, as in any process, and if it closes them all, its next files do not take the place
    of the descriptors that the worker writes to.
    """
    try:
        moved = os.dup2(descriptor, _MAX_OPEN_FILES - 1 - place, inheritable=False)
    except OSError:  # the limit of open files is lower
        os.set_inheritable(descriptor, False)
        return descriptor
    os.close(descriptor)
    return moved


def _open_if_exists(path: str, place: int) -> int | None:
    try:
        return move_to_high_number(os.open(path, os.O_RDONLY), place)
    except OSError:
        return None
