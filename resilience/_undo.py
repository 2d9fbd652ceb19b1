"""`Undo`: the base of objects that take something back, such as a subscription or an installed exporter.

What `subscribe`, `log_events`, `override_profiles` and the exporters' `install` put in force stays in force until it is
undone, by a call or at the end of a ``with`` block. Undoing is idempotent, so that both may be used.
"""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self

__all__ = ["Undo"]


class Undo(abc.ABC):
    """A handle on something that is in force. Call it, or leave its ``with`` block, to end that. Idempotent."""

    __slots__ = ()

    @abc.abstractmethod
    def __call__(self) -> None:
        """End what is in force. Doing it again does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()
