"""Counters in a file that two processes map: the server counts, the demo reads, also after the server was killed."""

from __future__ import annotations

import mmap
import os
import struct
from types import TracebackType

from resilience.cli.demo.phases import PHASES, SIDES

__all__ = ["RequestCounter"]

_COUNT = struct.Struct("<Q")
_SIZE = len(SIDES) * len(PHASES) * _COUNT.size


class RequestCounter:
    """Requests that reached the server, by client and phase. Only one process may write at a time."""

    def __init__(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size < _SIZE:
            os.ftruncate(descriptor, _SIZE)
        self._memory = mmap.mmap(descriptor, _SIZE)

    def add(self, side: str, phase: int) -> None:
        """Count one request; a request of an unknown client or phase is not counted."""
        if side in SIDES and 0 <= phase < len(PHASES):
            at = _offset(side, phase)
            _COUNT.pack_into(self._memory, at, _COUNT.unpack_from(self._memory, at)[0] + 1)

    def read(self, side: str, phase: int) -> int:
        """Return the number of requests so far."""
        count: int = _COUNT.unpack_from(self._memory, _offset(side, phase))[0]
        return count

    def close(self) -> None:
        """Unmap the file."""
        self._memory.close()

    def __enter__(self) -> RequestCounter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _offset(side: str, phase: int) -> int:
    return (SIDES.index(side) * len(PHASES) + phase) * _COUNT.size
