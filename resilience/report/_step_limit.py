"""Calls of untrusted code under a limit of steps, so that they return.

A ``__str__`` or a property of a failed program may loop forever. A signal could interrupt the main thread alone; a
trace function ends such code in any thread. It makes code many times slower, so it is for short calls.

It runs in the worker process of an execution as well, so it imports nothing but `sys`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["STEPS", "ForeignExitError", "StepLimitError", "with_step_limit"]

STEPS = 100_000
"""Lines of Python that foreign code may take to show itself: some 20 ms."""


class StepLimitError(Exception):
    """The function took more steps than it was given.

    It says nothing about the failure that is reported; the caller puts a note in the place of the value.
    """


class ForeignExitError(Exception):
    """The function wanted to end the program: it raised SystemExit or GeneratorExit.

    A ``__repr__`` that calls ``sys.exit()`` must not end the process that reports a failure. KeyboardInterrupt passes.
    """


class _Stop(BaseException):
    """Thrown into the function: no `except Exception` of its own may hold it up."""


def with_step_limit(function: Callable[[], T], steps: int = STEPS, trusted: tuple[str, ...] = ()) -> T:
    """Return what *function* returns; raise `StepLimitError` once it has run *steps* lines of Python.

    Lines are counted, not seconds, so that the same failure is reported in the same way on a busy machine. It cannot
    interrupt C code, nor code that swallows every BaseException. Whatever traced the program before does so after.
    Lines in *trusted* files are not counted, which is quicker; those of what they call are.

    Exceptions of *function* pass, but for SystemExit and GeneratorExit, which become a `ForeignExitError`.

    >>> def endless():
    ...     while True:
    ...         pass
    >>> with_step_limit(endless)
    Traceback (most recent call last):
    ...
    resilience.report._step_limit.StepLimitError: more than 100000 steps
    """
    left = steps

    def count(frame: FrameType, _event: str, _arg: object) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Stop
        if frame.f_code.co_filename in trusted:
            return None
        return count

    before = sys.gettrace()
    try:
        sys.settrace(count)
    except Exception:  # an audit hook forbids it: its owner has limits of its own
        return function()
    try:
        return function()
    except _Stop:
        raise StepLimitError(f"more than {steps} steps") from None
    except (SystemExit, GeneratorExit) as error:  # a ``__repr__`` that ends the program
        raise ForeignExitError(type(error).__name__) from None
    finally:
        sys.settrace(before)
