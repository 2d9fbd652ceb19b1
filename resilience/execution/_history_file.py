"""SQLite file of the failure history, shared by threads and processes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager

__all__ = ["HistoryFile"]

_BUSY_TIMEOUT = 5.0  # seconds for others to finish writing, which takes them milliseconds
_COLUMNS = "execution_id, timestamp, error_type, message, cause, resolution, learning"
_TABLE = f"CREATE TABLE IF NOT EXISTS resilience_errors (number INTEGER PRIMARY KEY, pattern, {_COLUMNS})"
_INDEX = "CREATE INDEX IF NOT EXISTS resilience_errors_by_pattern ON resilience_errors (pattern)"
_ADD = f"INSERT INTO resilience_errors (pattern, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # nothing of the user's
_EVICT = "DELETE FROM resilience_errors WHERE number <= (SELECT MAX(number) FROM resilience_errors) - ?"
_RESOLVE = "UPDATE resilience_errors SET resolution = ?, learning = ? WHERE execution_id = ?"
_ROWS = f"SELECT {_COLUMNS} FROM resilience_errors"  # noqa: S608  # nothing of the user's


class HistoryFile:
    """An SQLite database of the last *limit* failures.

    Opened anew for each use: an open connection must neither cross a fork nor move between threads.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path: str = path
        self._limit = limit
        # SQLite's busy handler sleeps and retries, and may starve a thread. A lock lets this process's threads take
        # turns.
        self._turn = threading.Lock()

    def add(self, row: Sequence[str], pattern: str) -> None:
        """Add a failure and evict the oldest beyond the limit."""
        with self._changing() as database:
            database.execute(_ADD, (pattern, *row))
            database.execute(_EVICT, (self._limit,))

    def resolve(self, execution_id: str, resolution: str, learning: str) -> bool:
        """Set the resolution of an execution's failures; return whether there are any."""
        with self._changing() as database:
            return database.execute(_RESOLVE, (resolution, learning, execution_id)).rowcount > 0

    def rows(self, pattern: str | None = None) -> list[Sequence[str]]:
        """Return all failures, or those of *pattern*, the oldest first."""
        where, values = ("", ()) if pattern is None else (" WHERE pattern = ?", (pattern,))
        with self._changing() as database:
            return database.execute(f"{_ROWS}{where} ORDER BY number", values).fetchall()

    @contextmanager
    def _changing(self) -> Generator[sqlite3.Connection]:
        with self._turn, closing(sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT, isolation_level=None)) as database:
            # With a write-ahead log a change does not wait for the disk; only a power failure can lose it.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            # IMMEDIATE takes the write lock at once: two readers that upgrade to writers would deadlock.
            database.execute("BEGIN IMMEDIATE")
            database.execute(_TABLE)
            database.execute(_INDEX)
            yield database
            database.execute("COMMIT")
