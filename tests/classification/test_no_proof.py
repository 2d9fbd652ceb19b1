"""Classes that look like a proof that nothing was sent, on the paths of their libraries where they are none."""

from __future__ import annotations

from collections.abc import Callable

import pymongo
import pymongo.errors
import pytest
import sqlalchemy
import sqlalchemy.exc
import sqlalchemy.orm

from resilience.classification._delivery import never_connected


def _failure(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        call()
    return caught.value


def test_a_server_that_is_not_found_proves_nothing_inside_with_transaction_which_repeats(closed_port: int) -> None:
    def lost(session: object) -> None:
        raise pymongo.errors.ServerSelectionTimeoutError("no server")  # the driver's own are repeated for two minutes

    with pymongo.MongoClient[dict[str, object]](
        port=closed_port, serverSelectionTimeoutMS=50, heartbeatFrequencyMS=60_000
    ) as client:
        alone = _failure(lambda: client.shop.orders.insert_one({}))
        with client.start_session() as session:
            inside = _failure(lambda: session.with_transaction(lost))
    for error in (alone, inside):
        assert type(error) is pymongo.errors.ServerSelectionTimeoutError
    assert never_connected(alone)
    assert not never_connected(inside)


class _Base(sqlalchemy.orm.DeclarativeBase):
    pass


class _Order(_Base):
    __tablename__ = "orders"
    id: sqlalchemy.orm.Mapped[int] = sqlalchemy.orm.mapped_column(primary_key=True)


class _Stock(_Base):
    __tablename__ = "stock"
    id: sqlalchemy.orm.Mapped[int] = sqlalchemy.orm.mapped_column(primary_key=True)


def _engine() -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=sqlalchemy.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    _Base.metadata.create_all(engine)
    return engine


def test_an_empty_pool_proves_nothing_where_the_session_has_written_to_another_database() -> None:
    orders, stock = _engine(), _engine()
    with stock.connect(), sqlalchemy.orm.Session(binds={_Order: orders, _Stock: stock}) as session:
        session.add_all([_Order(id=1), _Stock(id=1)])
        second = _failure(session.commit)
    with stock.connect(), sqlalchemy.orm.Session(binds={_Order: orders, _Stock: stock}) as session:
        session.add(_Stock(id=1))
        first = _failure(session.commit)
    for error in (first, second):
        assert type(error) is sqlalchemy.exc.TimeoutError
    assert never_connected(first)
    assert not never_connected(second)
    orders.dispose()
    stock.dispose()


def test_a_broker_that_refuses_the_first_frame_of_stomp_has_read_it(talker: Callable[..., int]) -> None:
    stomp = pytest.importorskip("stomp")
    port = talker(b"", b"ERROR\nmessage:refused\n\n\x00")
    connection = stomp.Connection([("127.0.0.1", port)], reconnect_attempts_max=1)
    error = _failure(lambda: connection.connect("user", "secret", wait=True))
    assert type(error) is stomp.exception.ConnectFailedException
    assert not never_connected(error)


def test_a_refused_connection_of_paramiko_was_never_made(closed_port: int) -> None:
    paramiko = pytest.importorskip("paramiko")
    error = _failure(lambda: paramiko.SSHClient().connect("127.0.0.1", port=closed_port))
    assert type(error) is paramiko.ssh_exception.NoValidConnectionsError
    assert never_connected(error)
