"""The object that takes something back: a subscription, an installed exporter."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self

__all__ = ["Undo"]


class Undo(abc.ABC):
    """Something in force. Call it, or leave its ``with`` block, to take it back; doing so twice is fine."""

    __slots__ = ()

    @abc.abstractmethod
    def __call__(self) -> None:
        """Take it back."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self()
