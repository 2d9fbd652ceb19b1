"""Calls from a context of their own, for tests with several callers in one function."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class IndependentCaller:
    """Calls in a copy of the context that it was made in, so that calls that begin later are not its own.

    Make it before the call begins that it must not belong to.
    """

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return self._context.copy().run(function, *args, **kwargs)

    def enter(self, block: object) -> None:
        """Enter a sync ``with`` block."""
        self.call(block.__enter__)
