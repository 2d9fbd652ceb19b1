"""Callers that have nothing to do with the code that stands around them in a test."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class AnotherCaller:
    """Calls in a context of its own: what is in flight in the context it was made in is not known there.

    Make it before what it must not belong to begins.
    """

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._context.copy().run(function, *args, **kwargs)

    def enter(self, block: object) -> None:
        """Enter a sync ``with`` block."""
        self.call(block.__enter__)
