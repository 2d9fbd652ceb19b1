"""Line tracer: reports each line of the program the first time it is reached.

`sys.monitoring` (3.12) reports a line and then disables the event for it, so a loop costs nothing. But code that was
monitored once is not fully optimised any more: functions run 10 % (3.13) to 20 % (3.12) slower. So lines of functions
are monitored only if the request traces every line. Before 3.12, lines are those where statements of the top level
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

__all__ = ["LineTracer"]

_TOOL = 4  # neither a debugger's, nor coverage's, nor a profiler's
_monitoring: Any = getattr(sys, "monitoring", None)


class LineTracer:
    """Calls *on_line* with each line of the program the first time it is reached.

    Code of modules is never watched: only the code objects of the program's statements, and those inside them.
    """

    def __init__(self, on_line: Callable[[int], object]) -> None:
        self._on_line = on_line
        self._seen: set[int] = set()
        if _monitoring is not None:
            _monitoring.use_tool_id(_TOOL, "resilience")
            _monitoring.register_callback(_TOOL, _monitoring.events.LINE, self._line)

    def watch(self, statements: list[Statement], *, functions: bool) -> None:
        """Trace the lines of *statements*; with *functions*, also those inside functions and classes. Needs 3.12."""
        self._seen.clear()
        if _monitoring is None:
            return
        for statement in statements:
            self._watch_code(statement.code, inside=functions)

    def begin_statement(self, statement: Statement) -> None:
        """Report the line of a statement that begins, before 3.12."""
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
            self._on_line(line)
        return _monitoring and _monitoring.DISABLE
