"""Processes, threads and descriptors that an execution must not leave behind, and how to find them."""

from __future__ import annotations

import os
from pathlib import Path

from resilience.execution._worker_process import wait_readable


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def has_ended(pid: int) -> bool:
    """Whether a process is dead, or is about to be: a kill takes a moment."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return wait_readable(end, 5.0)
    finally:
        os.close(end)
