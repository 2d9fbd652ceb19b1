"""Warnings about a guarded function that are given once: through `warnings`, at the line that called the function."""

from __future__ import annotations

import sys
import warnings

from resilience._runtime.first_call import level_of_caller

__all__ = ["WarnOnce"]


class WarnOnce:
    """One kind of warning, given once for each target."""

    __slots__ = ("_warned",)

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def has_warned(self, target: str) -> bool:
        """Whether *target* has had its warning."""
        return target in self._warned

    def warn(self, target: str, message: str) -> None:
        """Emit *message* about *target* as a RuntimeWarning, unless it has had one.

        The warning is raised where warnings are errors, at each call then. An error of a hook that prints or logs
        warnings is dropped: the call goes on.
        """
        if target in self._warned:
            return
        self._warned.add(target)
        try:
            warnings.warn(message, RuntimeWarning, stacklevel=level_of_caller(sys._getframe(1)))
        except RuntimeWarning:
            self._warned.discard(target)
            raise
        except Exception:  # noqa: S110 - a log handler, where warnings are logged, or another hook
            pass

    def forget(self) -> None:
        """Begin anew, for tests."""
        self._warned.clear()
