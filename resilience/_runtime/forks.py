"""What a forked process forgets: locks that a thread of its parent held, threads, timers.

A child of `os.fork` has a copy of its parent's memory, and of its threads only the one that forked. A lock that another
thread held at that moment stays taken for ever, and a worker thread in a table does not exist. Each module that keeps
such things resets them itself, by a function that it registers here.
"""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["call_in_forked_child"]


def call_in_forked_child(function: Callable[[], object]) -> None:
    """Have *function* called in each forked process, before its own code runs; nothing where there are no forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
