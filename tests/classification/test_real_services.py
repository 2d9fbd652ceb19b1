"""Real failures of the clients of databases, queues, mail and models, over the loopback."""

from __future__ import annotations

import asyncio
import json
import smtplib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import anthropic
import asyncpg
import botocore.session
import grpc
import openai
import psycopg
import pydantic
import pymongo
import pymongo.errors
import pymysql
import pytest
import redis
import redis.asyncio
import sqlalchemy
from botocore.config import Config

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain, retry_after
from tests.classification.peers import PATIENCE, Peer

C = ErrorCategory
Call = Callable[[int], object]


def _failure(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        call()
    return caught.value


def _check(exc: Exception, category: ErrorCategory) -> None:
    assert classify(exc) is category, (type(exc), exc, explain(exc))
    assert explain(exc).category is category


def _redis(port: int) -> object:
    with redis.Redis(port=port, socket_timeout=PATIENCE, retry=None) as client:
        return client.get("x")


def _redis_async(port: int) -> object:
    async def get() -> object:
        async with redis.asyncio.Redis(port=port, socket_timeout=PATIENCE, retry=None) as client:
            return await client.get("x")

    return asyncio.run(get())


def _psycopg(port: int) -> object:
    return psycopg.connect(f"host=127.0.0.1 port={port} user=x dbname=x sslmode=disable connect_timeout=2")


def _asyncpg(port: int) -> object:
    return asyncio.run(asyncpg.connect(host="127.0.0.1", port=port, user="x", database="x", ssl=False, timeout=2))


def _pymysql(port: int) -> object:
    return pymysql.connect(host="127.0.0.1", port=port, user="x", connect_timeout=2, read_timeout=2)


def _pymongo(port: int) -> object:
    with pymongo.MongoClient[dict[str, object]](
        "127.0.0.1", port, serverSelectionTimeoutMS=50, connectTimeoutMS=50, retryReads=False
    ) as client:
        return client.admin.command("ping")


def _sqlalchemy_psycopg(port: int) -> object:
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://x@127.0.0.1:{port}/x?sslmode=disable&connect_timeout=2")
    return engine.connect()


def _sqlalchemy_pymysql(port: int) -> object:
    return sqlalchemy.create_engine(f"mysql+pymysql://x@127.0.0.1:{port}/x?connect_timeout=2").connect()


def _s3(port: int) -> object:
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    client = session.create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=Config(
            retries={"max_attempts": 0}, read_timeout=PATIENCE, connect_timeout=PATIENCE,
            proxies={}, s3={"addressing_style": "path"},
        ),
    )  # fmt: skip
    try:
        return client.list_buckets()
    finally:
        client.close()


def _patience(path: str) -> float:
    """Return the seconds a client waits: long for a status, which a peer on a busy machine may take its time for."""
    return 30 if path[1:].isdecimal() else PATIENCE


def _openai(port: int, path: str = "/v1") -> object:
    with openai.OpenAI(
        api_key="x", base_url=f"http://127.0.0.1:{port}{path}", max_retries=0, timeout=_patience(path)
    ) as client:
        return client.models.list()


def _anthropic(port: int, path: str = "") -> object:
    with anthropic.Anthropic(
        api_key="x", base_url=f"http://127.0.0.1:{port}{path}", max_retries=0, timeout=_patience(path)
    ) as client:
        return client.models.list()


def _smtp(port: int) -> object:
    with smtplib.SMTP("127.0.0.1", port, timeout=1) as client:
        return client.sendmail("a@example.com", ["b@example.com"], "text")


CLIENTS: list[Call] = [
    _redis, _redis_async, _psycopg, _asyncpg, _pymysql, _pymongo, _sqlalchemy_psycopg, _sqlalchemy_pymysql, _s3,
    _openai, _anthropic, _smtp,
]  # fmt: skip
_each = pytest.mark.parametrize("call", CLIENTS, ids=lambda call: call.__name__.strip("_"))


@_each
def test_a_refused_connection_is_a_network_error(call: Call, closed_port: int) -> None:
    _check(_failure(lambda: call(closed_port)), C.NETWORK)


@_each
def test_a_peer_that_hangs_up_is_a_network_error(call: Call, talker: Callable[..., int]) -> None:
    port = talker(b"")
    _check(_failure(lambda: call(port)), C.NETWORK)


@pytest.mark.parametrize("call", [_s3, _openai, _anthropic], ids=lambda call: call.__name__.strip("_"))
def test_a_server_that_does_not_answer_is_a_timeout(call: Call, talker: Callable[..., int], peer: Peer) -> None:
    if call is _s3:
        port = _silent(talker)
        _check(_failure(lambda: call(port)), C.TIMEOUT)
    else:
        _check(_failure(lambda: call(peer.port, "/silent")), C.TIMEOUT)  # type: ignore[call-arg]


def _silent(talker: Callable[..., int]) -> int:
    # Says nothing, and reads twice: the second time there is nothing to read until the client leaves.
    return talker(b"", b"", b"")


def test_a_silent_redis_is_a_timeout(talker: Callable[..., int]) -> None:
    _check(_failure(lambda: _redis(_silent(talker))), C.TIMEOUT)


@pytest.mark.parametrize(
    ("reply", "category"),
    [
        (b"-LOADING Redis is loading the dataset in memory", C.UNAVAILABLE),
        (b"-READONLY You can't write against a read only replica.", C.UNAVAILABLE),
        (b"-NOPERM this user has no permissions", C.AUTHORIZATION),
        (b"-NOAUTH Authentication required.", C.AUTHENTICATION),
        (b"-OOM command not allowed when used memory > 'maxmemory'.", C.CAPACITY),
        (b"-WRONGTYPE Operation against a key holding the wrong kind of value", C.VALIDATION),
        (b"-CLUSTERDOWN Hash slot not served", C.UNAVAILABLE),
    ],
)
def test_what_redis_answers_is_understood(reply: bytes, category: ErrorCategory, talker: Callable[..., int]) -> None:
    port = talker(b"", *[reply + b"\r\n"] * 4)

    def get() -> object:
        with redis.Redis(port=port, socket_timeout=1, retry=None, protocol=2, driver_info=None) as client:
            return client.get("x")

    _check(_failure(get), category)


@pytest.mark.parametrize("call", [_openai, _anthropic], ids=lambda call: call.__name__.strip("_"))
@pytest.mark.parametrize(
    ("status", "category", "hint"),
    [(401, C.AUTHENTICATION, None), (404, C.NOT_FOUND, None), (429, C.RATE_LIMIT, 1.5), (503, C.UNAVAILABLE, 3.0),
     (529, C.UNAVAILABLE, None), (500, C.SERVER_ERROR, None)],
)  # fmt: skip
def test_the_status_of_a_model_server_is_understood(
    call: Callable[[int, str], object], status: int, category: ErrorCategory, hint: float | None, peer: Peer
) -> None:
    exc = _failure(lambda: call(peer.port, f"/{status}"))
    _check(exc, category)
    assert retry_after(exc) == hint


def test_a_used_up_quota_is_no_rate_limit(peer: Peer) -> None:
    body = {"error": {"message": "secret", "type": "insufficient_quota", "code": "insufficient_quota"}}
    peer.answers["quota"] = (429, {"content-type": "application/json"}, json.dumps(body).encode())
    exc = _failure(lambda: _openai(peer.port, "/quota"))
    assert isinstance(exc, openai.RateLimitError)
    _check(exc, C.CAPACITY)


def test_an_overload_in_the_middle_of_a_stream_is_unavailable(peer: Peer) -> None:
    events = (
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    )
    peer.answers["stream"] = (200, {"content-type": "text/event-stream"}, events)

    def stream() -> object:
        with anthropic.Anthropic(
            api_key="x", base_url=f"http://127.0.0.1:{peer.port}/stream", max_retries=0, timeout=2
        ) as client:
            message = client.messages.create(
                model="any", max_tokens=1, messages=[{"role": "user", "content": "x"}], stream=True
            )
            return list(message)

    _check(_failure(stream), C.UNAVAILABLE)


@pytest.mark.parametrize(
    ("lines", "category"),
    [
        ((b"421 busy\r\n",), C.UNAVAILABLE),
        ((b"554 no\r\n",), C.VALIDATION),
        ((b"220 x\r\n", b"250 x\r\n", b"250 ok\r\n", b"550 nobody\r\n", b"250 ok\r\n", b"221 bye\r\n"), C.NOT_FOUND),
        ((b"220 x\r\n", b"250 x\r\n", b"250 ok\r\n", b"450 later\r\n", b"250 ok\r\n", b"221 bye\r\n"), C.UNAVAILABLE),
        ((b"220 x\r\n", b"250 x\r\n", b"530 login\r\n", b"250 ok\r\n", b"221 bye\r\n"), C.AUTHENTICATION),
        ((b"220 x\r\n", b"250 x\r\n", b"250 ok\r\n", b"250 ok\r\n", b"552 full\r\n", b"221 bye\r\n"), C.CAPACITY),
    ],
)
def test_what_a_mail_server_replies_is_understood(
    lines: tuple[bytes, ...], category: ErrorCategory, talker: Callable[..., int]
) -> None:
    _check(_failure(lambda: _smtp(talker(*lines))), category)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A gRPC server that aborts every call with the status that is asked for."""

    def abort(request: bytes, context: grpc.ServicerContext) -> bytes:
        if request == b"pushback":
            context.set_trailing_metadata((("grpc-retry-pushback-ms", "2500"),))
            request = b"UNAVAILABLE"
        context.abort(grpc.StatusCode[request.decode()], "secret")
        return b""

    handlers = {"Abort": grpc.unary_unary_rpc_method_handler(abort)}
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(5)


def _abort(where: str, status: bytes) -> Exception:
    with grpc.insecure_channel(where, options=[("grpc.enable_http_proxy", 0)]) as channel:
        return _failure(lambda: channel.unary_unary("/test.Service/Abort")(status, timeout=5))


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (b"UNAVAILABLE", C.UNAVAILABLE),
        (b"DEADLINE_EXCEEDED", C.TIMEOUT),
        (b"RESOURCE_EXHAUSTED", C.RATE_LIMIT),
        (b"UNAUTHENTICATED", C.AUTHENTICATION),
        (b"NOT_FOUND", C.NOT_FOUND),
        (b"UNKNOWN", C.UNKNOWN),
    ],
)
def test_the_status_of_a_grpc_server_is_understood(status: bytes, category: ErrorCategory, service: str) -> None:
    _check(_abort(service, status), category)


def test_the_pushback_of_a_grpc_server_is_read(service: str) -> None:
    assert retry_after(_abort(service, b"pushback")) == 2.5


def test_a_grpc_server_that_is_not_there_is_unavailable(closed_port: int) -> None:
    _check(_abort(f"127.0.0.1:{closed_port}", b""), C.UNAVAILABLE)


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        ((503, {}, b"<Error><Code>SlowDown</Code></Error>"), C.UNAVAILABLE),
        ((403, {}, b"<Error><Code>AccessDenied</Code></Error>"), C.AUTHORIZATION),
        ((400, {}, b"<Error><Code>ExpiredToken</Code></Error>"), C.AUTHENTICATION),
        ((500, {}, b"<Error><Code>SomethingNew</Code></Error>"), C.SERVER_ERROR),
    ],
)
def test_what_aws_answers_is_understood(
    answer: tuple[int, dict[str, str], bytes], category: ErrorCategory, peer: Peer
) -> None:
    peer.answers["?x-id=ListBuckets"] = peer.answers[""] = answer
    _check(_failure(lambda: _s3(peer.port)), category)


def test_messages_of_sqlite_are_classified_with_and_without_sqlalchemy(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    with sqlite3.connect(path) as holder:
        holder.execute("create table t (x integer primary key)")
        holder.execute("insert into t values (1)")
        holder.commit()
        with engine.connect() as connection:
            insert = sqlalchemy.text("insert into t values (1)")
            _check(_failure(lambda: connection.execute(insert)), C.CONFLICT)
            connection.rollback()
            holder.execute("begin exclusive")
            _check(busy := _failure(lambda: connection.execute(insert)), C.UNAVAILABLE)
            assert explain(busy.orig).reason == "sqlite3.OperationalError: database is locked (SQLITE_BUSY)"  # type: ignore[attr-defined]
            holder.rollback()
            nowhere = sqlalchemy.text("select * from nowhere")
            _check(_failure(lambda: connection.execute(nowhere)), C.INTERNAL)
    holder.close()
    engine.dispose()


def test_an_empty_pool_of_sqlalchemy_is_a_timeout() -> None:
    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=sqlalchemy.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    with engine.connect():
        _check(_failure(engine.connect), C.TIMEOUT)
    engine.dispose()


def test_a_lost_connection_is_a_network_error_whatever_the_driver_calls_it() -> None:
    lost = sqlalchemy.exc.OperationalError("secret", None, Exception("secret"), connection_invalidated=True)
    _check(lost, C.NETWORK)
    _check(sqlalchemy.exc.OperationalError("secret", None, Exception("secret")), C.DEPENDENCY)


def test_a_deadlock_is_unavailable_in_every_database() -> None:
    _check(psycopg.errors.DeadlockDetected(), C.UNAVAILABLE)
    _check(asyncpg.exceptions.DeadlockDetectedError(), C.UNAVAILABLE)
    _check(pymysql.err.OperationalError(1213, "secret"), C.UNAVAILABLE)
    _check(pymongo.errors.OperationFailure("secret", 112), C.UNAVAILABLE)
    wrapped = sqlalchemy.exc.OperationalError("secret", None, pymysql.err.OperationalError(1213, "secret"))
    _check(wrapped, C.UNAVAILABLE)


def test_a_mail_server_that_agrees_has_not_failed() -> None:
    _check(smtplib.SMTPResponseException(250, "fine"), C.UNKNOWN)
    _check(smtplib.SMTPResponseException(-1, "gone"), C.NETWORK)
    refused = {"a@example.com": (450, b"later"), "b@example.com": (550, b"nobody")}
    _check(smtplib.SMTPRecipientsRefused(refused), C.NOT_FOUND)


def test_a_mongodb_code_is_no_http_status() -> None:
    _check(pymongo.errors.OperationFailure("secret", 429), C.DEPENDENCY)
    _check(pymongo.errors.DuplicateKeyError("secret", 11000), C.CONFLICT)
    labelled = pymongo.errors.OperationFailure("secret", 1, {"errorLabels": ["TransientTransactionError"]})
    _check(labelled, C.UNAVAILABLE)


def test_what_pydantic_refuses_is_validation() -> None:
    class Order(pydantic.BaseModel):
        amount: int

    _check(_failure(lambda: Order.model_validate({"amount": "many"})), C.VALIDATION)


def test_threads_that_classify_at_once_agree() -> None:
    kinds = [type(f"Kind{number}", (TimeoutError,), {}) for number in range(200)]
    answers: list[ErrorCategory] = []
    threads = [threading.Thread(target=lambda: answers.extend(classify(kind()) for kind in kinds)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [C.TIMEOUT] * 800
