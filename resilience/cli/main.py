"""Entry point of the command line: from arguments to an exit code.

Owns what all commands have in common: parsing, error output of one line, Ctrl-C, and output that cannot be written.
No input and no key may end in a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import cast

from resilience.cli.output import ExitCode, UserError, print_json
from resilience.cli.parser import build_parser

__all__ = ["main"]

Command = Callable[[argparse.Namespace], int]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# Imported when the command is run: `explain` needs no httpx, and the help needs nothing.
_COMMANDS = {
    "call": ("resilience.cli.call", "run_call"),
    "check": ("resilience.cli.check", "run_check"),
    "circuits": ("resilience.cli.circuits", "run_circuits"),
    "codes": ("resilience.cli.codes", "run_codes"),
    "demo": ("resilience.cli.demo", "run_demo"),
    "doctor": ("resilience.cli.doctor", "run_doctor"),
    "explain": ("resilience.cli.explain", "run_explain"),
    "fleet": ("resilience.cli.fleet", "run_fleet"),
    "lint": ("resilience.cli.lint", "run_lint"),
    "report": ("resilience.cli.report", "run_report"),
    "run": ("resilience.cli.script", "run_script"),
    "schema": ("resilience.cli.schema", "run_schema"),
    "simulate": ("resilience.cli.simulate", "run_simulate"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code, an `ExitCode`.

    >>> main(["explain", "status", "503"])  # doctest: +ELLIPSIS
    unavailable
      why       status 503 (structure)
    ...
    <ExitCode.OK: 0>
    """
    _prepare_output()
    try:
        code = _parse_and_run(argv)
        sys.stdout.flush()  # here, where a closed pipe can still be answered
        return code
    except BrokenPipeError:  # the reader has left, as `head` does
        return _output_lost("")
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        return _output_lost(f"resilience: the output cannot be written: {error.strerror}\n")
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _prepare_output() -> None:
    if sys.stdout is None:  # closed by the shell: `>&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 still gets the output


def _parse_and_run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as done:  # argparse ends this way: --help, --version, a wrong option
        return cast("int", done.code)
    if arguments.command is None:
        parser.print_help()
        return ExitCode.OK
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    try:
        with _unwrapped_groups():
            return _command(arguments.command)(arguments)
    except UserError as error:
        sys.stderr.write(f"resilience {arguments.command}: {error}\n")
        if arguments.json:
            print_json(error.document())
        return error.code


def _command(name: str) -> Command:
    module, function = _COMMANDS[name]
    found: Command = getattr(importlib.import_module(module), function)
    return found


@contextlib.contextmanager
def _unwrapped_groups() -> Generator[None]:
    """Raise the reason for which a task group ended, out of the exception groups that wrap it.

    Ctrl-C arrives in a group on trio; a user's error and output that cannot be written do on both backends.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        reasons = sorted(filter(_is_reason, _leaves(group)), key=_is_no_interrupt)
        if not reasons:
            raise
        raise reasons[0] from None


def _leaves(group: BaseExceptionGroup[BaseException]) -> Generator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            yield error


def _is_reason(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, UserError, BrokenPipeError)) or (
        isinstance(error, OSError) and error.errno in _NO_SPACE
    )


def _is_no_interrupt(error: BaseException) -> bool:
    return not isinstance(error, KeyboardInterrupt)


def _output_lost(complaint: str) -> int:
    """Discard all further output and return the exit code: Python would fail once more when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
    sys.stderr.write(complaint)
    return ExitCode.FAILED
