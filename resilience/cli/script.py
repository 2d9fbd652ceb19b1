"""`resilience run`: execute a script within limits, and explain how it failed.

The category of a failure decides the exit code, by a table that is never renumbered. The output of the script is shown
while it runs; a traceback that the report covers is not shown twice.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

from resilience.categories import ErrorCategory
from resilience.cli.option_names import in_option_names, with_option_names
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
"""The exit code for each category of failure. Scripts depend on them: they are never renumbered."""

_NAMES_OF_STDIN = {"-": "<stdin>"}
_MIN_MEMORY = 1 << 20  # less is a size whose unit was forgotten
_TRACEBACK = re.compile(r"^(?=Traceback \(most recent call last\):$|  File \"<string>\", line \d)", re.MULTILINE)
_NEVER = re.compile(r"(?!)")

OTHER_FAILURE = 18
"""The exit code for any other category."""


def exit_code_of(category: ErrorCategory | None) -> int:
    """Return the exit code for a failure of *category*, or for a success.

    >>> exit_code_of(ErrorCategory.SECURITY), exit_code_of(ErrorCategory.NETWORK), exit_code_of(None)
    (13, 18, 0)
    """
    if category is None:
        return int(ExitCode.OK)
    return EXIT_CODES.get(category, OTHER_FAILURE)


def run_script(arguments: argparse.Namespace) -> int:
    """Execute the script: its output is shown while it runs, the report after it."""
    path: str = arguments.script
    name = _NAMES_OF_STDIN.get(path, path)
    try:
        source = source_of(_read(path))
    except SyntaxError as error:
        return _report_unreadable(ErrorReport.from_exception(error), name, arguments)
    request = _request(source, arguments)
    output = _LiveOutput(as_json=arguments.json)
    try:
        with SubprocessExecutor(spares=0) as executor:
            report = executor.execute_sync(request, on_event=output)
    except PythonExecutorException as error:  # there is nothing to execute it with
        sys.stderr.write(f"resilience run: [{error.code}] {error}\n")
        if arguments.json:
            print_json({"error": str(error), "code": error.code, "category": error.category.label})
        return exit_code_of(error.category)
    output.end(report)
    if report.error is not None:
        report = replace(report, error=with_option_names(report.error))
    _print_report(report, name, arguments)
    if output.write_error is not None:
        raise output.write_error
    return exit_code_of(report.category)


def _request(source: str, arguments: argparse.Namespace) -> ExecutionRequest:
    """Return what is to be executed. Raises UserError that names the option, not the parameter behind it."""
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
        raise UserError(in_option_names(str(error))) from None
    if request.memory_bytes < _MIN_MEMORY:
        raise UserError(
            f"--memory {arguments.memory} is {request.memory_bytes} bytes; give a size such as 100MB or 1GB"
        )
    return request


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give a Python file, or - for stdin") from None


class _LiveOutput:
    """Shows the script's output while it runs; with ``--json`` on stderr, since stdout is for the document.

    A traceback is held back until it is known whether the report says all that is in it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._stdout = sys.stdout
        self._traceback: re.Pattern[str] = _TRACEBACK
        if as_json:
            self._stdout, self._traceback = sys.stderr, _NEVER
        self._held = ""
        #: Why output could not be shown: its reader has left, or the disk is full. The script runs to its end.
        self.write_error: OSError | None = None

    def __call__(self, event: StreamEvent) -> None:
        if self.write_error is None:
            try:
                self._show(event)
            except OSError as error:  # an error of this callback goes no further than into the log
                self.write_error = error

    def _show(self, event: StreamEvent) -> None:
        if event.kind == "stdout":
            self._stdout.write(event.text)
            self._stdout.flush()
        elif event.kind == "stderr":
            text = self._held + event.text
            shown = self._traceback.split(text, maxsplit=1)[0]
            self._held = text[len(shown) :]
            sys.stderr.write(shown)
            sys.stderr.flush()
        elif event.kind == "line":
            sys.stderr.write(f"line {event.line}\n")
        elif event.kind == "warning":
            sys.stderr.write(f"resilience run: {event.text}\n")

    def end(self, report: ExecutionReport) -> None:
        """Show what was held back, unless it is the traceback of *report*."""
        if self._held.strip() != _traceback_of(report).strip():
            sys.stderr.write(self._held)


def _traceback_of(report: ExecutionReport) -> str:
    if report.error is None or report.error.exception is None:
        return ""
    return report.error.exception.full_traceback


def _print_report(report: ExecutionReport, name: str, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json(report.to_dict(arguments.detail))
        return
    sys.stdout.flush()
    outcome = "done"
    if report.error is not None:
        _print_error(report.error, name)
        outcome = report.error.category.label
    result = report.execution_result
    line = f"resilience run: {name}: {outcome} after {result.execution_time:.2f} s"
    if result.memory_used is not None:
        line += f", {format_size(result.memory_used)}"
    sys.stderr.write(line + "\n")


def _print_error(error: ErrorReport, name: str) -> None:
    sys.stderr.write("\n" + error.render().replace("<string>", name) + "\n")


def _report_unreadable(error: ErrorReport, name: str, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(error.to_dict(arguments.detail))
    else:
        _print_error(error, name)
    return exit_code_of(error.category)
