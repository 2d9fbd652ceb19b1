"""Helper inside a kernel: runs code as a program of its own and keeps the result until the client takes it.

It travels to the kernel as source (`bootstrap`) with the modules of this toolkit that it imports: nothing is installed
there.
Standard library and child-safe modules only.
"""

from __future__ import annotations

import base64
import builtins
import json
import linecache
import mimetypes
import os
import shutil
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from resilience.execution._worker.artifacts import Artifacts
from resilience.execution._worker.event_loop import NoRunningLoop, ProgramLoop
from resilience.execution._worker.import_hooks import ImportHooks
from resilience.execution._worker.program_names import names_of, renamed
from resilience.execution._worker.result_encoding import encode_named, encode_value, encode_variables
from resilience.execution._worker.statements import Program, main_module, register_source, session_filename
from resilience.execution._worker.variables import VariablesError, load_variables
from resilience.execution._worker.written_files import MAX_SIZE, list_files, read_file
from resilience.report._capture import capture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resilience.report.captured_exception import Captured

__all__ = ["end_session", "run", "take_result"]

_MAX_FILES_SIZE = 30 << 20
"""Bytes of all files that a program has written: they travel in one message."""

toolkit: AbstractContextManager[object] = nullcontext()
"""In its block the helper's own modules can be imported; outside, a program imports those installed in the kernel."""

_results: dict[str, dict[str, object]] = {}
_sessions: dict[str, _Program] = {}


def run(name: str, order: dict[str, Any]) -> None:
    """Run the program of *order* as ``__main__`` and keep the result for `take_result`.

    An order has ``code`` and, where they are not as usual: ``wanted``, the names of the variables of the result;
    ``directory`` to run in; ``given``, ``pickled`` and ``files``, its data; ``session`` and ``number``, whose state it
    continues.
    """
    _results.clear()  # of a run whose client has gone
    session = order.get("session", "")
    program = _sessions.get(session)
    is_fresh = program is None
    if program is None:
        program = _Program(order.get("directory"))
        if session:
            _sessions[session] = program
    attempt = _ProgramRun(program, order)
    put = sys.modules["__main__"]
    before = os.getcwd()  # noqa: PTH109  # restored below
    try:
        sys.modules["__main__"] = program.module
        os.chdir(program.directory)
        error = attempt.run()
    finally:
        sys.modules["__main__"] = put
        os.chdir(before)
    with toolkit:
        result = attempt.result(error, order.get("wanted"))
    if session:
        result |= {"names": names_of(program.module.__dict__), "is_fresh": is_fresh}
    else:
        program.close()
    said = _final_stderr(error, attempt.captured)
    if said:
        sys.stderr.write(f"{said.rstrip()}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _results[name] = result


def end_session(session: str) -> None:
    """Forget the state of a session."""
    program = _sessions.pop(session, None)
    if program is not None:
        program.close()


def take_result(name: str) -> str:
    """Return the result of the run *name* as JSON, and forget it."""
    return json.dumps(_results.pop(name))


class _Program:
    """Namespace, event loop and directory of a program, or of the programs of a session."""

    def __init__(self, directory: str | None) -> None:
        self.module = main_module()
        self.module.__dict__["__builtins__"] = builtins
        self.loop = ProgramLoop()
        self.sources: dict[str, str] = {}
        self._own = tempfile.mkdtemp(prefix="resilience-") if directory is None else None
        self.directory: str = os.path.abspath(directory or self._own or ".")  # noqa: PTH100

    def close(self) -> None:
        """Remove the directory if it is the program's own."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)


class _ProgramRun:
    """One run of a program: its progress, value, artifacts and exception."""

    def __init__(self, program: _Program, order: dict[str, Any]) -> None:
        self._program = program
        self._order = order
        self._code: str = order["code"]
        self._filename = session_filename(order.get("number", 0))
        self._namespace = program.module.__dict__
        self._stage = "compile"
        self._value: object = None
        self._progress = [0, 0, 0]
        self._seconds = 0.0
        self._messages: list[dict[str, object]] = []
        self._artifacts = Artifacts(self._messages.append)
        self._imports = ImportHooks()
        self._files_before: Mapping[str, tuple[int, ...]] | None = None
        self.captured: Captured | None = None

    def run(self) -> BaseException | None:
        """Run it and return its exception, also the KeyboardInterrupt that ends it after its time limit."""
        program = self._program
        program.sources[self._filename] = self._code
        program.loop.filename = self._filename
        for filename, source in program.sources.items():
            register_source(linecache, source, filename)
        began = time.perf_counter()
        self._artifacts.watch(self._imports)
        self._imports.install()
        try:
            self._take_data()
            with NoRunningLoop():
                try:
                    self._execute()
                finally:
                    if "session" not in self._order:
                        program.loop.close()
                self._collect()
        except BaseException as error:
            return error
        finally:
            self._imports.remove()
            self._artifacts.unwatch()
            self._seconds = time.perf_counter() - began
        return None

    def _take_data(self) -> None:
        """Write the files and set the variables of the order."""
        directory = self._program.directory
        for path, content in self._order.get("files", {}).items():
            place = os.path.join(directory, path)  # noqa: PTH118
            os.makedirs(os.path.dirname(place), exist_ok=True)  # noqa: PTH103, PTH120
            with open(place, "wb") as file:  # noqa: PTH123
                file.write(base64.b64decode(content))
        self._files_before = list_files(directory)
        pickled = base64.b64decode(self._order.get("pickled", ""))
        self._namespace.update(load_variables(self._order.get("given", {}), pickled))

    def _execute(self) -> None:
        statements = Program(self._code, self._filename).statements()
        self._stage = "run"
        last = 0
        for statement in statements:
            value: Any = eval(statement.code, self._namespace)  # noqa: S307  # the program itself
            if statement.is_async:
                value = self._program.loop.run(value)
            if statement.is_value:
                self._value = value
            lines = self._progress[0] + statement.end_line - max(statement.line, last + 1) + 1
            last = statement.end_line
            self._progress = [lines, last, statement.end_column]

    def _collect(self) -> None:
        """Capture figures and tables. A library that fails at that does not fail the program."""
        wanted = {name: self._namespace[name] for name in self._order.get("wanted") or () if name in self._namespace}
        try:
            self._artifacts.collect(self._value, wanted)
        except Exception as error:
            text = f"figures and tables are not complete: {type(error).__name__}: {error}"
            self._messages.append({"kind": "note", "text": text})

    def result(self, error: BaseException | None, wanted: Sequence[str] | None) -> dict[str, object]:
        """Return the result for the client."""
        code = _exit_code(error)
        value, notes = encode_value(self._value) if code == 0 else (None, [])
        if code == 0 and wanted is not None:
            variables, more = encode_named(self._namespace, wanted)
            notes += more
        else:
            variables = encode_variables(self._namespace, wanted)
        if isinstance(error, VariablesError):
            return {"no_variables": str(error)}
        if error is not None and code:
            captured = capture(error, source=self._code, filename=self._filename, hidden=_is_own_file)
            self.captured = renamed(captured, self._filename)  # type: ignore[arg-type, assignment]  # JSON of the same shape
        return {
            "stage": self._stage,
            "progress": self._progress,
            "seconds": self._seconds,
            "peak": None,
            "violation": None,
            "exit_code": code,
            "value": value,
            "variables": variables,
            "notes": notes,
            "exception": self.captured,
            "messages": self._messages + self._written_files(),
        }

    def _written_files(self) -> list[dict[str, object]]:
        """Return the files that the program has written, as messages."""
        directory, before = self._program.directory, self._files_before
        now = list_files(directory)
        if before is None or now is None:
            return [{"kind": "note", "text": "the working directory has too many files: those written are not listed"}]
        found: list[dict[str, object]] = []
        left = _MAX_FILES_SIZE
        for path, marks in sorted(now.items()):
            if before.get(path) == marks:
                continue
            data = read_file(directory, path) if marks[0] <= min(MAX_SIZE, left) else None
            if data is None:
                found.append({"kind": "note", "text": f"{path} is left out: it is too large"})
                continue
            left -= len(data)
            mime = mimetypes.guess_type(path)[0] or "application/octet-stream"
            text = base64.b64encode(data).decode("ascii")
            found.append({"kind": "artifact", "type": "file", "name": path, "mime": mime, "data": text})
        return found


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
