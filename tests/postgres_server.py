"""A real PostgreSQL server in a temporary directory, which tests start, stop, pause and kill.

Debian's package puts the server into `/usr/lib/postgresql`. It refuses to run as root, so for root it runs as the user
`postgres`, which the package makes. Clients come over a unix socket: no port is chosen, and none can be taken.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

import psycopg
import pytest

__all__ = ["Server"]

PATIENCE = 60
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=60", "listen_addresses=", "deadlock_timeout=50ms")


def _programs() -> pathlib.Path:
    """Return the folder of the newest server that is installed; without any the test is skipped."""
    installed = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: path.parts[-3])
    found = shutil.which("postgres")
    if installed:
        return installed[-1].parent
    if found is not None and (pathlib.Path(found).parent / "initdb").exists():
        return pathlib.Path(found).parent
    pytest.skip("there is no PostgreSQL server: Debian: apt-get install postgresql")


def _owner() -> int | None:
    """Return the user that the server runs as; None: the one that runs the tests."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_uid
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


class Server:
    """A PostgreSQL server process whose clients connect by the unix socket in `folder`."""

    def __init__(self) -> None:
        self._bin = _programs()
        self._user = _owner()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-"))  # a short path: sockets have at most 107 characters
        self._data = self.folder / "data"
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
        command = [self._bin / "initdb", "-D", self._data, "-U", "tests", "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run([*command, "--no-instructions"], check=True, capture_output=True, user=self._user, cwd="/")
        self.log: list[str] = []
        self.start()

    def start(self) -> None:
        """Start the server on its data, and wait until it admits clients."""
        settings = [part for setting in (*_FAST, f"unix_socket_directories={self.folder}") for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *settings],
            stderr=subprocess.PIPE,
            text=True,
            user=self._user,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the tests
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr, ready), daemon=True)
        self._reader.start()
        assert ready.wait(PATIENCE), self.log
        assert self._process.poll() is None, self.log

    def _read(self, stream: IO[str], ready: threading.Event) -> None:
        """Keep what the server logs, to its end: it would wait for a full pipe."""
        with stream:
            for line in stream:
                self.log.append(line)
                if "ready to accept connections" in line:
                    ready.set()
        ready.set()  # it has ended

    @property
    def conninfo(self) -> str:
        """What psycopg connects with."""
        return f"host={self.folder} user=tests dbname=postgres"

    def url(self, driver: str) -> str:
        """What SQLAlchemy connects with."""
        return f"postgresql+{driver}://tests@/postgres?host={self.folder}"

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement, and return its rows; for what a test sets up and looks at."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def disconnect_clients(self) -> None:
        """End all sessions but that of the caller, as an administrator does."""
        self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def kill(self) -> None:
        """Kill the server and its sessions without a word to the clients, as a power cut does."""
        self._process.send_signal(signal.SIGSTOP)  # it would start others in their place
        for pid in self._sessions():
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE)  # the sessions have closed the pipe: all of them are gone

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have the server and its sessions neither answer nor close a connection."""
        self._signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal_all(signal.SIGCONT)

    def _sessions(self) -> list[int]:
        """Return the processes of the server: each backend leads a session of its own."""
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in (self._process.pid, *self._sessions()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self) -> None:
        """Kill the server, and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
