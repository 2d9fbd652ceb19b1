"""What runs inside the kernel: execute code as a program of its own, and keep how it went until it is asked for.

It travels to the kernel as source (`shipping`), with what it imports of this toolkit: nothing has to be installed
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
import types
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from resilience.execution._worker.result_encoding import value_of, variables_of
from resilience.execution._worker.statements import FILENAME, Program
from resilience.report._capture import capture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resilience.report.captured_exception import Captured

__all__ = ["answer", "run"]

toolkit: AbstractContextManager[object] = nullcontext()
"""In its block the toolkit's modules can be imported; outside, a program finds what is installed there, or nothing."""

_answers: dict[str, dict[str, object]] = {}


def run(name: str, code: str, wanted: Sequence[str] | None, directory: str | None) -> None:
    """Execute *code* as the program ``__main__``, in *directory* or an empty one; `answer` tells how it went.

    *wanted* names the variables to tell of; None: all of the top level.
    """
    _answers.clear()  # of one that nobody asked for
    program = types.ModuleType("__main__")
    program.__dict__["__builtins__"] = builtins
    linecache.cache[FILENAME] = (len(code), None, code.splitlines(keepends=True), FILENAME)
    attempt = _Attempt(code, program.__dict__)
    put = sys.modules["__main__"]
    inside = _Directory(directory)
    try:
        sys.modules["__main__"] = program
        error = attempt.carry_out()
    finally:
        sys.modules["__main__"] = put
        inside.leave()
    with toolkit:
        told = attempt.told(error, wanted)
    said = _complaint(error, attempt.captured)
    if said:
        sys.stderr.write(f"{said.rstrip()}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _answers[name] = told


def answer(name: str) -> str:
    """Return as JSON how the run called *name* went."""
    return json.dumps(_answers.pop(name))


class _Attempt:
    """One program, and how far it has come."""

    def __init__(self, code: str, namespace: dict[str, object]) -> None:
        self._code = code
        self._namespace = namespace
        self._stage = "compile"
        self._value: object = None
        self._progress = [0, 0, 0]
        self._seconds = 0.0
        self.captured: Captured | None = None

    def carry_out(self) -> BaseException | None:
        """Execute it; return what it raises, an interrupt as well: that is how a time limit ends a program."""
        began = time.perf_counter()
        try:
            self._execute()
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
            value = eval(statement.code, self._namespace)  # noqa: S307  # what all of this is for
            if statement.is_value:
                self._value = value
            lines = self._progress[0] + statement.end_line - max(statement.line, last + 1) + 1
            last = statement.end_line
            self._progress = [lines, last, statement.end_column]

    def told(self, error: BaseException | None, wanted: Sequence[str] | None) -> dict[str, object]:
        """Return what there is to tell."""
        code = _exit_code(error)
        if error is not None and code:
            self.captured = capture(error, source=self._code, hidden=_is_ours)
        return {
            "stage": self._stage,
            "progress": self._progress,
            "seconds": self._seconds,
            "peak": None,
            "violation": None,
            "exit_code": code,
            "value": value_of(self._value) if code == 0 else None,
            "variables": variables_of(self._namespace, wanted),
            "exception": self.captured,
        }


def _is_ours(filename: str) -> bool:
    """Return whether a frame is of this file or of the kernel: what it holds is none of the program's business."""
    folders = filename.replace(os.sep, "/").split("/")
    return filename == __file__ or "ipykernel" in folders or "IPython" in folders


def _exit_code(error: BaseException | None) -> int:
    """Return what a process of its own would have ended with."""
    if not isinstance(error, SystemExit):
        return 0 if error is None else 1
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _complaint(error: BaseException | None, captured: Captured | None) -> str:
    """Return what Python writes to the standard error at the end of a program."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return ""
    if isinstance(error, SystemExit) and error.code is not None:
        return str(error.code)
    return "" if captured is None else captured["traceback"]


class _Directory:
    """The working directory of a program: the one it was given, or an empty one that is removed afterwards."""

    def __init__(self, given: str | None) -> None:
        self._before = os.getcwd()  # noqa: PTH109  # it is given back as it was
        self._own = tempfile.mkdtemp(prefix="resilience-") if given is None else None
        os.chdir(given or self._own or ".")

    def leave(self) -> None:
        """Go back."""
        os.chdir(self._before)
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
