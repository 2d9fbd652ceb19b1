"""Shutdown: the end of all pauses of retries in this process, for a program that is about to end.

What is safe in a signal handler is used here and nothing else: no lock is taken, and sets are changed by one operation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from resilience._undo import Undo

__all__ = ["Shutdown", "begin_shutdown", "ending_at_shutdown", "is_shutting_down"]

_in_force: set[Shutdown] = set()
_pauses: set[Callable[[], object]] = set()


class Shutdown(Undo):
    """A shutdown in force: call it, or leave its ``with`` block, to have retries wait and go on again."""

    __slots__ = ()

    def __call__(self) -> None:
        """End it. Doing it again does nothing."""
        _in_force.discard(self)


def begin_shutdown() -> Shutdown:
    """End the pauses of all retries now, and have none make a further attempt; return what takes that back.

    A retry that waits raises its last error at once, with the reason ``shutdown`` in its report, and one that begins
    later makes a single attempt. This holds for the whole process: threads, asyncio and trio. Attempts in flight are
    not ended. It may be called in a signal handler.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=10, base_delay=60)
    ... def down() -> None:
    ...     raise ConnectionRefusedError
    >>> with begin_shutdown():
    ...     try:
    ...         down()
    ...     except ConnectionRefusedError as error:
    ...         print(error.resilience.made, error.resilience.reason.value)
    1 shutdown
    """
    shutdown = Shutdown()
    _in_force.add(shutdown)
    for wake in list(_pauses):
        with contextlib.suppress(RuntimeError):  # of a loop that is closed
            wake()
    return shutdown


def is_shutting_down() -> bool:
    """Whether a shutdown is in force."""
    return bool(_in_force)


@contextlib.contextmanager
def ending_at_shutdown(wake: Callable[[], object]) -> Generator[None]:
    """Call *wake*, from any thread or a signal handler, when a shutdown begins during the block, or is in force."""
    _pauses.add(wake)
    try:
        if _in_force:
            wake()
        yield
    finally:
        _pauses.discard(wake)
