"""`resilience demo`: a real server that fails in six ways, called with policies and without.

`load` makes the calls and drives the server, `stats` counts, `text`, `table` and `document` show the result. The
server is a real process (`server`, started by `server_process`), so that killing it breaks real connections. `web`
shows the admin page over the same load.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TextIO

from resilience.cli.demo.document import document_of
from resilience.cli.demo.load import run_load
from resilience.cli.demo.phases import Settings
from resilience.cli.demo.server_process import ServerProcess
from resilience.cli.demo.shared_counters import RequestCounter
from resilience.cli.demo.stats import DemoStats
from resilience.cli.demo.text import causes, phase_line, summary
from resilience.cli.output import ExitCode, UserError, libraries_of, print_json, require_libraries, run_async

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

__all__ = ["run_demo"]

_REFRESH = 0.15
_SECONDS, _WEB_SECONDS = 12.0, 60.0  # of a page each fault should be seen


def run_demo(arguments: argparse.Namespace) -> int:
    """Run all phases, show the progress, print the summary or the document."""
    drawn_by = () if arguments.web else ("rich",)
    require_libraries("httpx", *drawn_by, *libraries_of(arguments.backend))
    if os.name != "posix":  # the server inherits a descriptor and is killed by SIGKILL
        raise UserError("the demo needs a POSIX system, such as Linux or macOS", ExitCode.FAILED)
    seconds = arguments.seconds or (_WEB_SECONDS if arguments.web else _SECONDS)
    settings = Settings(seconds, arguments.rate, arguments.seed, arguments.backend)
    if arguments.web:
        from resilience.cli.demo.web import run_web

        return run_web(arguments, settings)
    if arguments.port:
        raise UserError("--port goes with --web")
    # With --json the table is shown on stderr.
    screen = {True: sys.stderr, False: sys.stdout}[arguments.json]
    show: Callable[[DemoStats, ServerProcess], Awaitable[None]] = _show_lines
    if screen.isatty():
        show = functools.partial(_show_table, screen)
    elif arguments.json:
        show = _show_nothing
    # A file without a name: nothing to clean up, however this ends.
    with tempfile.TemporaryFile() as counts, RequestCounter(counts.fileno()) as counter:
        stats = DemoStats(settings, counter)
        server = ServerProcess(settings, counts.fileno())
        run_async(show, stats, server, backend=settings.backend)
        if arguments.json:
            print_json(document_of(stats, server))
        else:
            if not screen.isatty():  # a table ends with the causes and stays on the screen
                sys.stdout.write(f"\n{causes(stats)}\n")
            sys.stdout.write(summary(stats))
    return ExitCode.OK


async def _show_nothing(stats: DemoStats, server: ServerProcess) -> None:
    async with server:
        await run_load(stats, server, on_phase=lambda: None)


async def _show_lines(stats: DemoStats, server: ServerProcess) -> None:
    """Print a line at the end of each phase."""
    printed = 0

    def on_phase() -> None:
        nonlocal printed
        while printed < stats.phases_done:
            sys.stdout.write(phase_line(stats, printed) + "\n")
            sys.stdout.flush()
            printed += 1

    async with server:
        await run_load(stats, server, on_phase)


async def _show_table(screen: TextIO, stats: DemoStats, server: ServerProcess) -> None:
    """Keep a table up to date on the terminal."""
    import anyio
    from rich.console import Console
    from rich.live import Live

    from resilience.cli.demo.table import table_of

    console = Console(file=screen)
    # Refreshed by a task: a thread of rich would read numbers that are being changed.
    with Live(table_of(stats), console=console, auto_refresh=False) as live:
        async with server, anyio.create_task_group() as tasks:
            tasks.start_soon(_refresh, live, lambda: table_of(stats))
            await run_load(stats, server, on_phase=lambda: None)
            tasks.cancel_scope.cancel()
        live.update(table_of(stats), refresh=True)


async def _refresh(live: Live, table: Callable[[], RenderableType]) -> None:
    import anyio

    while True:
        live.update(table(), refresh=True)
        await anyio.sleep(_REFRESH)
