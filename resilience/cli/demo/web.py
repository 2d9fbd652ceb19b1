"""`resilience demo --web`: the admin page over the demo, whose server is broken again and again until Ctrl-C.

The page is served by a thread of this process, on the loopback alone, with a token that is made for this run.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import secrets
import sys
import tempfile
import threading
from collections.abc import Generator
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from resilience.admin import admin
from resilience.cli.demo.load import run_load
from resilience.cli.demo.phases import PHASES, Settings
from resilience.cli.demo.server_process import ServerProcess
from resilience.cli.demo.shared_counters import RequestCounter
from resilience.cli.demo.stats import DemoStats
from resilience.cli.output import ExitCode, UserError, run_async

__all__ = ["run_web"]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request: streams of events last."""

    daemon_threads = True
    block_on_close = False


class _Handler(WSGIRequestHandler):
    """Logs no request: the terminal is for the demo."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base
        """Log nothing."""


def run_web(arguments: argparse.Namespace, settings: Settings) -> int:
    """Serve the page, and run the phases of the demo again and again. Raises UserError for a port that is taken."""
    if arguments.json:
        raise UserError("--json does not go with --web: the page's data are at its URL, /circuits and others")
    token = secrets.token_urlsafe(9)
    with (
        _page(arguments.port, token) as url,
        tempfile.TemporaryFile() as counts,
        RequestCounter(counts.fileno()) as counter,
    ):
        sys.stdout.write(f"page   {url}\ntoken  {token}\n\nThe server is broken in turns until Ctrl-C.\n\n")
        sys.stdout.flush()
        stats = DemoStats(settings, counter)
        run_async(_run, stats, ServerProcess(settings, counts.fileno()), backend=settings.backend)
    return ExitCode.OK


@contextlib.contextmanager
def _page(port: int, token: str) -> Generator[str]:
    """Serve the admin page during the block; yield its URL."""
    with contextlib.closing(admin(token=token)) as application:
        try:
            server = make_server("127.0.0.1", port, application, _Server, _Handler)
        except OSError as error:
            raise UserError(f"--port: cannot listen at {port}: {error.strerror}", ExitCode.FAILED) from None
        with server:
            thread = threading.Thread(target=server.serve_forever, name="resilience demo page", daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()


async def _run(stats: DemoStats, server: ServerProcess) -> None:
    """Run the phases without an end; print a line at the beginning of each."""

    def on_phase() -> None:
        sys.stdout.write(f"{stats.now():7.1f} s  {PHASES[stats.phase].name}\n")
        sys.stdout.flush()

    async with server:
        await run_load(stats, server, on_phase, rounds=itertools.repeat(None))
