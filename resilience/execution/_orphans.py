"""Processes that left the session of the one that started them, as daemons do. Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from resilience.clock import SYSTEM

__all__ = ["kill_strays"]

_ROUNDS = 10
_MOMENT = 0.02
_PROC = Path("/proc")


def kill_strays(mark: str) -> None:
    """Kill every process whose environment began with *mark* in it, such as ``NAME=value``.

    Whoever starts a program with an empty environment escapes. So this is for what a program leaves behind, not for
    what it hides.
    """
    quiet = False
    for _ in range(_ROUNDS):
        found = list(_marked(mark.encode()))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if quiet and not found:
            return
        # Once more: a process that is just being started has no environment for a moment, and one that was killed may
        # have started another.
        quiet = not found
        SYSTEM.sleep(_MOMENT)


def _marked(mark: bytes) -> Iterator[int]:
    if not _PROC.is_dir():
        return
    for name in os.listdir(_PROC):  # noqa: PTH208  # names only: there may be thousands
        if name.isdecimal():
            with contextlib.suppress(OSError):  # another user's, or gone
                if mark in (_PROC / name / "environ").read_bytes().split(b"\0"):
                    yield int(name)
