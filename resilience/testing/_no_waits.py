"""`no_waits`: tests of retries that take no time."""

from __future__ import annotations

from resilience.settings import NO_WAITS, Switched

__all__ = ["no_waits"]


def no_waits(*, everywhere: bool = False) -> Switched:
    """Skip the waits of the toolkit in a ``with`` block: retries follow at once, and nothing else changes.

    This holds in this context (this task and those it starts, this thread), or *everywhere* in the process. Time itself
    is real, so an open circuit stays open for its full time; `virtual_time` replaces time as well. Raises TypeError
    unless *everywhere* is a bool.

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
    return Switched(NO_WAITS, everywhere)
