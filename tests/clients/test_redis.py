"""Clients of redis-py guarded by policies, against a real Redis that is killed, paused and brought back."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis import asyncio as async_redis
from redis.cache import CacheConfig

from resilience import (
    CircuitOpenError,
    StopReason,
    circuit_breaker,
    deadline,
    hedge,
    report_of,
    retry_on_category,
    timeout,
)
from resilience.clients import inspect_client, protect, protection_of, request_options
from resilience.clients._redis_commands import READS, REPEATABLE_WRITES, method_of
from tests.redis_server import Server, executable

PATIENCE = 60
SHORT = 0.2  # seconds that a client waits for a reply of a server that is paused


@pytest.fixture(scope="module")
def process() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


@pytest.fixture
def server(process: Server) -> Server:
    if not process.is_running():  # a test that failed has left it killed
        process.start()
    process.client().flushall()
    return process


@pytest.fixture
def opened(server: Server) -> Iterator[Callable[..., redis.Redis]]:
    """Open clients of the server, which are closed at the end."""
    with contextlib.ExitStack() as stack:

        def connect(*policies: Any, **options: Any) -> redis.Redis:
            client = redis.Redis(port=server.port, **options)
            return stack.enter_context(protect(client, *policies))

        yield connect


def retrying(**options: Any) -> Any:
    return retry_on_category(**{"attempts": 3, "base_delay": 0, **options})


class Outage:
    """A pause of the server that ends when a call is retried, or by `end`."""

    def __init__(self, server: Server) -> None:
        self._stopped = server.stopped()
        self._stopped.__enter__()
        self._is_over = False

    def end(self, *_: object) -> None:
        if not self._is_over:
            self._is_over = True
            self._stopped.__exit__(None, None, None)


@pytest.fixture
def outage(server: Server) -> Iterator[Callable[[], Outage]]:
    begun: list[Outage] = []

    def begin() -> Outage:
        begun.append(Outage(server))
        return begun[-1]

    yield begin
    for each in begun:
        each.end()


# -- the client --------------------------------------------------------------------------------------------------------


def test_the_client_is_a_copy_of_the_same_class_and_the_other_one_keeps_its_retries(server: Server):
    with redis.Redis(port=server.port) as client, protect(client) as guarded:
        assert type(guarded) is redis.Redis
        assert guarded is not client
        assert client.get_retry().get_retries() == 10
        assert guarded.get_retry().get_retries() == 0
        assert protection_of(client) is None
        assert "the client's own retries, 10, are switched off on a copy" in str(protection_of(guarded))
        assert guarded.set("lamp", 7)
        assert client.get("lamp") == guarded.get("lamp") == b"7"


def test_closing_the_copy_closes_its_connections(server: Server):
    names = lambda: [each["name"] for each in server.client(text=True).client_list()]  # noqa: E731
    guarded = protect(redis.Redis(port=server.port, client_name="guarded"))
    guarded.ping()
    assert "guarded" in names()
    guarded.close()
    while "guarded" in names():  # the server has yet to see that it is closed
        pass


def test_a_client_of_its_own_connection_is_guarded_as_well(opened: Callable[..., redis.Redis]):
    guarded = opened(retrying(), single_connection_client=True)
    guarded.set("lamp", 7)
    with guarded.client() as other:
        assert protection_of(other) is protection_of(guarded)
        assert other.get("lamp") == b"7"
    assert guarded.get("lamp") == b"7"


def test_options_of_the_client_stay(opened: Callable[..., redis.Redis]):
    guarded = opened(retrying(), decode_responses=True, db=3, protocol=2, client_name="shop")
    guarded.set("lamp", "brass")
    assert guarded.get("lamp") == "brass"
    assert (guarded.client_getname(), guarded.client_info()["db"]) == ("shop", 3)


def test_a_cached_client_keeps_its_cache():
    client = redis.Redis(protocol=3, cache_config=CacheConfig())
    assert protect(client).get_cache() is client.get_cache() is not None


def test_inspection_says_that_the_client_retries_an_incr(server: Server):
    inspection = inspect_client(redis.Redis(port=server.port), attempts=3)
    assert [str(each) for each in inspection.findings] == [
        "retries: the client retries by itself: a command is sent up to 11 times, INCR as well",
        "pool: 100 connections; a further call fails",
        "retries: 3 attempts here x 11 of the client = 33 calls",
    ]


@pytest.mark.parametrize("library", [redis, async_redis], ids=["sync", "asyncio"])
def test_inspection_finds_a_missing_time_limit_and_endless_retries(library: Any):
    pool = library.BlockingConnectionPool(socket_timeout=None, retry=None, max_connections=5)
    assert [str(each) for each in inspect_client(library.Redis(connection_pool=pool)).findings] == [
        "time_limit: socket_timeout=None: no limit",
        "pool: 5 connections; a further call waits until one is free",
    ]
    module = {redis: redis.retry, async_redis: async_redis.retry}[library]
    client = library.Redis(retry=module.Retry(redis.backoff.NoBackoff(), -1))
    assert [str(each) for each in inspect_client(client).problems] == [
        "retries: the client retries by itself, without end"
    ]


def test_what_is_no_client_of_redis_has_no_adapter(server: Server):
    with redis.Redis(port=server.port) as client, pytest.raises(TypeError, match="no adapter for redis"):
        protect(client.pipeline())


# -- what is sent twice ------------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Any], Any]] = {
    "INCR": lambda client: client.incr("count"),
    "LPUSH": lambda client: client.lpush("jobs", 1),
    "EVAL": lambda client: client.eval("return redis.call('incr', KEYS[1])", 1, "count"),
    "SET NX": lambda client: client.set("lock", "me", nx=True),
    "PIPELINE": lambda client: client.pipeline(transaction=False).get("lamp").incr("count").execute(),
    "MULTI": lambda client: client.pipeline().incr("count").lpush("jobs", 1).execute(),
}
REPEATABLE: dict[str, Callable[[Any], Any]] = {
    "GET": lambda client: client.get("lamp"),
    "SET": lambda client: client.set("lamp", 7, ex=60),
    "reads": lambda client: client.pipeline().get("lamp").llen("jobs").execute(),
}


def stored(server: Server) -> list[object]:
    client = server.client()
    return [client.get("count"), client.llen("jobs"), client.get("lock")]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_that_was_sent_is_not_sent_again(
    server: Server, opened: Callable[..., redis.Redis], outage: Callable[[], Outage], change: Callable[[Any], Any]
):
    guarded = opened(retrying(), socket_timeout=SHORT)
    guarded.ping()  # it is connected
    pause = outage()
    with pytest.raises(redis.TimeoutError) as raised:
        change(guarded)
    assert report_of(raised.value).reason is StopReason.NOT_IDEMPOTENT
    pause.end()
    while stored(server) == [None, 0, None]:  # until the server has made it
        pass
    assert [each for each in stored(server) if each not in (None, 0)] in ([b"1"], [1], [b"1", 1], [b"me"])


@pytest.mark.parametrize("call", REPEATABLE.values(), ids=REPEATABLE.keys())
def test_what_changes_nothing_the_second_time_is_sent_again(
    opened: Callable[..., redis.Redis], outage: Callable[[], Outage], call: Callable[[Any], Any]
):
    pauses: list[Outage] = []
    guarded = opened(retrying(on_retry=lambda _: pauses[0].end()), socket_timeout=SHORT)
    expected = call(guarded)
    pauses.append(outage())
    assert call(guarded) == expected


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_that_was_never_sent_is_sent_when_the_server_is_back(
    server: Server, opened: Callable[..., redis.Redis], change: Callable[[Any], Any]
):
    guarded = opened(retrying(on_retry=lambda _: server.start()))
    guarded.ping()
    server.kill()
    change(guarded)
    assert [each for each in stored(server) if each not in (None, 0)] in ([b"1"], [1], [b"1", 1], [b"me"])


def test_the_caller_may_say_that_a_change_may_happen_twice(
    opened: Callable[..., redis.Redis], outage: Callable[[], Outage]
):
    pauses: list[Outage] = []
    guarded = opened(retrying(on_retry=lambda _: pauses[-1].end()), socket_timeout=SHORT)
    pauses.append(outage())
    with request_options(idempotent=True):
        guarded.hset("lamp", "price", 7)
    chosen = opened(
        retrying(on_retry=lambda _: pauses[-1].end(), idempotent=lambda call: call.command == "HSET"),
        socket_timeout=SHORT,
    )
    pauses.append(outage())
    chosen.hset("lamp", "price", 8)
    assert guarded.hget("lamp", "price") == b"8"


def test_the_caller_may_say_that_a_read_is_not_repeated(
    opened: Callable[..., redis.Redis], outage: Callable[[], Outage]
):
    guarded = opened(retrying(), socket_timeout=SHORT)
    guarded.ping()
    outage()
    with request_options(idempotent=False), pytest.raises(redis.TimeoutError) as raised:
        guarded.get("lamp")
    assert report_of(raised.value).reason is StopReason.NOT_IDEMPOTENT


def test_calls_without_policies_are_made_once(opened: Callable[..., redis.Redis], outage: Callable[[], Outage]):
    guarded = opened(retrying(), socket_timeout=SHORT)
    outage()
    with request_options(enabled=False), pytest.raises(redis.TimeoutError) as raised:
        guarded.get("lamp")
    assert report_of(raised.value) is None


@pytest.mark.parametrize(
    ("command", "method"),
    [
        (["SET", "lamp", 7], "PUT"),
        (["set", b"NX", "GET", "PX", 100, "KEEPTTL"], "PUT"),
        (["SET", "lamp", 7, "GET"], "POST"),
        (["SET", "lamp", 7, b"NX"], "POST"),
        (["SET", "lamp", 7, "IFEQ", "8"], "POST"),
        (["EXPIRE", "lamp", 60], "PUT"),
        (["EXPIRE", "lamp", 60, "GT"], "POST"),
        (["DEL", "lamp"], "POST"),
        (["SADD", "seen", 7], "POST"),
        (["CONFIG GET", "maxmemory"], "GET"),
        (["CONFIG SET", "maxmemory", 7], "POST"),
        (["ACME.INVENTED"], "POST"),
    ],
)
def test_a_command_counts_as_an_http_method_that_is_as_idempotent(command: list[object], method: str):
    assert method_of(command) == method


def test_the_reads_are_those_of_the_server(server: Server):
    """A command that is not flagged as a write by the server, for each that it knows."""
    known = server.client(text=True).command()
    flags = {name.upper(): set(each["flags"]) for name, each in known.items()}
    alone = READS - {name for name in READS if " " in name}
    assert {name for name in alone & flags.keys() if "write" in flags[name]} == set()
    assert len(alone & flags.keys()) > 70
    assert {name for name in REPEATABLE_WRITES if "write" not in flags[name]} == set()


@pytest.mark.parametrize(
    "command",
    [
        ("EXPIRE", "lamp", 60),
        ("EXPIREAT", "lamp", 4_000_000_000),
        ("HMSET", "shelf", "a", 1),
        ("MSET", "lamp", 1, "oil", 2),
        ("PEXPIRE", "lamp", 60_000),
        ("PEXPIREAT", "lamp", 4_000_000_000_000),
        ("PFMERGE", "union", "lamps"),
        ("PSETEX", "lamp", 60_000, 7),
        ("SET", "lamp", 8, "XX"),
        ("SETEX", "lamp", 60, 7),
        ("SETRANGE", "lamp", 2, "x"),
    ],
    ids=lambda command: command[0],
)
def test_a_write_that_is_repeated_has_the_same_reply_twice(server: Server, command: tuple[object, ...]):
    client = server.client()
    client.set("lamp", 7)
    client.pfadd("lamps", 1)
    assert method_of(command) == "PUT"
    assert client.execute_command(*command) == client.execute_command(*command)


def test_each_write_that_is_repeated_is_tried():
    marks = test_a_write_that_is_repeated_has_the_same_reply_twice.pytestmark
    assert {command[0] for command in marks[0].args[1]} == REPEATABLE_WRITES


# -- time limits -------------------------------------------------------------------------------------------------------


def test_a_deadline_ends_a_call_of_a_server_that_hangs(
    opened: Callable[..., redis.Redis], outage: Callable[[], Outage]
):
    guarded = opened(deadline(SHORT), retrying(), socket_timeout=None, socket_connect_timeout=None)
    threads = set(threading.enumerate())
    guarded.ping()
    outage()
    with pytest.raises(redis.TimeoutError):
        guarded.get("lamp")  # for ever, by the client's own limits
    with pytest.raises(redis.TimeoutError):
        guarded.pipeline().incr("count").execute()
    assert set(threading.enumerate()) <= threads


def test_a_time_limit_of_an_attempt_leaves_time_for_the_next(
    opened: Callable[..., redis.Redis], outage: Callable[[], Outage]
):
    pauses: list[Outage] = []
    guarded = opened(retrying(on_retry=lambda _: pauses[0].end()), timeout(SHORT), socket_timeout=None)
    guarded.set("lamp", 7)
    pauses.append(outage())
    assert guarded.get("lamp") == b"7"


def test_a_deadline_of_the_caller_holds_as_well(opened: Callable[..., redis.Redis], outage: Callable[[], Outage]):
    guarded = opened(retrying(), socket_timeout=None)
    guarded.ping()
    outage()
    with deadline(SHORT), pytest.raises(redis.TimeoutError):
        guarded.get("lamp")


def test_the_wait_for_a_connection_is_within_the_deadline(server: Server):
    pool = redis.BlockingConnectionPool(port=server.port, max_connections=1, timeout=PATIENCE)
    with protect(redis.Redis(connection_pool=pool), deadline(SHORT)) as guarded:
        assert type(guarded.connection_pool) is redis.BlockingConnectionPool
        taken = guarded.connection_pool.get_connection()
        with pytest.raises(redis.ConnectionError, match="No connection available"):
            guarded.get("lamp")
        guarded.connection_pool.release(taken)
        assert guarded.get("lamp") is None
    pool.close()


def test_a_command_that_waits_for_another_client_is_not_cut_off(server: Server, opened: Callable[..., redis.Redis]):
    """The reply could be sent already: its message would be lost."""
    guarded = opened(retrying(), timeout(0.001), socket_timeout=None)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(guarded.blpop("jobs")))
    waiting.start()
    client = server.client()
    while not client.info("clients")["blocked_clients"]:
        pass
    client.rpush("jobs", "lamp")
    waiting.join(PATIENCE)
    assert found == [(b"jobs", b"lamp")] or found == [[b"jobs", b"lamp"]]
    assert client.llen("jobs") == 0


# -- what policies raise -----------------------------------------------------------------------------------------------


def test_an_open_circuit_is_an_error_of_redis_as_well(opened: Callable[..., redis.Redis]):
    circuit = circuit_breaker("the stock in redis", reset_timeout=PATIENCE)
    guarded = opened(circuit)
    circuit.open()
    with pytest.raises(redis.ConnectionError) as raised:
        guarded.get("lamp")
    assert isinstance(raised.value, CircuitOpenError)
    assert "the stock in redis" in str(raised.value)
    assert raised.value.status_code is None


def test_an_error_of_the_server_is_the_clients_own(opened: Callable[..., redis.Redis]):
    guarded = opened(retrying())
    guarded.set("lamp", "brass")
    with pytest.raises(redis.ResponseError, match="not an integer") as raised:
        guarded.incr("lamp")
    assert len(report_of(raised.value).attempts) == 1


def test_a_hedge_is_refused(server: Server):
    with redis.Redis(port=server.port) as client, pytest.raises(TypeError, match="calls of redis.Redis are sync"):
        protect(client, hedge(0.1))


# -- pipelines, scripts, locks, subscriptions --------------------------------------------------------------------------


def test_a_pipeline_keeps_its_commands_for_the_next_attempt(server: Server, opened: Callable[..., redis.Redis]):
    guarded = opened(retrying(on_retry=lambda _: server.start()))
    script = guarded.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
    server.kill()
    with guarded.pipeline() as pipe:
        assert isinstance(pipe, redis.client.Pipeline)
        pipe.set("count", 1)
        script(["count"], [6], client=pipe)
        assert pipe.execute() == [True, 7]
        assert len(pipe) == 0


def test_a_transaction_that_watches_is_not_made_again_for_a_lost_connection(
    server: Server, opened: Callable[..., redis.Redis]
):
    guarded = opened(retrying())
    with guarded.pipeline() as pipe:
        pipe.watch("count")
        pipe.multi()
        pipe.incr("count")
        server.client().client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert stored(server)[0] is None


def test_a_transaction_is_made_again_where_a_key_has_changed(server: Server, opened: Callable[..., redis.Redis]):
    guarded, made = opened(retrying()), []

    def double(pipe: Any) -> None:
        made.append(1)
        value = int(pipe.get("count"))
        if len(made) == 1:
            server.client().set("count", 5)
        pipe.multi()
        pipe.set("count", value * 2)

    guarded.set("count", 1)
    guarded.transaction(double, "count")
    assert (guarded.get("count"), len(made)) == (b"10", 2)


def test_a_lock_works(opened: Callable[..., redis.Redis]):
    guarded = opened(retrying())
    with guarded.lock("shop", timeout=PATIENCE):
        assert not guarded.lock("shop").acquire(blocking=False)
    assert guarded.lock("shop").acquire(blocking=False)


def test_a_subscription_is_made_again_when_the_server_is_back(server: Server, opened: Callable[..., redis.Redis]):
    guarded = opened(retrying(attempts=1))
    with guarded.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("news")
        subscription.get_message(timeout=PATIENCE)
        server.kill()
        server.start()
        found = None
        while found is None:
            found = subscription.get_message(timeout=0.01)
            guarded.publish("news", "lamp")
        assert found["data"] == b"lamp"


def test_a_master_that_sentinel_names_is_guarded(server: Server, tmp_path: pathlib.Path):
    settings = tmp_path / "sentinel.conf"
    settings.write_text(f"port 0\nunixsocket {tmp_path}/s\nsentinel monitor shop 127.0.0.1 {server.port} 1\n")
    command = [executable(), settings, "--sentinel", "--dir", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sentinel:
        assert any("monitor master shop" in line for line in sentinel.stdout)
        found = redis.Sentinel([], sentinel_kwargs={})
        found.sentinels = [redis.Redis(unix_socket_path=f"{tmp_path}/s")]
        with protect(found.master_for("shop"), retrying()) as guarded:
            assert guarded.incr("count") == 1
            assert str(protection_of(guarded).target) == "redis.Redis"
        found.sentinels[0].close()
        sentinel.kill()


# -- asyncio -----------------------------------------------------------------------------------------------------------


def in_loop(server: Server, scenario: Callable[..., Any], *policies: Any, **options: Any) -> Any:
    """Run *scenario* with a protected client of asyncio."""

    async def run() -> Any:
        async with protect(async_redis.Redis(port=server.port, **options), *policies) as guarded:
            assert type(guarded) is async_redis.Redis
            return await scenario(guarded)

    return asyncio.run(asyncio.wait_for(run(), PATIENCE))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_async_a_change_that_was_sent_is_not_sent_again(
    server: Server, outage: Callable[[], Outage], change: Callable[[Any], Any]
):
    async def scenario(guarded: Any) -> None:
        await guarded.ping()
        outage()
        with pytest.raises(redis.TimeoutError) as raised:
            await change(guarded)
        assert report_of(raised.value).reason is StopReason.NOT_IDEMPOTENT

    in_loop(server, scenario, retrying(), socket_timeout=SHORT)


@pytest.mark.parametrize("call", REPEATABLE.values(), ids=REPEATABLE.keys())
def test_async_what_changes_nothing_the_second_time_is_sent_again(
    server: Server, outage: Callable[[], Outage], call: Callable[[Any], Any]
):
    pauses: list[Outage] = []

    async def scenario(guarded: Any) -> None:
        expected = await call(guarded)
        pauses.append(outage())
        assert await call(guarded) == expected

    in_loop(server, scenario, retrying(on_retry=lambda _: pauses[0].end()), socket_timeout=SHORT)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_async_a_change_that_was_never_sent_is_sent_when_the_server_is_back(
    server: Server, change: Callable[[Any], Any]
):
    async def scenario(guarded: Any) -> None:
        await guarded.ping()
        server.kill()
        (idle,) = guarded.connection_pool._available_connections
        while not idle._reader.at_eof():  # the event loop has yet to see that it was closed
            await asyncio.sleep(0)
        await change(guarded)

    in_loop(server, scenario, retrying(on_retry=lambda _: server.start()))
    assert [each for each in stored(server) if each not in (None, 0)] in ([b"1"], [1], [b"1", 1], [b"me"])


def test_async_a_deadline_ends_a_call_of_a_server_that_hangs(server: Server, outage: Callable[[], Outage]):
    async def scenario(guarded: Any) -> None:
        await guarded.set("lamp", 7)
        pause = outage()
        with pytest.raises(redis.TimeoutError):
            await guarded.get("lamp")
        pause.end()
        with request_options(deadline=PATIENCE):
            assert await guarded.get("lamp") == b"7"  # the reply that came too late was not taken for this one's

    in_loop(server, scenario, deadline(SHORT), socket_timeout=None)


def test_async_a_command_that_waits_for_another_client_is_not_cut_off(server: Server):
    async def scenario(guarded: Any) -> object:
        waiting = asyncio.ensure_future(guarded.blpop("jobs"))
        while not (await guarded.info("clients"))["blocked_clients"]:
            pass
        await guarded.rpush("jobs", "lamp")
        return await waiting

    assert in_loop(server, scenario, deadline(PATIENCE), socket_timeout=None)[1] == b"lamp"


def test_async_an_open_circuit_is_an_error_of_redis_as_well(server: Server):
    circuit = circuit_breaker("the stock in async redis", reset_timeout=PATIENCE)

    async def scenario(guarded: Any) -> None:
        circuit.open()
        with pytest.raises(redis.ConnectionError) as raised:
            await guarded.get("lamp")
        assert isinstance(raised.value, CircuitOpenError)

    in_loop(server, scenario, circuit)


def test_async_pipelines_watch_and_subscriptions_work(server: Server):
    async def scenario(guarded: Any) -> None:
        async with guarded.pipeline() as pipe:
            await pipe.watch("count")
            assert await pipe.get("count") is None
            pipe.multi()
            assert await pipe.incr("count").execute() == [1]
        async with guarded.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe("news")
            found = None
            while found is None:
                await guarded.publish("news", "lamp")
                found = await subscription.get_message(timeout=0.01)
        assert found["data"] == b"lamp"
        async with guarded.client() as other:
            assert await other.get("count") == b"1"

    in_loop(server, scenario, retrying())


def test_async_a_hedge_of_a_read_is_admitted(server: Server):
    async def scenario(guarded: Any) -> None:
        await guarded.set("lamp", 7)
        assert await guarded.get("lamp") == b"7"

    in_loop(server, scenario, hedge(PATIENCE))
