"""Proofs that no connection was made: real refusals, real resets, and errors that only look like either."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import cast

import aiohttp
import anthropic
import anyio
import httpx
import httpx2
import openai
import psycopg
import pymongo
import pymysql
import pytest
import redis
import redis.asyncio
import requests
import sqlalchemy.exc
import urllib3
from botocore.config import Config
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

from resilience.classification._delivery import never_connected
from resilience.classification.libraries import known_libraries, library_named
from tests.classification import test_real_http, test_real_services
from tests.classification.peers import PATIENCE, Peer
from tests.classification.test_hostile import _hostile

HTTP = test_real_http.CLIENTS
SERVICES = test_real_services.CLIENTS
_GONE = "http://127.0.0.1:{}/"


def _failure(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, is the question
        call()
    return caught.value


def _named(function: Callable[..., object]) -> str:
    return function.__name__.strip("_")


# -- real failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("get", HTTP, ids=_named)
def test_a_refused_connection_was_never_made(get: Callable[[str], object], closed_port: int) -> None:
    assert never_connected(_failure(lambda: get(_GONE.format(closed_port))))


@pytest.mark.parametrize("get", HTTP, ids=_named)
def test_an_unresolved_name_proves_that_no_connection_was_made(get: Callable[[str], object]) -> None:
    assert never_connected(_failure(lambda: get("http://nothing.invalid/")))


@pytest.mark.parametrize("get", HTTP, ids=_named)
def test_an_untrusted_certificate_ends_a_connection_before_a_request(
    get: Callable[[str], object], untrusted_peer: Peer
) -> None:
    assert never_connected(_failure(lambda: get(f"https://localhost:{untrusted_peer.port}/200")))


@pytest.mark.parametrize("get", HTTP, ids=_named)
@pytest.mark.parametrize("how", ["reset", "cut", "silent", "hang"])
def test_a_request_that_was_sent_had_a_connection(get: Callable[[str], object], how: str, peer: Peer) -> None:
    assert not never_connected(_failure(lambda: get(f"http://127.0.0.1:{peer.port}/{how}")))


@pytest.mark.parametrize("get", HTTP, ids=_named)
def test_a_peer_that_hangs_up_had_been_connected_to(get: Callable[[str], object], talker: Callable[..., int]) -> None:
    assert not never_connected(_failure(lambda: get(_GONE.format(talker(b"", b"")))))


@pytest.mark.parametrize("get", test_real_http.WITH_STATUS, ids=_named)
@pytest.mark.parametrize("status", [429, 503, 500])
def test_an_answer_comes_over_a_connection(get: Callable[[str], object], status: int, peer: Peer) -> None:
    error = _failure(lambda: get(f"http://127.0.0.1:{peer.port}/{status}"))
    assert not never_connected(error)
    if isinstance(error, urllib.error.HTTPError):
        error.close()


# smtplib says so as well: its connect() is that of the socket.
@pytest.mark.parametrize("call", SERVICES, ids=_named)
def test_a_service_that_refuses_was_never_connected_to(call: Callable[[int], object], closed_port: int) -> None:
    assert never_connected(_failure(lambda: call(closed_port)))


@pytest.mark.parametrize("client", [redis.Redis, redis.asyncio.Redis], ids=["sync", "async"])
@pytest.mark.parametrize("last", [b"", b"+"])
def test_a_redis_that_hangs_up_had_been_connected_to(client: type, last: bytes, talker: Callable[..., int]) -> None:
    port = talker(b"", last)
    call = test_real_services._redis if client is redis.Redis else test_real_services._redis_async
    assert not never_connected(_failure(lambda: call(port)))


@pytest.mark.parametrize(
    "call", [test_real_services._openai, test_real_services._anthropic, test_real_services._s3], ids=_named
)
def test_a_model_or_a_store_that_hangs_up_had_been_connected_to(
    call: Callable[[int], object], talker: Callable[..., int]
) -> None:
    assert not never_connected(_failure(lambda: call(talker(b"", b""))))


@pytest.mark.parametrize("call", [test_real_services._openai, test_real_services._anthropic], ids=_named)
def test_a_model_that_does_not_answer_had_been_connected_to(call: Callable[..., object], peer: Peer) -> None:
    assert not never_connected(_failure(lambda: call(peer.port, "/silent")))


def test_a_database_that_goes_away_had_been_connected_to(talker: Callable[..., int]) -> None:
    assert not never_connected(pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query"))
    assert not never_connected(pymysql.err.OperationalError(2006, "MySQL server has gone away"))
    assert not never_connected(_failure(lambda: test_real_services._pymysql(talker(b""))))
    assert not never_connected(psycopg.OperationalError("the connection is lost"))
    assert not never_connected(psycopg.errors.AdminShutdown("terminating connection"))
    assert not never_connected(pymongo.errors.AutoReconnect("connection closed"))
    lost = pymysql.err.OperationalError(2013, "Lost connection")
    assert not never_connected(sqlalchemy.exc.OperationalError("INSERT", {}, lost))


def test_no_free_connection_in_a_pool_is_no_connection() -> None:
    with urllib3.HTTPConnectionPool("127.0.0.1", 1, maxsize=1, block=True, retries=False) as pool:
        held = pool._get_conn()
        assert never_connected(_failure(lambda: pool.request("GET", "/", pool_timeout=0.01)))
        pool._put_conn(held)
    assert never_connected(httpx.PoolTimeout(""))
    assert never_connected(redis.MaxConnectionsError())
    assert never_connected(sqlalchemy.exc.TimeoutError())


@pytest.mark.parametrize("kind", [httpx.ConnectTimeout, httpx2.ConnectTimeout, aiohttp.ConnectionTimeoutError])
def test_a_time_out_while_connecting_is_no_connection(kind: Callable[[str], Exception]) -> None:
    assert never_connected(kind("connect timeout"))


def test_other_time_outs_prove_nothing() -> None:
    for error in (
        TimeoutError(), OSError(errno.ETIMEDOUT, "timed out"), httpx.ReadTimeout(""), httpx.WriteTimeout(""),
        aiohttp.SocketTimeoutError(), aiohttp.ServerTimeoutError(), requests.ReadTimeout(), redis.TimeoutError(),
        requests.Timeout(),
    ):  # fmt: skip
        assert not never_connected(error), error


@pytest.mark.skipif(not hasattr(anyio, "as_connectable"), reason="the exception came later than the lowest anyio")
def test_anyio_says_when_a_connection_failed(closed_port: int) -> None:
    connect = anyio.as_connectable(("127.0.0.1", closed_port)).connect
    assert never_connected(_failure(lambda: anyio.run(connect)))


# -- builtins --------------------------------------------------------------------------------------------------------


def test_of_pythons_own_errors_only_refusals_and_unknown_names_are_sure() -> None:
    for sure in (
        ConnectionRefusedError(), OSError(errno.ECONNREFUSED, "refused"), socket.gaierror(), socket.herror(),
        ssl.SSLCertVerificationError(),
    ):  # fmt: skip
        assert never_connected(sure), sure
    for unsure in (
        ConnectionResetError(), BrokenPipeError(), ConnectionAbortedError(), ConnectionError(), OSError(),
        OSError(errno.EHOSTUNREACH, ""), OSError(errno.ENETUNREACH, ""), ssl.SSLError(), ssl.SSLEOFError(),
        FileNotFoundError(), ValueError(), KeyboardInterrupt(), Exception(ConnectionRefusedError()),
    ):  # fmt: skip
        assert not never_connected(unsure), unsure


def test_a_group_was_never_connected_where_every_member_was_not() -> None:
    refused, reset = ConnectionRefusedError(), ConnectionResetError()
    assert never_connected(ExceptionGroup("both", [refused, ExceptionGroup("in", [httpx.ConnectTimeout("")])]))
    assert not never_connected(ExceptionGroup("both", [refused, reset]))


# -- what surrounds an error proves nothing --------------------------------------------------------------------------


class _ApplicationError(Exception):
    pass


def test_an_error_of_the_application_is_not_taken_for_its_cause() -> None:
    error = _ApplicationError()
    error.__cause__ = error.__context__ = ConnectionRefusedError()
    assert not never_connected(error)


def test_an_exception_the_caller_was_handling_does_not_classify_a_later_failure(
    closed_port: int, talker: Callable[..., int]
) -> None:
    def fails() -> None:
        try:
            socket.create_connection(("127.0.0.1", closed_port))
        except OSError:
            test_real_services._redis(talker(b"", b""))

    error = _failure(fails)
    chain = [error]
    while chain[-1].__context__ is not None:
        chain.append(cast("Exception", chain[-1].__context__))
    assert isinstance(chain[-1], ConnectionRefusedError)
    assert not never_connected(error)


def test_a_refusal_without_a_traceback_is_not_followed_where_only_the_traceback_tells(closed_port: int) -> None:
    error = _failure(lambda: test_real_services._redis(closed_port))
    assert never_connected(error)
    assert not never_connected(error.with_traceback(None))


# -- what the client sent before -------------------------------------------------------------------------------------


@pytest.fixture
def moving(closed_port: int) -> Iterator[str]:
    """A server that answers a POST with a redirect to an address where no server listens."""
    server = Peer()
    server.answers["moved"] = (303, {"location": _GONE.format(closed_port)}, b"")
    server.answers["200"] = (200, {}, b"")
    yield f"http://127.0.0.1:{server.port}/moved"
    server.close()


def _post_httpx(url: str) -> object:
    return httpx.post(url, follow_redirects=True, trust_env=False)


async def _post_httpx_async(url: str) -> object:
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
        return await client.post(url)


def _post_httpx2(url: str) -> object:
    return httpx2.post(url, follow_redirects=True, trust_env=False)


def _post_requests(url: str) -> object:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url)


def _post_urllib3(url: str) -> object:
    with urllib3.PoolManager() as pool:
        return pool.request("POST", url)


def _post_urllib(url: str) -> object:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, data=b"x", timeout=PATIENCE)


async def _post_aiohttp(url: str) -> object:
    async with aiohttp.ClientSession() as session, session.post(url) as response:
        return response


POSTS: list[Callable[[str], object]] = [
    _post_httpx, _post_httpx_async, _post_httpx2, _post_requests, _post_urllib3, _post_urllib, _post_aiohttp,
]  # fmt: skip


@pytest.mark.parametrize("post", POSTS, ids=_named)
def test_what_was_answered_with_a_redirect_had_arrived(
    post: Callable[[str], object], moving: str, closed_port: int
) -> None:
    def call(url: str) -> object:
        done = post(url)
        return asyncio.run(done) if asyncio.iscoroutine(done) else done

    assert never_connected(_failure(lambda: call(_GONE.format(closed_port))))
    assert not never_connected(_failure(lambda: call(moving)))


def test_urllib3_tells_how_its_earlier_tries_went(
    closed_port: int, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with urllib3.PoolManager(retries=urllib3.Retry(2, backoff_factor=0)) as pool:
        assert never_connected(_failure(lambda: pool.request("POST", _GONE.format(closed_port))))

    again = urllib3.Retry(1, status_forcelist=[500], allowed_methods=None)
    with urllib3.HTTPConnectionPool("127.0.0.1", peer.port, retries=again) as pool:
        connections = iter([pool._new_conn(), pool.ConnectionCls("127.0.0.1", closed_port)])
        monkeypatch.setattr(pool, "_get_conn", lambda timeout: next(connections))
        error = _failure(lambda: pool.request("POST", "/500"))
    assert isinstance(error, urllib3.exceptions.MaxRetryError)
    assert isinstance(error.reason, urllib3.exceptions.NewConnectionError)
    assert not never_connected(error)


@pytest.mark.parametrize("make", [openai.OpenAI, anthropic.Anthropic])
def test_a_client_that_has_tried_again_by_itself_proves_nothing(
    make: Callable[..., openai.OpenAI], closed_port: int
) -> None:
    with make(api_key="x", base_url=f"http://127.0.0.1:{closed_port}", max_retries=1) as client:
        assert not never_connected(_failure(client.models.list))
        assert never_connected(_failure(client.with_options(max_retries=0).models.list))


def test_a_redis_client_that_has_tried_again_by_itself_proves_nothing(closed_port: int) -> None:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with redis.Redis(port=closed_port, retry=Retry(NoBackoff(), 1)) as client:
        assert not never_connected(_failure(lambda: client.get("x")))
    with redis.Redis(port=closed_port, retry=Retry(NoBackoff(), 0)) as client:
        assert never_connected(_failure(lambda: client.get("x")))


def test_an_aws_client_that_has_tried_again_by_itself_proves_nothing(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    session = Session()
    session.set_credentials("key", "secret")
    again = Config(retries={"max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})
    url = f"http://127.0.0.1:{closed_port}"
    client = session.create_client("s3", region_name="eu-central-1", endpoint_url=url, config=again)
    assert not never_connected(_failure(client.list_buckets))
    client.close()


# -- the table, and hostile exceptions ---------------------------------------------------------------------------------


WITH_PROOF = [library for library in known_libraries() if library_named(library).never_sent]
# Modules that have to be imported for their library's exceptions to be there.
_HOMES = {"botocore": "botocore.exceptions", "sqlalchemy": "sqlalchemy.connectors.asyncio", "urllib": "urllib.error"}


@pytest.mark.parametrize("library", WITH_PROOF)
def test_every_class_of_the_table_is_one_of_the_library(library: str) -> None:
    pytest.importorskip(_HOMES.get(library, library))
    if library == "anyio" and not hasattr(anyio, "ConnectionFailed"):
        pytest.skip("the exception came later than the lowest anyio")
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == library]
    there = {
        kind.__qualname__
        for module in modules
        for kind in list(vars(module).values())
        if issubclass(type(kind), type) and issubclass(kind, Exception) and kind.__module__.startswith(library)
    }
    assert not set(library_named(library).never_sent) - there


@pytest.mark.parametrize("library", WITH_PROOF)
def test_every_row_answers_for_a_bare_exception_without_failing(library: str) -> None:
    for name, row in library_named(library).never_sent.items():
        kind = type(name, (Exception,), {"__module__": library, "__qualname__": name})
        # Two rows are no proof only where something on the exception or its traceback says so.
        narrowed = f"{library}.{name}" in ("pymongo.ServerSelectionTimeoutError", "sqlalchemy.TimeoutError")
        assert never_connected(kind()) is (row is True or narrowed), name


@settings(max_examples=300, deadline=None)
@given(_hostile())
def test_a_hostile_exception_gets_an_answer(exc: BaseException) -> None:
    assert never_connected(exc) in {True, False}


@settings(max_examples=50, deadline=None)
@given(st.lists(_hostile().filter(lambda exc: isinstance(exc, Exception)), min_size=1, max_size=4))
def test_a_group_of_hostile_exceptions_gets_an_answer(members: list[Exception]) -> None:
    assert never_connected(ExceptionGroup("all", members)) in {True, False}


class _EveryLookupRaises(Exception):
    def __getattribute__(self, name: str) -> object:
        raise OSError(name)


def test_an_exception_that_cannot_be_looked_at_proves_nothing() -> None:
    assert not never_connected(_EveryLookupRaises())
    assert not never_connected(cast("BaseException", 5))


def test_a_wrapper_around_itself_ends() -> None:
    error = urllib3.exceptions.MaxRetryError(cast("urllib3.HTTPConnectionPool", None), "/")
    error.reason = error
    assert not never_connected(error)
