"""Transactions of a pool of psycopg's that are retried as a whole, against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from resilience.integrations.psycopg import in_transaction, is_commit_unknown
from tests.bank import MOVE, PATIENCE, QUICK, TOTAL, Bank, balances, insert, ledger, outages, set_up
from tests.postgres_server import Server

psycopg_pool = pytest.importorskip("psycopg_pool")


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture
def server(process: Server) -> Server:
    set_up(process)
    return process


@pytest.fixture(params=[False, True], ids=["transactions", "autocommit"])
def pool(server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    kind = psycopg_pool.ConnectionPool
    options = {"autocommit": request.param}
    with kind(server.conninfo, min_size=2, max_size=6, kwargs=options, check=kind.check_connection, timeout=30) as made:
        yield made


def move(connection: psycopg.Connection, number: int, note: str = "") -> int:
    for statement in (*MOVE, insert(number, note)):
        connection.execute(statement)
    return number


def test_a_transaction_is_one_also_where_connections_are_in_autocommit_mode(server: Server, pool: Any):
    attempts = itertools.count(1)

    @in_transaction(pool, **QUICK)
    def work(connection: psycopg.Connection) -> int:
        number = move(connection, next(attempts))
        if number == 1:
            server.query(f"SELECT pg_terminate_backend({connection.info.backend_pid})")
            connection.execute("SELECT 1")
        return number

    assert work() == 2
    assert (ledger(server), balances(server)) == ([2], [TOTAL - 1, 1])


def test_a_commit_whose_outcome_is_unknown_is_not_made_again(server: Server, pool: Any):
    with pytest.raises(psycopg.Error) as caught:
        in_transaction(pool, **QUICK)(move)(1, "dies at every commit")
    assert is_commit_unknown(caught.value)
    assert ledger(server) == []


def test_a_commit_that_the_database_has_refused_is_made_again(server: Server, pool: Any):
    assert in_transaction(pool, **QUICK)(move)(1, "refused at the first commit") == 1
    assert (ledger(server), balances(server)) == ([1], [TOTAL - 1, 1])


def test_no_transaction_is_half_done_while_the_server_is_killed_paused_and_brought_back(server: Server, pool: Any):
    bank, over = Bank(), threading.Event()
    guarded = in_transaction(pool, attempts=30, **QUICK)(move)

    def client() -> None:
        while not over.is_set():
            number, error = next(bank.numbers), None
            try:
                guarded(number)
            except Exception as raised:
                error = raised
            bank.record(number, error)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        clients = [threads.submit(client) for _ in range(4)]
        try:
            outages(server, bank)
        finally:
            over.set()
    for each in clients:
        each.result(PATIENCE)
    assert bank.failed == []
    bank.check(server)


def test_an_async_pool_is_given_an_async_function(server: Server):
    attempts = itertools.count(1)

    async def scenario() -> None:
        async with psycopg_pool.AsyncConnectionPool(server.conninfo, min_size=1, max_size=2, open=False) as pool:

            @in_transaction(pool, **QUICK)
            async def work(connection: Any) -> int:
                number = next(attempts)
                await connection.execute(insert(number))
                if number == 1:
                    server.query(f"SELECT pg_terminate_backend({connection.info.backend_pid})")
                    await connection.execute("SELECT 1")
                return number

            assert await work() == 2

    asyncio.run(scenario())
    assert ledger(server) == [2]
