"""Orphaned processes: those that have left the session of the worker that started them, as daemons do. Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from resilience.clock import SYSTEM

__all__ = ["kill_orphans"]

_MAX_ROUNDS = 10
_PAUSE = 0.02
_PROC = Path("/proc")


def kill_orphans(mark: str) -> None:
    """Kill every process that was started with *mark*, such as ``NAME=value``, in its environment.

    A process started with an empty environment escapes. This cleans up after a program; it does not stop one that hides
    its processes.
    """
    quiet = False
    for _ in range(_MAX_ROUNDS):
        found = list(_marked(mark.encode()))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if quiet and not found:
            return
        # Look again: a process that is being started has no environment for a moment, and a killed one may have started
        # another.
        quiet = not found
        SYSTEM.sleep(_PAUSE)


def _marked(mark: bytes) -> Iterator[int]:
    if not _PROC.is_dir():
        return
    for name in os.listdir(_PROC):  # noqa: PTH208  # names only: there may be thousands
        if name.isdecimal():
            with contextlib.suppress(OSError):  # another user's, or gone
                if mark in (_PROC / name / "environ").read_bytes().split(b"\0"):
                    yield int(name)
