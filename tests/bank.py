"""A bank in a database, for tests of transactions: it shows whether one was made in part, or twice.

A transaction moves 1 from one account to another, and writes its number into a ledger. A trigger may let its commit
fail, by what the transaction has written into the ledger as its note.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

from resilience.integrations.sqlalchemy import is_commit_unknown
from tests.postgres_server import Server

PATIENCE = 60
TOTAL = 1000
#: For tests that need the retries, not their pauses.
QUICK: dict[str, Any] = {"base_delay": 0.01, "max_delay": 0.1}

DEFERRED = """
    CREATE SEQUENCE commits;
    CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.note = 'dies at every commit' OR (NEW.note = 'dies at the first commit' AND nextval('commits') = 1) THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
            PERFORM pg_sleep(0);
        ELSIF NEW.note = 'refused at the first commit' AND nextval('commits') = 1 THEN
            RAISE EXCEPTION USING ERRCODE = '40001';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON ledger DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION at_commit();
"""


def set_up(server: Server) -> None:
    """Make the tables anew."""
    server.query(
        "DROP TABLE IF EXISTS accounts, ledger; DROP SEQUENCE IF EXISTS commits; DROP FUNCTION IF EXISTS at_commit"
    )
    server.query("CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)")
    server.query(f"INSERT INTO accounts VALUES (1, {TOTAL}), (2, 0)")
    server.query("CREATE TABLE ledger (number int PRIMARY KEY, note text)")
    server.query(DEFERRED)


def ledger(server: Server) -> list[object]:
    return [number for (number,) in server.query("SELECT number FROM ledger ORDER BY number")]


def balances(server: Server) -> list[object]:
    return [balance for (balance,) in server.query("SELECT balance FROM accounts ORDER BY id")]


MOVE = (
    "UPDATE accounts SET balance = balance - 1 WHERE id = 1",
    "UPDATE accounts SET balance = balance + 1 WHERE id = 2",
)


def insert(number: int, note: str = "") -> str:
    return f"INSERT INTO ledger VALUES ({number}, '{note}')"


class Bank:
    """Moves money by many transactions at a time, and knows the outcome of each as the caller saw it."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.done: list[int] = []
        self.unknown: list[int] = []
        self.failed: list[int] = []
        self._progress = threading.Condition()

    def record(self, number: int, error: Exception | None) -> None:
        with self._progress:
            kinds = {None: self.done}.get(error, self.unknown if is_commit_unknown(error) else self.failed)
            kinds.append(number)
            self._progress.notify_all()

    def wait_for(self, done: int) -> None:
        """Wait until so many more transactions have succeeded."""
        with self._progress:
            goal = len(self.done) + done
            assert self._progress.wait_for(lambda: len(self.done) >= goal, PATIENCE)

    def check(self, server: Server) -> None:
        """What the callers know is what the database has, each transaction whole and at most once."""
        there = set(ledger(server))
        assert set(self.done) <= there <= {*self.done, *self.unknown}
        assert balances(server) == [TOTAL - len(there), len(there)]


def outages(server: Server, bank: Bank) -> None:
    bank.wait_for(20)
    server.kill()
    server.start()
    bank.wait_for(20)
    with server.paused():
        threading.Event().wait(0.1)  # every client waits for an answer by then, or soon after
    bank.wait_for(20)
    server.disconnect_clients()
    bank.wait_for(20)
