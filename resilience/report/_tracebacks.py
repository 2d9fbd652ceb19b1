"""The text of a live exception's traceback, as CPython prints it, bounded.

`traceback` of the standard library makes the text. Around it stand the limits that it lacks: of steps, as it calls
``__str__`` of the exception; of calls, as two functions that call each other are not collapsed; of characters. A text
that cannot be made is replaced by a line that says so.

It runs in the worker process of an execution as well, and is imported once there is a failure.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from typing import Any

from resilience.report._static_introspection import name_of
from resilience.report._step_limit import STEPS, with_step_limit

__all__ = ["MAX_TEXT", "traceback_text"]

MAX_TEXT = 20_000
_TRUSTED = (traceback.__file__, linecache.__file__, __file__)
_MAX_LINES = 100  # calls of one stack; CPython collapses a function that calls itself, not two that call each other


def traceback_text(exc: BaseException, hidden: Callable[[str], bool] | None = None) -> str:
    """Return what CPython prints of an exception, with its causes and its group, without the *hidden* files' calls.

    A text of more than `MAX_TEXT` characters loses its middle.

    *hidden* decides by the file name of a call; the executor leaves its own calls out so.

    >>> try:
    ...     {}["lamp"]
    ... except KeyError as error:
    ...     print(traceback_text(error).splitlines()[-1])
    KeyError: 'lamp'
    """
    try:
        # The text of the exception, and what CPython looks at for "Did you mean", are the program's own code.
        text = with_step_limit(lambda: _formatted(exc, hidden), 2 * STEPS, _TRUSTED)
    except Exception:
        text = f"{name_of(type(exc))}: <the traceback cannot be shown>\n"
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]}\n... ({len(text) - 2 * half} more characters)\n{text[-half:]}"


def _formatted(exc: BaseException, hidden: Callable[[str], bool] | None) -> str:
    shown = traceback.TracebackException(type(exc), exc, exc.__traceback__, compact=True)
    _rework(shown, hidden)
    return "".join(shown.format())


def _rework(shown: traceback.TracebackException, hidden: Callable[[str], bool] | None) -> None:
    """Give an exception, its causes and its members stacks that are bounded and without hidden calls.

    Exceptions may refer to each other in a circle, so each is visited once.
    """
    found = [shown]
    seen: set[int] = set()
    while found:
        each = found.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each.stack = _Stack(frame for frame in each.stack if hidden is None or not hidden(frame.filename))
        found += [other for other in (each.__cause__, each.__context__) if other is not None]
        found += getattr(each, "exceptions", None) or []


class _Stack(traceback.StackSummary):
    """A stack that formats a call that occurs many times only once, and is limited in length.

    A call is known by its place in the source. Of more than 100 lines the middle is left out: ``[900 more calls]``.
    """

    def format_frame_summary(self, frame_summary: traceback.FrameSummary, **options: Any) -> str:
        known: dict[object, str] = self.__dict__.setdefault("known", {})
        frame = frame_summary
        where = (frame.filename, frame.lineno, frame.name, frame.colno, frame.end_lineno, frame.end_colno)
        if where not in known:
            known[where] = super().format_frame_summary(frame, **options)
        return known[where]

    def format(self, **options: Any) -> list[str]:
        lines: list[str] = super().format(**options)
        if len(lines) <= _MAX_LINES:
            return lines
        half = _MAX_LINES // 2
        return [*lines[:half], f"  [{len(lines) - 2 * half} more calls]\n", *lines[-half:]]
