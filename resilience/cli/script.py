"""`resilience run`: execute a script within limits, and explain how it failed."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from resilience.categories import ErrorCategory
from resilience.cli.output import ExitCode, UserError, print_json
from resilience.contrib.executor import PythonExecutorException
from resilience.execution._memory_size import format_size
from resilience.execution.events import StreamEvent
from resilience.execution.executor import ExecutionReport
from resilience.execution.local import SubprocessExecutor
from resilience.execution.request import ExecutionRequest
from resilience.execution.source_decoding import source_of
from resilience.report.model import ErrorReport

__all__ = ["EXIT_CODES", "OTHER_FAILURE", "exit_code_of", "run_script"]

EXIT_CODES = {
    ErrorCategory.SYNTAX: 10,
    ErrorCategory.RUNTIME: 11,
    ErrorCategory.IMPORT: 12,
    ErrorCategory.SECURITY: 13,
    ErrorCategory.EXECUTION_TIMEOUT: 14,
    ErrorCategory.MEMORY: 15,
    ErrorCategory.INTERNAL: 16,
    ErrorCategory.CONFIGURATION: 17,
}
"""What tells the shell how a script failed. They are never renumbered."""

_TRACEBACK = re.compile(r"^(?:Traceback \(most recent call last\):$|  File \"<string>\", line \d)", re.MULTILINE)

OTHER_FAILURE = 18
"""Of any other category."""


def exit_code_of(category: ErrorCategory | None) -> int:
    """Return the exit code for a failure of *category*, or for a success.

    >>> exit_code_of(ErrorCategory.SECURITY), exit_code_of(ErrorCategory.NETWORK), exit_code_of(None)
    (13, 18, 0)
    """
    return int(ExitCode.OK) if category is None else EXIT_CODES.get(category, OTHER_FAILURE)


def run_script(arguments: argparse.Namespace) -> int:
    """Execute the script: its output streams; then comes the report."""
    name: str = "<stdin>" if arguments.script == "-" else arguments.script
    try:
        source = source_of(_read(arguments.script))
    except SyntaxError as error:
        return _not_read(ErrorReport.from_exception(error), name, arguments)
    try:
        request = ExecutionRequest(
            source,
            timeout=arguments.timeout,
            memory_limit=arguments.memory,
            security_level=arguments.level,
            allowed_imports=arguments.allow,
            working_directory=arguments.directory,
            trace=arguments.trace,
        )
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
    shown = _Shown(as_json=arguments.json)
    try:
        with SubprocessExecutor(spares=0) as executor:
            report = executor.execute_sync(request, on_event=shown)
    except PythonExecutorException as error:  # nothing to execute it with
        sys.stderr.write(f"resilience run: [{error.code}] {error}\n")
        if arguments.json:
            print_json({"error": str(error), "code": error.code, "category": error.category.label})
        return exit_code_of(error.category)
    shown.end(report)
    _show(report, name, arguments)
    return exit_code_of(report.category)


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give a Python file, or - for stdin") from None


class _Shown:
    """Shows the script's output while it runs: its stdout on ours, or on stderr where ours is for the document.

    A traceback is held back until it is known whether the report says all that is in it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._stdout = sys.stderr if as_json else sys.stdout
        self._as_json = as_json
        self._held = ""

    def __call__(self, event: StreamEvent) -> None:
        if event.kind == "stdout":
            self._stdout.write(event.text)
            self._stdout.flush()
        elif event.kind == "stderr":
            text = self._held + event.text
            found = None if self._as_json else _TRACEBACK.search(text)
            at = len(text) if found is None else found.start()
            self._held = text[at:]
            sys.stderr.write(text[:at])
            sys.stderr.flush()
        elif event.kind == "line":
            sys.stderr.write(f"line {event.line}\n")
        elif event.kind == "warning":
            sys.stderr.write(f"resilience run: {event.text}\n")

    def end(self, report: ExecutionReport) -> None:
        """Show what was held back, unless that is the traceback of *report*."""
        raised = None if report.error is None else report.error.exception
        if raised is None or self._held.strip() != raised.full_traceback.strip():
            sys.stderr.write(self._held)


def _show(report: ExecutionReport, name: str, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json(report.to_dict(arguments.detail))
        return
    sys.stdout.flush()
    if report.error is not None:
        _show_error(report.error, name)
    result = report.execution_result
    memory = "" if result.memory_used is None else f", {format_size(result.memory_used)}"
    how = "done" if report.success else report.error.category.label if report.error is not None else "failed"
    sys.stderr.write(f"resilience run: {name}: {how} after {result.execution_time:.2f} s{memory}\n")


def _show_error(error: ErrorReport, name: str) -> None:
    sys.stderr.write("\n" + error.render().replace("<string>", name) + "\n")


def _not_read(error: ErrorReport, name: str, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(error.to_dict(arguments.detail))
    else:
        _show_error(error, name)
    return exit_code_of(error.category)
