"""The mark of an exception that chaos has injected, by which events, logs and programs tell it: `is_injected`."""

from __future__ import annotations

import contextlib

__all__ = ["is_injected", "mark_injected"]

_MARK = "_resilience_injected"


def mark_injected(error: BaseException) -> None:
    """Mark *error* as injected, unless its class refuses attributes."""
    with contextlib.suppress(Exception):
        error.__dict__[_MARK] = True


def is_injected(error: object) -> bool:
    """Whether chaos has injected an exception.

    >>> error = TimeoutError()
    >>> mark_injected(error)
    >>> is_injected(error), is_injected(TimeoutError()), is_injected(None)
    (True, False, False)
    """
    try:
        return _MARK in vars(error)
    except Exception:  # it has no attributes, or hides them
        return False
