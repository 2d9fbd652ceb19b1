"""Transactions that are retried as a whole, against a real PostgreSQL that is killed, paused and brought back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import itertools
import json
import pathlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("greenlet", reason="SQLAlchemy's asyncio part needs it")

import sqlalchemy
from sqlalchemy import orm, text
from sqlalchemy.ext import asyncio as async_sqlalchemy

from resilience import DeadlineExceededError, StopReason, classify, deadline, describe, report_of
from resilience.integrations import asyncpg as asyncpg_integration
from resilience.integrations.sqlalchemy import in_transaction, is_commit_unknown
from tests.bank import MOVE, PATIENCE, QUICK, TOTAL, Bank, balances, insert, ledger, outages, set_up
from tests.postgres_server import Server

pytestmark = pytest.mark.slow  # a server that is started, killed, and started again


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture
def server(process: Server) -> Server:
    set_up(process)
    return process


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(server: Server, request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    pytest.importorskip(request.param)
    made = sqlalchemy.create_engine(server.url(request.param), pool_size=8)
    yield made
    made.dispose()


def move(connection: sqlalchemy.Connection, number: int, note: str = "") -> int:
    for statement in (*MOVE, insert(number, note)):
        connection.execute(text(statement))
    return number


# -- what is retried ---------------------------------------------------------------------------------------------------


def test_a_function_that_returns_is_committed_and_one_that_raises_is_rolled_back(
    server: Server, engine: sqlalchemy.Engine
):
    @in_transaction(engine)
    def work(connection: sqlalchemy.Connection, number: int, *, fails: bool) -> int:
        move(connection, number)
        if fails:
            raise KeyError(number)
        return number

    assert work(1, fails=False) == 1
    with pytest.raises(KeyError):
        work(2, fails=True)
    assert ledger(server) == [1]
    assert balances(server) == [TOTAL - 1, 1]


def test_a_session_sends_what_it_has_kept_back_before_the_commit(server: Server, engine: sqlalchemy.Engine):
    class Base(orm.DeclarativeBase):
        pass

    class Entry(Base):
        __tablename__ = "ledger"
        number: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        note: orm.Mapped[str]

    calls = []

    @in_transaction(orm.sessionmaker(engine), **QUICK)
    def add(session: orm.Session, number: int) -> None:
        calls.append(number)
        if len(calls) == 1:
            session.execute(text("SELECT pg_backend_pid()"))
            server.disconnect_clients()
        session.add(Entry(number=number, note=""))  # sent at the end of the block

    add(7)
    assert (calls, ledger(server)) == ([7, 7], [7])
    with pytest.raises(sqlalchemy.exc.IntegrityError) as caught:
        add(7)
    assert not is_commit_unknown(caught.value)


def test_a_connection_that_is_lost_before_the_commit_costs_an_attempt(server: Server, engine: sqlalchemy.Engine):
    attempts = itertools.count(1)

    @in_transaction(engine, **QUICK)
    def work(connection: sqlalchemy.Connection) -> int:
        number = next(attempts)
        move(connection, number)
        if number == 1:
            server.disconnect_clients()
            connection.execute(text("SELECT 1"))
        return number

    assert work() == 2
    assert (ledger(server), balances(server)) == ([2], [TOTAL - 1, 1])


def test_connections_that_were_lost_while_they_were_idle_cost_one_attempt(server: Server, engine: sqlalchemy.Engine):
    with contextlib.ExitStack() as held:
        for _ in range(6):
            held.enter_context(engine.connect()).execute(text("SELECT 1"))
    server.disconnect_clients()
    calls = []

    @in_transaction(engine, attempts=2, **QUICK)
    def work(connection: sqlalchemy.Connection) -> int:
        calls.append(1)
        return move(connection, 1)

    assert work() == 1
    assert len(calls) == 2


def test_a_constraint_violation_is_not_retried(server: Server, engine: sqlalchemy.Engine):
    calls = []

    @in_transaction(engine, **QUICK)
    def work(connection: sqlalchemy.Connection) -> None:
        calls.append(1)
        move(connection, 1)
        connection.execute(text(insert(1)))

    with pytest.raises(sqlalchemy.exc.IntegrityError):
        work()
    assert (len(calls), ledger(server), balances(server)) == (1, [], [TOTAL, 0])


def test_a_deadlock_ends_with_both_transactions_made(server: Server, engine: sqlalchemy.Engine):
    both = threading.Barrier(2, timeout=PATIENCE)
    calls: list[int] = []

    def lock(connection: sqlalchemy.Connection, account: int) -> None:
        connection.execute(text(f"UPDATE accounts SET balance = balance + 1 WHERE id = {account}"))

    @in_transaction(engine, attempts=5, **QUICK)
    def work(connection: sqlalchemy.Connection, first: int, second: int) -> None:
        calls.append(first)
        lock(connection, first)
        if len(calls) <= 2:
            both.wait()
        lock(connection, second)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        for done in [threads.submit(work, 1, 2), threads.submit(work, 2, 1)]:
            done.result(PATIENCE)
    assert len(calls) == 3
    assert balances(server) == [TOTAL + 2, 2]


def test_a_serialization_failure_leads_to_another_transaction(server: Server, engine: sqlalchemy.Engine):
    both = threading.Barrier(2, timeout=PATIENCE)
    calls: list[int] = []

    @in_transaction(engine.execution_options(isolation_level="SERIALIZABLE"), attempts=5, **QUICK)
    def work(connection: sqlalchemy.Connection) -> None:
        balance = connection.execute(text("SELECT balance FROM accounts WHERE id = 2")).scalar_one()
        calls.append(balance)
        if len(calls) <= 2:
            both.wait()
        connection.execute(text(f"UPDATE accounts SET balance = {balance + 1} WHERE id = 2"))

    with concurrent.futures.ThreadPoolExecutor() as threads:
        for done in [threads.submit(work), threads.submit(work)]:
            done.result(PATIENCE)
    assert calls == [0, 0, 1]
    assert balances(server) == [TOTAL, 2]


# -- the commit --------------------------------------------------------------------------------------------------------


def test_a_commit_that_the_database_has_refused_is_made_again(server: Server, engine: sqlalchemy.Engine):
    calls = []

    @in_transaction(engine, **QUICK)
    def work(connection: sqlalchemy.Connection) -> int:
        calls.append(1)
        return move(connection, len(calls), "refused at the first commit")

    assert work() == 2
    assert (ledger(server), balances(server)) == ([2], [TOTAL - 1, 1])


def test_a_commit_whose_outcome_is_unknown_is_not_made_again(server: Server, engine: sqlalchemy.Engine):
    calls = []

    @in_transaction(engine, **QUICK)
    def work(connection: sqlalchemy.Connection) -> int:
        calls.append(1)
        return move(connection, len(calls), "dies at every commit")

    with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
        work()
    assert is_commit_unknown(caught.value)
    assert "the outcome of the commit is unknown: the transaction may be in the database" in caught.value.__notes__
    report = report_of(caught.value)
    assert report is not None
    assert (report.made, report.reason) == (1, StopReason.NOT_IDEMPOTENT)
    assert (len(calls), ledger(server), balances(server)) == (1, [], [TOTAL, 0])


def test_a_transaction_that_may_happen_twice_is_made_again_after_it(server: Server, engine: sqlalchemy.Engine):
    @in_transaction(engine, idempotent=True, **QUICK)
    def work(connection: sqlalchemy.Connection) -> int:
        connection.execute(text("INSERT INTO ledger VALUES (1, 'dies at the first commit') ON CONFLICT DO NOTHING"))
        return 1

    assert work() == 1
    assert ledger(server) == [1]


def test_a_transaction_that_was_committed_while_its_answer_was_lost_happens_once(
    server: Server, engine: sqlalchemy.Engine
):
    """The server waits for a standby that is not there: it has committed, and the answer does not come."""
    calls = []

    @in_transaction(engine, attempts=5, **QUICK)
    def work(connection: sqlalchemy.Connection) -> int:
        calls.append(1)
        connection.execute(text("SET LOCAL synchronous_commit = on"))
        return move(connection, len(calls))

    server.query("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    server.query("ALTER ROLE tests SET synchronous_commit = local")
    try:
        server.query("SELECT pg_reload_conf()")
        with concurrent.futures.ThreadPoolExecutor() as threads:
            done = threads.submit(work)
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            while not server.query(waiting) and not done.done():
                pass
            server.disconnect_clients()
            error = done.exception(PATIENCE)
    finally:
        server.query("ALTER SYSTEM RESET synchronous_standby_names")
        server.query("ALTER ROLE tests RESET synchronous_commit")
        server.query("SELECT pg_reload_conf()")
    assert is_commit_unknown(error)
    assert (len(calls), ledger(server), balances(server)) == (1, [1], [TOTAL - 1, 1])


# -- outages under load ------------------------------------------------------------------------------------------------


def test_no_transaction_is_half_done_while_the_server_is_killed_paused_and_brought_back(
    server: Server, engine: sqlalchemy.Engine
):
    bank, over = Bank(), threading.Event()
    guarded = in_transaction(engine, attempts=30, **QUICK)(move)

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


# -- async clients -----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def async_engine(server: Server, driver: str):
    engine = async_sqlalchemy.create_async_engine(server.url(driver), pool_size=8)
    try:
        yield engine.begin, lambda connection, statement: connection.execute(text(statement)), in_transaction, engine
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def async_session(server: Server, driver: str):
    async with async_engine(server, driver) as (_, execute, decorator, engine):
        yield None, execute, decorator, async_sqlalchemy.async_sessionmaker(engine)


@contextlib.asynccontextmanager
async def asyncpg_pool(server: Server, _: str):
    import asyncpg

    async with asyncpg.create_pool(
        host=str(server.folder), user="tests", database="postgres", min_size=1, max_size=8
    ) as pool:
        yield (
            None,
            lambda connection, statement: connection.execute(statement),
            asyncpg_integration.in_transaction,
            pool,
        )


ASYNC = {
    "asyncpg": asyncpg_pool,
    "sqlalchemy-asyncpg": async_engine,
    "sqlalchemy-psycopg": async_engine,
    "sqlalchemy-session": async_session,
}
DRIVERS = {"sqlalchemy-psycopg": "psycopg"}


@pytest.fixture(params=list(ASYNC))
def client(request: pytest.FixtureRequest, server: Server) -> Callable[..., Any]:
    """A context manager of an async client: how to run a statement, and the decorator with options."""

    @contextlib.asynccontextmanager
    async def opened():
        async with ASYNC[request.param](server, DRIVERS.get(request.param, "asyncpg")) as (
            _,
            execute,
            decorator,
            source,
        ):
            yield execute, lambda **options: decorator(source, **options)

    return opened


def test_an_async_transaction_is_retried_as_a_whole(server: Server, client: Callable[..., Any]):
    async def scenario() -> None:
        async with client() as (execute, transaction):
            attempts = itertools.count(1)

            @transaction(**QUICK)
            async def work(connection: Any) -> int:
                number = next(attempts)
                for statement in (*MOVE, insert(number)):
                    await execute(connection, statement)
                if number == 1:
                    server.disconnect_clients()
                    await execute(connection, "SELECT 1")
                return number

            assert await work() == 2

    asyncio.run(scenario())
    assert (ledger(server), balances(server)) == ([2], [TOTAL - 1, 1])


def test_an_async_commit_whose_outcome_is_unknown_is_not_made_again(server: Server, client: Callable[..., Any]):
    calls = []

    async def scenario() -> None:
        async with client() as (execute, transaction):

            @transaction(**QUICK)
            async def work(connection: Any) -> None:
                calls.append(1)
                await execute(connection, insert(1, "dies at every commit"))

            await work()

    with pytest.raises(Exception, check=is_commit_unknown):
        asyncio.run(scenario())
    assert (len(calls), ledger(server)) == (1, [])


def test_an_async_commit_that_the_database_has_refused_is_made_again(server: Server, client: Callable[..., Any]):
    async def scenario() -> None:
        async with client() as (execute, transaction):
            attempts = itertools.count(1)

            @transaction(**QUICK)
            async def work(connection: Any) -> None:
                await execute(connection, insert(next(attempts), "refused at the first commit"))

            await work()

    asyncio.run(scenario())
    assert ledger(server) == [2]


@pytest.mark.parametrize("client", ["asyncpg", "sqlalchemy-asyncpg"], indirect=True)  # psycopg itself waits for 10 s
def test_a_deadline_ends_a_transaction_that_a_paused_server_does_not_answer(server: Server, client: Callable[..., Any]):
    async def scenario() -> None:
        async with client() as (execute, transaction):

            @transaction(**QUICK)
            async def work(connection: Any, number: int, paused: contextlib.ExitStack) -> None:
                await execute(connection, insert(number))
                if number == 1:
                    paused.enter_context(server.paused())
                await execute(connection, "SELECT 1")

            with contextlib.ExitStack() as paused, pytest.raises(DeadlineExceededError):
                await deadline(0.5)(work)(1, paused)
            await work(2, contextlib.ExitStack())

    asyncio.run(scenario())
    assert ledger(server) == [2]


def test_no_async_transaction_is_half_done_while_the_server_is_killed_paused_and_brought_back(
    server: Server, client: Callable[..., Any]
):
    bank, over = Bank(), threading.Event()

    async def scenario() -> None:
        async with client() as (execute, transaction):

            @transaction(attempts=30, **QUICK)
            async def work(connection: Any, number: int) -> None:
                for statement in (*MOVE, insert(number)):
                    await execute(connection, statement)

            async def one() -> None:
                while not over.is_set():
                    number, error = next(bank.numbers), None
                    try:
                        await work(number)
                    except Exception as raised:
                        error = raised
                    bank.record(number, error)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(one())
                try:
                    await asyncio.to_thread(outages, server, bank)
                finally:
                    over.set()

    asyncio.run(scenario())
    assert bank.failed == []
    bank.check(server)


# -- mistakes ----------------------------------------------------------------------------------------------------------


MEMORY = sqlalchemy.create_engine("sqlite://")


def test_the_signature_is_that_of_the_callers():
    @in_transaction(MEMORY)
    def work(connection: sqlalchemy.Connection, number: int, *, note: str = "") -> None:
        """Move money."""

    assert str(inspect.signature(work)) == "(number: 'int', *, note: 'str' = '') -> 'None'"
    assert (work.__name__, work.__doc__) == ("work", "Move money.")
    assert "idempotent=unless_commit_unknown" in str(describe(work))


async def an_async_function(connection: Any) -> None: ...


def a_generator(connection: Any) -> Iterator[int]:
    yield 1


class Repository:
    def method(self, connection: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (an_async_function, "an_async_function: this client needs a function that is not async"),
        (a_generator, "a_generator is a generator function: the transaction would end before its first item"),
        (Repository.method, "method is a method: decorate a function, whose first parameter gets the connection"),
        (None, "give a function"),
    ],
    ids=["async", "generator", "method", "none"],
)
def test_a_function_that_cannot_run_in_a_transaction_is_refused_where_it_is_decorated(
    function: Callable[..., Any], message: str
):
    with pytest.raises(TypeError, match=message):
        in_transaction(MEMORY)(function)


def test_a_sync_function_is_refused_by_an_async_client():
    engine = async_sqlalchemy.create_async_engine("postgresql+asyncpg://nowhere")
    with pytest.raises(TypeError, match="move: this client needs an async function"):
        in_transaction(engine)(move)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("sqlite://", {}, "give an engine or a sessionmaker, sync or async"),
        (MEMORY, {"idempotent": "yes"}, "idempotent='yes': give True or False"),
        (MEMORY, {"only": ("get",)}, "only=.*give it where a class is decorated"),
    ],
    ids=["no engine", "idempotent", "only"],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(given: Any, options: dict[str, Any], message: str):
    with pytest.raises(TypeError, match=message):
        in_transaction(given, **options)


def test_a_busy_sqlite_database_is_tried_again_also_at_the_commit(tmp_path):
    url = f"sqlite:///{tmp_path / 'busy.db'}"
    one = sqlalchemy.create_engine(url, connect_args={"timeout": 0})
    with one.begin() as connection:
        connection.execute(text("CREATE TABLE ledger (number int PRIMARY KEY, note text)"))
    calls = []
    reader = one.connect()

    @in_transaction(one, **QUICK)
    def work(connection: sqlalchemy.Connection) -> None:
        calls.append(1)
        if len(calls) == 1:  # a reader: the writer may write, and not commit
            reader.execute(text("SELECT * FROM ledger")).fetchall()
            reader.exec_driver_sql("BEGIN")
            reader.execute(text("SELECT * FROM ledger")).fetchall()
        else:
            reader.rollback()
        connection.execute(text(insert(len(calls))))

    work()
    with one.connect() as connection:
        assert connection.execute(text("SELECT number FROM ledger")).scalars().all() == [2]
    reader.close()
    one.dispose()
    assert len(calls) == 2
    assert classify(KeyError()).label == "unknown"


# -- Django ------------------------------------------------------------------------------------------------------------


def test_a_transaction_of_django_is_retried_as_a_whole(server: Server):
    program = pathlib.Path(__file__).with_name("django_bank.py")
    done = subprocess.run(
        [sys.executable, program, server.folder], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "after a lost connection": 2,
        "on_commit": [2],
        "the connection again": [2],
        "a method": 10,
        "a commit that is refused": 11,
        "a commit of which nothing is known": ["OperationalError", True],
        "a constraint": ["IntegrityError", False],
        "inside another transaction": ["RuntimeError", False],
        "in the end": [2, 10, 11],
    }
