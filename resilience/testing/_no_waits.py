"""Retries that do not wait."""

from __future__ import annotations

from resilience.settings import NO_WAITS, SwitchedOff

__all__ = ["no_waits"]


def no_waits(*, everywhere: bool = False) -> SwitchedOff:
    """Have the toolkit skip its waits in a ``with`` block: a retry follows at once, and nothing else changes.

    In this context (this task and those it starts, this thread), or *everywhere* in the process. Time itself goes on as
    it does, so circuits stay open for as long as they do: `virtual_time` moves that as well.

    >>> from resilience import retry_on_category
    >>> @retry_on_category(attempts=3, base_delay=60)
    ... def down() -> None:
    ...     raise ConnectionRefusedError
    >>> with no_waits():
    ...     down()
    Traceback (most recent call last):
    ...
    ConnectionRefusedError
    resilience: ...
    """
    return SwitchedOff(NO_WAITS, everywhere)
