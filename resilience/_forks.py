"""State that a forked process begins anew: locks that a thread of its parent held, threads, timers.

A child of `os.fork` has a copy of its parent's memory, and of its threads only the one that forked. A lock that another
thread held at that moment stays taken for ever, and a worker thread in a table does not exist. Locks that live as long
as the program are made by `fork_safe`. A module that keeps other state, or locks of many objects, resets them by a
function that it registers with `call_in_forked_child`.

The same holds for the lock that an import takes for each module. Most modules of this package, and some that they need,
are imported by the first call that needs them: a child that makes such a call must not wait for a thread of its parent.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar
from weakref import WeakSet

__all__ = ["call_in_forked_child", "fork_safe", "release_in_child"]


class _Lock(Protocol):
    """A lock of `threading`, re-entrant or not."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...

    def release(self) -> None: ...


L = TypeVar("L", bound=_Lock)

_locks: WeakSet[_Lock] = WeakSet()


def call_in_forked_child(function: Callable[[], object]) -> None:
    """Have *function* called in each forked process, before its own code runs; nothing where there are no forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def fork_safe(lock: L) -> L:
    """Return *lock*, which is free in each forked process, whatever thread of the parent held it."""
    _locks.add(lock)
    return lock


def release_in_child(lock: _Lock) -> None:
    """Make *lock* free, in a forked process, in place: other objects may refer to it.

    A re-entrant lock that the forking thread holds stays taken: a signal handler has forked, and the code that it has
    interrupted releases the lock in the child, too.
    """
    is_owned = getattr(lock, "_is_owned", None)
    if is_owned is not None and is_owned():
        return
    # `threading`, `logging` and `concurrent.futures` renew their own locks by this method of CPython's.
    getattr(lock, "_at_fork_reinit")()


def _release_all() -> None:
    for lock in list(_locks):
        release_in_child(lock)


def _begin_imports_anew() -> None:
    """Forget what other threads of the parent had begun to import, of whatever package: ours import others when called.

    Python leaves the locks of those imports taken, so that the child would wait for ever where it imports the same.
    """
    locks = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})
    for name, reference in list(locks.items()):
        if getattr(reference(), "owner", None) not in (None, threading.get_ident()):
            del locks[name]
            if getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False):
                del sys.modules[name]


call_in_forked_child(_release_all)
call_in_forked_child(_begin_imports_anew)
