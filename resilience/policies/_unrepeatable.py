"""A mark on a failure which says that its call cannot be repeated, whatever its category.

What makes the call knows more of it than any policy: that the body of the request was a generator, and is gone. It
marks the error that it raises. A retry around the call reads the mark, makes no further attempt, and reports the
reason. The category, and all that other policies decide by it, stay as they are.
"""

from __future__ import annotations

import contextlib
from typing import Final

from resilience.policies.stop_reason import StopReason

__all__ = ["forbid_repeat", "forbidden_repeat"]

_MARK: Final = "_resilience_forbids_repeat"


def forbid_repeat(error: BaseException, reason: StopReason) -> None:
    """Mark *error*: no retry repeats its call, for that *reason*. One without a ``__dict__`` cannot be marked."""
    with contextlib.suppress(Exception):
        error.__dict__[_MARK] = reason


def forbidden_repeat(error: BaseException | None) -> StopReason | None:
    """Return the reason that *error* is marked with, if it is.

    >>> error = TimeoutError()
    >>> forbidden_repeat(error) is None
    True
    >>> forbid_repeat(error, StopReason.BODY)
    >>> forbidden_repeat(error)
    <StopReason.BODY: 'body'>
    """
    try:
        found: object = error.__dict__.get(_MARK)
    except Exception:  # no error, or a __dict__ of the user's own making
        return None
    return found if isinstance(found, StopReason) else None
