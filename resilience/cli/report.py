"""`resilience report`: explain the last traceback in a saved text, and say what to do."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from resilience.cli.output import ExitCode, UserError, print_json
from resilience.report._traceback_parser import report_of_text
from resilience.report.model import ErrorReport

__all__ = ["run_report"]

_CHUNK = 1 << 20
_MAX_BYTES = 8_000_000  # of the end of the file, where a log has its last traceback


def run_report(arguments: argparse.Namespace) -> int:
    """Explain the last traceback in a file."""
    text = _read(arguments.file)
    try:
        report = report_of_text(text)
    except ValueError:
        name = {"-": "stdin"}.get(arguments.file, arguments.file)
        raise UserError(
            f"there is no traceback in {name}; one begins with 'Traceback (most recent call last):'. "
            "A single line is for `resilience explain`"
        ) from None
    if arguments.json:
        print_json(report.to_dict(arguments.level))
    elif arguments.llm is not None:
        sys.stdout.write(report.to_llm(arguments.llm).rstrip("\n") + "\n")
    else:
        sys.stdout.write(_as_text(report, arguments.level))
    return ExitCode.OK


def _read(path: str) -> str:
    try:
        if path == "-":
            data = _tail(sys.stdin.buffer)
        else:
            with Path(path).open("rb") as file:
                data = _tail(file)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give a file with a traceback in it") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # PowerShell redirects as UTF-16
        return data.decode("utf-16", "replace")
    return data.decode("utf-8", "replace")


def _tail(stream: BinaryIO) -> bytes:
    data = b""
    while chunk := stream.read(_CHUNK):
        data = (data + chunk)[-_MAX_BYTES:]
    return data


def _as_text(report: ErrorReport, level: int) -> str:
    if level == 1:
        return f"{report.error_summary} [{report.category.label}]\n"
    if level == 2:  # failure and cause, without advice
        report = replace(report, suggestions=(), suggested_fix=None, local_variables={}, recovery_options=())
    text = report.render().rstrip("\n") + "\n"
    if level == 4 and report.exception is not None and report.exception.full_traceback:
        text += f"\n{report.exception.full_traceback.rstrip()}\n"
    return text
