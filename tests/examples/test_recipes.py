"""The recipes, each with the real library or framework against a service that fails once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import httpx
import pytest

from resilience import Pipeline, retry_on_category
from resilience.testing import no_waits
from tests.examples.recipe_server import Services, services
from tests.kafka_cluster import Cluster, cluster
from tests.redis_server import Server as RedisServer

pytest.importorskip("langgraph")  # it comes with the libraries of all recipes

ROOT = pathlib.Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "recipes"
PATIENCE = 60
FOUND = ("brass lamp", "oil lamp")

pytestmark = pytest.mark.slow  # servers and workers of their own


@pytest.fixture
def service() -> Iterator[Services]:
    with services() as running, no_waits():
        yield running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with contextlib.closing(RedisServer()) as server:
        yield server


def recipe(name: str) -> Any:
    return importlib.import_module(f"examples.recipes.{name}")


def test_httpx(service: Services):
    module = recipe("httpx_client")

    async def scenario() -> tuple[object, object]:
        async with module.open_client(service.url) as client:
            return await module.search(client, "lamp"), await module.order(client, "key-1", "lamp")

    assert asyncio.run(scenario()) == (FOUND, "order-1")
    assert service.asked == {"/search": 2, "/orders": 2}


def test_requests(service: Services):
    assert recipe("requests_session").search(service.url, "lamp") == FOUND
    assert service.asked["/search"] == 2


def test_aiohttp(service: Services):
    module = recipe("aiohttp_session")

    async def scenario() -> object:
        async with module.open_session(service.url) as session:
            return await module.search(session, "lamp")

    assert asyncio.run(scenario()) == FOUND
    assert service.asked["/search"] == 2


def test_sqlalchemy():
    import sqlalchemy

    from tests.bank import TOTAL, balances, set_up
    from tests.postgres_server import Server

    with contextlib.closing(Server()) as server:
        set_up(server)
        engine = sqlalchemy.create_engine(server.url("psycopg"))
        pay = recipe("sqlalchemy_transaction").transfers(engine)
        with futures.ThreadPoolExecutor() as threads:  # they conflict: each reads what the other one writes
            paid = [threads.submit(pay, 1, 2, 1) for _ in range(20)]
            assert {done.result(PATIENCE) for done in paid} == {"paid"}
        assert balances(server) == [TOTAL - 20, 20]
        engine.dispose()


def test_redis_as_the_store_of_stale_answers(service: Services, redis: RedisServer):
    module = recipe("redis_stale")
    stale = module.Stale(f"redis://127.0.0.1:{redis.port}/0")
    with httpx.Client(base_url=service.url) as client:
        prices = module.Prices(client, stale)
        assert prices.of("lamp") == 7
        service.down = True
        stored = threading.Event()
        while stale.get("price:lamp") is None:  # it is stored beside the call
            stored.wait(0.01)
        assert prices.of("lamp") == 7  # the last one that is known
        redis.kill()
        with pytest.raises(httpx.HTTPStatusError):
            prices.of("lamp")
        redis.start()
    stale._redis.close()


def test_redis(redis: RedisServer):
    module = recipe("redis_client")
    url = f"redis://127.0.0.1:{redis.port}/0"
    with no_waits(), module.open_client(url) as client:
        client.hset("pages", "lamp", "a brass lamp")
        assert module.cached_page(client, "lamp") == "a brass lamp"
        assert [module.count_order(client, f"order-{number}") for number in range(3)] == [1, 2, 3]
        redis.kill()
        assert module.cached_page(client, "lamp") is None
        redis.start()
        assert module.count_order(client, "order-3") == 1  # on another connection


@contextlib.contextmanager
def program(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    given = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", *command],
        cwd=ROOT,
        env=given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait(PATIENCE)


def test_fastapi(service: Services, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALOGUE", service.url)
    module = recipe("fastapi_service")

    async def scenario() -> None:
        async with module.app.router.lifespan_context(module.app):
            transport = httpx.ASGITransport(app=module.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                assert (await client.get("/search?q=lamp")).json() == list(FOUND)
                service.down = True
                answers = [await client.get("/search?q=lamp") for _ in range(3)]
                assert {answer.status_code for answer in answers} == {503}
                assert int(answers[-1].headers["retry-after"]) > 0
                health = await client.get("/health")
                assert (health.status_code, health.json()["circuits"]["catalogue of fastapi"]) == (200, "open")

    asyncio.run(scenario())


def test_flask(service: Services, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALOGUE", service.url)
    module = recipe("flask_app")
    with httpx.Client(
        transport=httpx.WSGITransport(app=module.guarded, raise_app_exceptions=False), base_url="http://shop"
    ) as client:
        assert client.get("/search/lamp").json() == list(FOUND)
        service.down = True
        answer = client.get("/search/lamp")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_django():
    from tests.bank import TOTAL, balances, set_up
    from tests.postgres_server import Server

    with contextlib.closing(Server()) as server:
        set_up(server)
        command = [sys.executable, pathlib.Path(__file__).with_name("django_recipe.py"), server.folder]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert (done.stdout, done.stderr) == ("200 True 1\n", "")
        assert balances(server) == [TOTAL - 5, 5]


def test_celery(service: Services, redis: RedisServer, monkeypatch: pytest.MonkeyPatch):
    environment = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}", "PAYMENTS": service.url, "BASE_DELAY": "0.1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    module = recipe("celery_tasks")
    with program("-m", "celery", "-A", "examples.recipes.celery_tasks", "worker", "-P", "solo", **environment):
        assert module.charge.delay("order-1").get(timeout=PATIENCE) == "order-1"
    module.app.close()
    assert service.asked["/orders"] == 2


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
def test_arq(service: Services, redis: RedisServer, monkeypatch: pytest.MonkeyPatch):
    import arq

    monkeypatch.setenv("PAYMENTS", service.url)
    module = recipe("arq_jobs")

    async def scenario() -> object:
        pool = await arq.create_pool(arq.connections.RedisSettings(port=redis.port))
        job = await pool.enqueue_job("charge", "order-1")
        settings = module.WorkerSettings
        worker = arq.Worker(settings.functions, redis_pool=pool, burst=True, poll_delay=0.01, handle_signals=False)
        await worker.main()
        result = await job.result()
        await worker.close()
        return result

    assert asyncio.run(scenario()) == "order-1"
    assert service.asked["/orders"] == 2


def test_kafka(service: Services):
    """A consumer is killed while it handles orders, and the brokers are paused: each order is charged for."""
    import aiokafka

    orders = [f"order-{number}" for number in range(40)]

    def accepted() -> set[str]:
        return {json.loads(body)["order"] for body in service.orders}

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    async def scenario(kafka: Cluster) -> bytes:
        environment = {"KAFKA": kafka.address, "PAYMENTS": service.url, "BASE_DELAY": "0.1"}
        command = ("-m", "examples.recipes.kafka_consumer")
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka.address) as producer:
            for order in [*orders[:20], "order-declined", *orders[20:]]:
                await producer.send_and_wait("orders", order.encode())
            with program(*command, **environment):
                await until(lambda: len(accepted()) >= 10)
        with program(*command, **environment):
            await until(lambda: len(accepted()) >= 25)
            with kafka.paused():
                await asyncio.sleep(0.5)
            await until(lambda: accepted() == set(orders))
        failed = aiokafka.AIOKafkaConsumer(
            "orders.failed", bootstrap_servers=kafka.address, auto_offset_reset="earliest"
        )
        async with failed:
            return (await failed.getone()).value

    with cluster() as kafka:
        assert asyncio.run(asyncio.wait_for(scenario(kafka), 3 * PATIENCE)) == b"order-declined"


@pytest.mark.parametrize(
    ("name", "path"), [("openai_client", "/chat/completions"), ("anthropic_client", "/v1/messages")]
)
def test_models(service: Services, name: str, path: str):
    module = recipe(name)
    with module.open_client(service.url, "key") as client:
        assert module.answer(client, "hello?") == "hello"
    assert service.asked == {path: 2}


def test_boto3(service: Services, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    module = recipe("boto3_client")
    client = module.open_client(service.url)
    assert module.bucket_names(client) == ["photos"]
    client.close()
    assert service.asked == {"/": 2}


def test_grpc():
    import grpc

    calls: list[bytes] = []

    def count(request: bytes, context: grpc.ServicerContext) -> bytes:
        calls.append(request)
        if len(calls) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return b"7 of " + request

    server = grpc.server(futures.ThreadPoolExecutor(2))
    handlers = {"Count": grpc.unary_unary_rpc_method_handler(count)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stock", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    module = recipe("grpc_client")
    with no_waits(), module.open_channel(f"127.0.0.1:{port}") as channel:
        assert module.count(channel, "lamp") == "7 of lamp"
    server.stop(0).wait(PATIENCE)
    assert len(calls) == 2


def test_fastmcp(service: Services):
    import fastmcp

    module = recipe("fastmcp_tools")

    async def scenario() -> object:
        async with httpx.AsyncClient(base_url=service.url) as client:
            async with fastmcp.Client(module.server_for(client)) as user:
                return (await user.call_tool("search", {"query": "lamp"})).data

    assert asyncio.run(scenario()) == list(FOUND)
    assert service.asked["/search"] == 2


def test_pydantic_ai(service: Services):
    from pydantic_ai import Agent, ModelRetry
    from pydantic_ai.models.test import TestModel

    module = recipe("pydantic_ai_tools")
    agent = Agent(TestModel(), capabilities=[module.GuardTools(Pipeline(retry_on_category(attempts=3)))], retries=2)
    refused: list[int] = []

    @agent.tool_plain
    async def search(query: str) -> list[str]:
        async with httpx.AsyncClient(base_url=service.url) as client:
            response = await client.get("/search", params={"q": query})
        response.raise_for_status()
        if not refused:
            refused.append(1)
            raise ModelRetry("say it again")  # it passes the policies: the model is asked again
        return [item["name"] for item in response.json()]

    assert "brass lamp" in asyncio.run(agent.run("a lamp")).output
    assert service.asked["/search"] == 3


def test_langgraph(service: Services):
    module = recipe("langgraph_nodes")

    def search(query: str) -> list[str]:
        response = httpx.get(f"{service.url}/search", params={"q": query})
        response.raise_for_status()
        return [item["name"] for item in response.json()]

    assert module.graph_of(search).invoke({"query": "lamp", "found": []})["found"] == list(FOUND)
    assert service.asked["/search"] == 2


# -- all of them -------------------------------------------------------------------------------------------------------


def test_the_page_shows_each_recipe_as_it_is():
    page = (ROOT / "docs" / "reference" / "recipes.md").read_text("utf-8")
    shown = re.findall(r"```\{literalinclude\} \.\./\.\./examples/recipes/(\w+)\.py\n:language: python\n```", page)
    assert sorted(shown) == sorted(path.stem for path in RECIPES.glob("*.py") if path.stem != "__init__")


def test_there_is_a_test_for_each_recipe():
    here = pathlib.Path(__file__)
    tests = here.read_text("utf-8") + here.with_name("django_recipe.py").read_text("utf-8")
    assert [path.stem for path in RECIPES.glob("*.py") if path.stem not in tests] == []


@pytest.mark.parametrize(
    "checker",
    [["mypy", *map(str, sorted(RECIPES.glob("*.py")))], ["pyright", "-p", "examples/recipes"]],
    ids=["mypy", "pyright"],
)
def test_type_checkers_find_nothing_wrong_with_the_recipes(checker: list[str]):
    done = subprocess.run([sys.executable, "-m", *checker], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
