"""The history of failures as a file that threads and processes share."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager

__all__ = ["HistoryFile"]

_PATIENCE = 5.0  # seconds for others to finish writing, which takes them milliseconds
_COLUMNS = "execution_id, timestamp, error_type, message, cause, resolution, learning"
_TABLE = f"CREATE TABLE IF NOT EXISTS resilience_errors (number INTEGER PRIMARY KEY, pattern, {_COLUMNS})"
_INDEX = "CREATE INDEX IF NOT EXISTS resilience_errors_by_pattern ON resilience_errors (pattern)"
_ADD = f"INSERT INTO resilience_errors (pattern, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # nothing of the user's
_FORGET = "DELETE FROM resilience_errors WHERE number <= (SELECT MAX(number) FROM resilience_errors) - ?"
_RESOLVE = "UPDATE resilience_errors SET resolution = ?, learning = ? WHERE execution_id = ?"
_ROWS = f"SELECT {_COLUMNS} FROM resilience_errors"  # noqa: S608  # nothing of the user's


class HistoryFile:
    """An SQLite database of the last *limit* failures.

    Opened anew for each use: an open connection must neither cross a fork nor move between threads.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path: str = path
        self._limit = limit
        # SQLite lets waiting threads sleep and try again, and some wait for very long. Of ours each has its turn.
        self._turn = threading.Lock()

    def add(self, row: Sequence[str], pattern: str) -> None:
        """Keep a failure; the oldest make room for it."""
        with self._changing() as database:
            database.execute(_ADD, (pattern, *row))
            database.execute(_FORGET, (self._limit,))

    def resolve(self, execution_id: str, resolution: str, learning: str) -> bool:
        """Keep what was done about an execution's failures; return whether there are any."""
        with self._changing() as database:
            return database.execute(_RESOLVE, (resolution, learning, execution_id)).rowcount > 0

    def rows(self, pattern: str | None = None) -> list[Sequence[str]]:
        """Return what is kept, the oldest first."""
        where, values = ("", ()) if pattern is None else (" WHERE pattern = ?", (pattern,))
        with self._changing() as database:
            return database.execute(f"{_ROWS}{where} ORDER BY number", values).fetchall()

    @contextmanager
    def _changing(self) -> Generator[sqlite3.Connection]:
        with self._turn, closing(sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)) as database:
            # With a log written ahead a change waits for no disk, and is not lost but with the power.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            # The lock is taken at once: two who read first and then want to write would each wait for the other.
            database.execute("BEGIN IMMEDIATE")
            database.execute(_TABLE)
            database.execute(_INDEX)
            yield database
            database.execute("COMMIT")
