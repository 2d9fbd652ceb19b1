"""`resilience demo`: a real server, really hurt, under the same load protected and bare."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from resilience.cli.demo.document import document_of
from resilience.cli.demo.load import run_load
from resilience.cli.demo.phases import Settings
from resilience.cli.demo.server_process import Child
from resilience.cli.demo.shared_counters import SuccessCounter
from resilience.cli.demo.stats import Board
from resilience.cli.demo.text import causes, phase_line, summary
from resilience.cli.output import ExitCode, UserError, need, print_json, run

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

__all__ = ["run_demo"]

_REFRESH = 0.15


def run_demo(arguments: argparse.Namespace) -> int:
    """Run the phases, show them as they go, print the summary or the document."""
    need("httpx", "rich", *(["trio"] if arguments.backend == "trio" else []))
    if os.name != "posix":  # the server inherits a descriptor and is killed by SIGKILL
        raise UserError("the demo needs a POSIX system, such as Linux or macOS", ExitCode.FAILED)
    settings = Settings(arguments.seconds, arguments.rate, arguments.seed, arguments.backend)
    # With --json a person may still watch, on the other stream.
    screen = sys.stderr if arguments.json else sys.stdout
    show = functools.partial(_with_table, screen) if screen.isatty() else _quietly if arguments.json else _with_lines
    # A file without a name: nothing to clean up, however this ends.
    with tempfile.TemporaryFile() as counts, SuccessCounter(counts.fileno()) as tally:
        board = Board(settings, tally)
        child = Child(settings, counts.fileno())
        run(show, board, child, backend=settings.backend)
        if arguments.json:
            print_json(document_of(board, child))
        else:
            # The table, where there is one, ends with the causes and stays on the screen.
            sys.stdout.write(summary(board) if screen.isatty() else f"\n{causes(board)}\n{summary(board)}")
    return ExitCode.OK


async def _quietly(board: Board, child: Child) -> None:
    async with child:
        await run_load(board, child, entered=lambda: None)


async def _with_lines(board: Board, child: Child) -> None:
    """Print one line when a phase is over."""
    printed = 0

    def entered() -> None:
        nonlocal printed
        done = board.phase if board.ended is None else board.phase + 1
        while printed < done:
            sys.stdout.write(phase_line(board, printed) + "\n")
            sys.stdout.flush()
            printed += 1

    async with child:
        await run_load(board, child, entered)


async def _with_table(screen: TextIO, board: Board, child: Child) -> None:
    """Keep a table up to date, on the stream that is a terminal."""
    import anyio
    from rich.console import Console
    from rich.live import Live

    from resilience.cli.demo.table import table_of

    console = Console(file=screen)
    # Refreshed by a task of ours: rich's own thread would read numbers that are being changed.
    with Live(table_of(board), console=console, auto_refresh=False) as live:
        async with child, anyio.create_task_group() as tasks:
            tasks.start_soon(_refresh, live, lambda: table_of(board))
            await run_load(board, child, entered=lambda: None)
            tasks.cancel_scope.cancel()
        live.update(table_of(board), refresh=True)


async def _refresh(live: Live, table: Callable[[], RenderableType]) -> None:
    import anyio

    while True:
        live.update(table(), refresh=True)
        await anyio.sleep(_REFRESH)
