"""End of a program as Python's own: wait for its threads, run its exit handlers."""

from __future__ import annotations

import _thread
import atexit
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["ExitHandlers"]

_UNBUFFERED = ("NullHandler", "_StderrHandler")
"""Classes of `logging` whose handlers keep nothing back."""


class ExitHandlers:
    """Ends a program. Runs the exit handler of `logging` last, and only if the program has made a log handler.

    That handler flushes all log handlers, which takes as long as a short program, and most programs have none.
    """

    def __init__(self) -> None:
        self._shutdown: Callable[[], object] | None = None
        """The exit handler of `logging`, if it is run here."""
        self._log_handlers: list[Callable[[], object]] = []
        self._known_log_handlers: list[Callable[[], object]] = []

    def prepare(self) -> None:
        """Take over the exit handler of `logging` if a preloaded module has imported it and set up no log handler."""
        logging: Any = sys.modules.get("logging")
        if type(getattr(logging, "_handlerList", None)) is not list:
            return
        handlers: list[Callable[[], object]] = logging._handlerList  # weak references
        if all(type(each()).__name__ in _UNBUFFERED for each in handlers):
            self._shutdown = logging.shutdown
            self._log_handlers, self._known_log_handlers = handlers, handlers.copy()
            atexit.unregister(logging.shutdown)

    def run(self) -> None:
        """Wait for the program's threads and run its exit handlers, as Python does at exit."""
        threading = sys.modules.get("threading")
        if threading is not None and _thread._count():
            threading._shutdown()
        atexit._run_exitfuncs()
        if self._shutdown is not None and self._log_handlers != self._known_log_handlers:
            self._shutdown()
