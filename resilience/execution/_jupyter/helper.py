"""Helper inside a kernel: runs code as a program of its own and keeps the result until the client takes it.

It travels to the kernel as source (`bootstrap`) with the modules of this toolkit that it imports: nothing is installed
there.
Standard library and child-safe modules only.
"""

from __future__ import annotations

import builtins
import json
import linecache
import os
import shutil
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from resilience.execution._worker.event_loop import NoRunningLoop, ProgramLoop
from resilience.execution._worker.result_encoding import encode_value, encode_variables
from resilience.execution._worker.statements import Program, main_module, register_source
from resilience.report._capture import capture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resilience.report.captured_exception import Captured

__all__ = ["run", "take_result"]

toolkit: AbstractContextManager[object] = nullcontext()
"""In its block the helper's own modules can be imported; outside, a program imports those installed in the kernel."""

_results: dict[str, dict[str, object]] = {}


def run(name: str, code: str, wanted: Sequence[str] | None, directory: str | None) -> None:
    """Run *code* as ``__main__``, in *directory* or an empty one, and keep the result for `take_result`.

    *wanted* names the variables of the result; None: all of the top level.
    """
    _results.clear()  # of a run whose client has gone
    program = main_module()
    program.__dict__["__builtins__"] = builtins
    register_source(linecache, code)
    attempt = _ProgramRun(code, program.__dict__)
    put = sys.modules["__main__"]
    inside = _WorkingDirectory(directory)
    try:
        sys.modules["__main__"] = program
        error = attempt.run()
    finally:
        sys.modules["__main__"] = put
        inside.leave()
    with toolkit:
        result = attempt.result(error, wanted)
    said = _final_stderr(error, attempt.captured)
    if said:
        sys.stderr.write(f"{said.rstrip()}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _results[name] = result


def take_result(name: str) -> str:
    """Return the result of the run *name* as JSON, and forget it."""
    return json.dumps(_results.pop(name))


class _ProgramRun:
    """One run of a program: its progress, value and exception."""

    def __init__(self, code: str, namespace: dict[str, object]) -> None:
        self._code = code
        self._namespace = namespace
        self._stage = "compile"
        self._value: object = None
        self._progress = [0, 0, 0]
        self._seconds = 0.0
        self._loop = ProgramLoop()
        self.captured: Captured | None = None

    def run(self) -> BaseException | None:
        """Run it and return its exception, also the KeyboardInterrupt that ends it after its time limit."""
        began = time.perf_counter()
        try:
            with NoRunningLoop():
                try:
                    self._execute()
                finally:
                    self._loop.close()
        except BaseException as error:
            return error
        finally:
            self._seconds = time.perf_counter() - began
        return None

    def _execute(self) -> None:
        statements = Program(self._code).statements()
        self._stage = "run"
        last = 0
        for statement in statements:
            value: Any = eval(statement.code, self._namespace)  # noqa: S307  # the program itself
            if statement.is_async:
                value = self._loop.run(value)
            if statement.is_value:
                self._value = value
            lines = self._progress[0] + statement.end_line - max(statement.line, last + 1) + 1
            last = statement.end_line
            self._progress = [lines, last, statement.end_column]

    def result(self, error: BaseException | None, wanted: Sequence[str] | None) -> dict[str, object]:
        """Return the result for the client."""
        code = _exit_code(error)
        if error is not None and code:
            self.captured = capture(error, source=self._code, hidden=_is_own_file)
        return {
            "stage": self._stage,
            "progress": self._progress,
            "seconds": self._seconds,
            "peak": None,
            "violation": None,
            "exit_code": code,
            "value": encode_value(self._value) if code == 0 else None,
            "variables": encode_variables(self._namespace, wanted),
            "exception": self.captured,
        }


def _is_own_file(filename: str) -> bool:
    """Return whether a frame is of this file or of the kernel: such frames are hidden from the report."""
    folders = filename.replace(os.sep, "/").split("/")
    return filename.startswith("<resilience.") or "ipykernel" in folders or "IPython" in folders


def _exit_code(error: BaseException | None) -> int:
    """Return the exit code that a process of its own would have had."""
    if not isinstance(error, SystemExit):
        return 0 if error is None else 1
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _final_stderr(error: BaseException | None, captured: Captured | None) -> str:
    """Return what Python would write to stderr at the end of the program."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return ""
    if isinstance(error, SystemExit) and error.code is not None:
        return str(error.code)
    return "" if captured is None else captured["traceback"]


class _WorkingDirectory:
    """Working directory of a program: a given one, or an empty one that `leave` removes."""

    def __init__(self, given: str | None) -> None:
        self._before = os.getcwd()  # noqa: PTH109  # restored by `leave`
        self._own = tempfile.mkdtemp(prefix="resilience-") if given is None else None
        os.chdir(given or self._own or ".")

    def leave(self) -> None:
        """Restore the kernel's working directory."""
        os.chdir(self._before)
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
