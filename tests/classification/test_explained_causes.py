"""The reason that `explain` gives for a wrapper of a client library is that of what it wraps."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy

from resilience import explain


@pytest.fixture
def locked(tmp_path: Path):
    database = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE orders (item)")
        holder.execute("BEGIN IMMEDIATE")
        yield f"sqlite:///{database}"


def failure(url: str, statement: str) -> Exception:
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": 0})
    try:
        with pytest.raises(sqlalchemy.exc.OperationalError) as raised, engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement))
    finally:
        engine.dispose()
    return raised.value


def test_a_locked_database_says_so_through_sqlalchemy(locked: str):
    found = explain(failure(locked, "INSERT INTO orders VALUES ('lamp')"))
    assert (found.category.label, found.rule) == ("unavailable", "client")
    assert found.reason == "sqlite3.OperationalError: database is locked (SQLITE_BUSY)"


def test_a_missing_table_has_the_reason_of_the_driver(locked: str):
    found = explain(failure(locked, "SELECT * FROM nowhere"))
    assert (found.category.label, found.reason) == ("internal", "sqlite3.OperationalError is internal")


def test_a_refused_connection_of_an_http_client_names_the_refusal():
    import httpx

    with pytest.raises(httpx.ConnectError) as raised:
        httpx.get("http://127.0.0.1:9", trust_env=False)
    found = explain(raised.value)
    assert found.category.label == "network"
    assert "secret" not in found.reason


def test_a_cause_that_leads_back_to_itself_ends_the_search():
    class Wrapper(sqlalchemy.exc.OperationalError):
        pass

    error = Wrapper("", {}, ValueError())
    error.orig = error
    assert explain(error).rule == "client"
