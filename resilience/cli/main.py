"""From arguments to an exit code: no traceback, whatever the user typed or pressed."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import cast

from resilience.cli.output import ExitCode, UserError, print_json
from resilience.cli.parser import build_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code, an `ExitCode`.

    >>> main(["explain", "status", "503"])  # doctest: +ELLIPSIS
    unavailable
      why       status 503 (structure)
    ...
    <ExitCode.OK: 0>
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 must not cost the answer
    try:
        parser = build_parser()
        arguments = parser.parse_args(argv)
        if arguments.command is None:
            parser.print_help()
            return ExitCode.OK
        return _run(arguments)
    except SystemExit as done:  # argparse's way to end: --help, --version, a wrong option
        return done.code if isinstance(done.code, int) else ExitCode.USAGE
    except BrokenPipeError:
        # Whoever read the output has left (`| head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    try:
        try:
            code = _command(arguments)
            sys.stdout.flush()  # here, where a closed pipe is still ours to answer
            return code
        except BaseExceptionGroup as group:
            # Task groups wrap what ends them: Ctrl-C on trio, our own errors on both.
            if group.subgroup(KeyboardInterrupt) is not None:
                return ExitCode.INTERRUPTED
            ours = _first_of_ours(group)
            if ours is None:
                raise
            raise ours from None
    except UserError as error:
        sys.stderr.write(f"resilience {arguments.command}: {error}\n")
        if arguments.json:
            print_json(error.document())
        return error.code


def _command(arguments: argparse.Namespace) -> int:
    # Each is imported when it is asked for: `explain` needs no httpx, and help needs nothing.
    if arguments.command == "explain":
        from resilience.cli.explain import run_explain

        return run_explain(arguments)
    if arguments.command == "circuits":
        from resilience.cli.circuits import run_circuits

        return run_circuits(arguments)
    if arguments.command == "run":
        from resilience.cli.script import run_script

        return run_script(arguments)
    if arguments.command == "report":
        from resilience.cli.report import run_report

        return run_report(arguments)
    if arguments.command == "schema":
        from resilience.cli.schema import run_schema

        return run_schema(arguments)
    if arguments.command == "codes":
        from resilience.cli.codes import run_codes

        return run_codes(arguments)
    if arguments.command == "call":
        from resilience.cli.call import run_call

        return run_call(arguments)
    from resilience.cli.demo import run_demo

    return run_demo(arguments)


def _first_of_ours(group: BaseExceptionGroup[BaseException]) -> UserError | None:
    for error in group.exceptions:
        if isinstance(error, UserError):
            return error
        if isinstance(error, BaseExceptionGroup):
            inner = _first_of_ours(cast("BaseExceptionGroup[BaseException]", error))
            if inner is not None:
                return inner
    return None
