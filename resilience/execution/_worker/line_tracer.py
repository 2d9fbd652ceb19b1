"""Which lines are reached, each once.

`sys.monitoring` (3.12) tells of a line and is then told to be silent about it, so a loop costs nothing. But code that
was once watched is not optimised as it was: functions run 10 % (3.13) to 20 % (3.12) slower for good. So their lines
are watched only where somebody asks for every line. Before 3.12, lines are those where statements of the top level
begin.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from resilience.execution._worker.statements import Statement

__all__ = ["Lines"]

_TOOL = 4  # neither a debugger's, nor coverage's, nor a profiler's
_monitoring: Any = getattr(sys, "monitoring", None)


class Lines:
    """Tells *reached* of each line when the program comes to it for the first time."""

    def __init__(self, reached: Callable[[int], object]) -> None:
        self._reached = reached
        self._seen: set[int] = set()
        if _monitoring is not None:
            _monitoring.use_tool_id(_TOOL, "resilience")
            _monitoring.register_callback(_TOOL, _monitoring.events.LINE, self._line)

    def watch(self, statements: list[Statement], *, functions: bool) -> None:
        """Have the lines of *statements* told, where Python can do that; those in *functions* and classes, too."""
        if _monitoring is None:
            return
        for statement in statements:
            self._watch_code(statement.code, inside=functions)

    def begins(self, statement: Statement) -> None:
        """Take note that a statement begins."""
        if _monitoring is None:
            self._line(None, statement.line)

    def _watch_code(self, code: CodeType, *, inside: bool) -> None:
        _monitoring.set_local_events(_TOOL, code, _monitoring.events.LINE)
        for constant in code.co_consts if inside else ():
            if type(constant) is type(code):
                self._watch_code(constant, inside=True)

    def _line(self, code: object, line: int) -> object:
        if line not in self._seen:
            self._seen.add(line)
            self._reached(line)
        return _monitoring and _monitoring.DISABLE
