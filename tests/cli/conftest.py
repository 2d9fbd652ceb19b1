"""A command line in this process or in one of its own, and a real server that answers from a script."""

from __future__ import annotations

import dataclasses
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import pytest

from resilience import override_profiles
from resilience.cli import main

# Where the tests run in the background of a shell, Ctrl-C is ignored, and children inherit that.
HEEDING_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from resilience.cli import main
sys.exit(main(sys.argv[1:]))
"""


@dataclasses.dataclass
class Run:
    """The result of a command: its exit code and its output."""

    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document that is all of stdout."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        return self.err


@pytest.fixture
def resilience(capsys):
    """Run the command line in this process, without waiting between attempts."""

    def run(*arguments: str) -> Run:
        with override_profiles({"transient": {"base": 0.0}}):
            code = main(arguments)
        shown = capsys.readouterr()
        return Run(code, shown.out, shown.err)

    return run


def in_own_process(*arguments: str, cwd: pathlib.Path | None = None, module: str = "resilience") -> Run:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


class Site:
    """A server on the loopback that gives its *answers* in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = [(200, {})]
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                site.seen.append((self.command, self.path, dict(self.headers)))
                status, headers = site.answers.pop(0) if len(site.answers) > 1 else site.answers[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()


@pytest.fixture
def site():
    """A real server."""
    server = Site()
    yield server
    server.close()
