"""`send_deadline`: each attempt sends the time that is left, in a header of the user's choice."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import grpc
import httpx
import openai
import pytest

from resilience import deadline, retry_on_category, timeout
from resilience.clients import protect, protection_of, send_deadline
from resilience.integrations.deadlines import DeadlineHeader, DeadlineMiddleware
from resilience.testing import virtual_time
from tests.clients.conformance import AsyncDriver, Driver, Request, Setup
from tests.clients.drivers import DRIVERS
from tests.clients.server import Received, Server, answer, redirect

NAME = "x-envoy-expected-rq-timeout-ms"
PATIENT = 60  # real seconds that a limit of the tests leaves to the real server


class Shop:
    """Answers with these statuses, the last one again and again, and notes what each request says is left."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.left: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.left.append(request.headers.get(NAME))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(status, json={})


def ask(shop: Shop, backend: str, *policies: object) -> None:
    transport = httpx.MockTransport(shop)
    if backend == "sync":
        with protect(httpx.Client(transport=transport), *policies) as client:
            client.get("http://shop.example")
        return

    async def run() -> None:
        async with protect(httpx.AsyncClient(transport=transport), *policies) as client:
            await client.get("http://shop.example")

    anyio.run(run, backend=backend)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


def test_each_attempt_sends_what_is_left(way: str):
    shop = Shop(503, 503, 200)
    with virtual_time():
        ask(shop, way, send_deadline(NAME), deadline(10), retry_on_category(base_delay=1, jitter="none"))
    assert shop.left == ["10000", "9000", "7000"]


def test_the_time_limit_of_the_attempt_counts(way: str):
    shop = Shop()
    with virtual_time():
        ask(shop, way, send_deadline(NAME), deadline(10), timeout(3))
    assert shop.left == ["3000"]


def test_an_enclosing_deadline_counts():
    shop = Shop()
    with virtual_time(), deadline(2):
        ask(shop, "sync", send_deadline(NAME), deadline(10))
    assert shop.left == ["2000"]


def test_without_a_limit_nothing_is_sent(way: str):
    shop = Shop()
    ask(shop, way, send_deadline(NAME), retry_on_category())
    assert shop.left == [None]


def test_the_format_may_be_any_that_a_header_has():
    shop = Shop()
    with virtual_time():
        ask(shop, "sync", deadline(2.5), send_deadline(DeadlineHeader(NAME, "grpc")))
    assert shop.left == ["2500m"]


def test_it_is_the_innermost_policy_wherever_it_stands():
    client = protect(httpx.Client(), send_deadline(NAME), deadline(10), retry_on_category())
    assert str(protection_of(client).policies[-1]) == f"send_deadline('{NAME}')"


def received(
    driver: Driver, script: dict[str, list[Any]], *policies: Any, proxied: bool = False, **headers: str
) -> list[Received]:
    """Return the requests that the server has read for one call, which sends *headers* of its own."""
    with Server(script) as server, virtual_time(patience=PATIENT):
        setup = Setup(proxy=server.url if proxied else None)
        host = "shelf.example" if proxied else server.address
        request = Request("GET", f"http://{host}/", headers={name.replace("_", "-"): headers[name] for name in headers})

        async def call() -> None:
            client = driver.guard(driver.open(setup), policies)
            await driver.send(client, request)  # type: ignore[misc]
            await driver.close(client)  # type: ignore[func-returns-value]

        if isinstance(driver, AsyncDriver):
            asyncio.run(call())
        else:
            client = driver.guard(driver.open(setup), policies)
            driver.send(client, request)
            driver.close(client)
    return server.requests


def left(requests: list[Received]) -> list[str | None]:
    return [request.headers.get(NAME) for request in requests]


RETRY = retry_on_category(base_delay=1, jitter="none")
every_client = pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)


@every_client
def test_each_attempt_of_every_client_sends_what_is_left(driver: Driver):
    requests = received(
        driver, {"/": [answer(503), answer(503), answer(200)]}, send_deadline(NAME), deadline(10), RETRY
    )
    assert left(requests) == ["10000", "9000", "7000"]


@every_client
def test_the_time_limit_of_an_attempt_counts_for_every_client(driver: Driver):
    requests = received(
        driver, {"/": [answer(503), answer(200)]}, deadline(3.5), RETRY, timeout(3), send_deadline(NAME)
    )
    assert left(requests) == ["3000", "2500"]


@every_client
def test_a_redirect_sends_what_its_attempt_had(driver: Driver):
    script = {"/": [redirect(302, "/lamps")], "/lamps": [answer(503), answer(200)]}
    requests = received(driver, script, deadline(10), RETRY, send_deadline(NAME))
    assert [(request.path, request.headers.get(NAME)) for request in requests] == [
        ("/", "10000"),
        ("/lamps", "10000"),
        ("/", "9000"),
        ("/lamps", "9000"),
    ]


@every_client
def test_without_a_limit_no_client_sends_anything(driver: Driver):
    assert left(received(driver, {"/": [answer(503), answer(200)]}, RETRY, send_deadline(NAME))) == [None, None]


@every_client
def test_the_headers_of_the_call_are_sent_beside_it(driver: Driver):
    (request,) = received(driver, {"/": [answer(200)]}, deadline(10), send_deadline(NAME), X_Shop="lamps")
    assert (request.headers["x-shop"], request.headers[NAME]) == ("lamps", "10000")


@every_client
def test_it_replaces_what_the_caller_has_forwarded_in_any_case(driver: Driver):
    forwarded = {NAME.upper().replace("-", "_"): "60000"}
    assert left(received(driver, {"/": [answer(200)]}, deadline(10), send_deadline(NAME), **forwarded)) == ["10000"]


@pytest.mark.parametrize(
    "driver", [each for each in DRIVERS if "proxy" in each.features], ids=lambda driver: driver.name
)
def test_it_is_sent_through_a_proxy(driver: Driver):
    requests = received(
        driver, {"/": [answer(503), answer(200)]}, deadline(10), RETRY, send_deadline(NAME), proxied=True
    )
    assert left(requests) == ["10000", "9000"]


def test_a_client_of_a_model_sends_it():
    shop = Shop()
    http_client = openai.DefaultHttpxClient(transport=httpx2_transport(shop), verify=False)
    client = protect(
        openai.OpenAI(api_key="k", base_url="http://m.example", http_client=http_client),
        deadline(5),
        send_deadline(NAME),
    )
    client.models.list()
    assert 4000 < int(shop.left[0]) <= 5000


@pytest.mark.parametrize("where", ["client", "call"])
def test_a_header_that_is_spelled_in_another_way_is_sent_once(where: str):
    sent: list[list[str]] = []

    def shop(request: Any) -> Any:
        import httpx2

        sent.append(request.headers.get_list(NAME))
        return httpx2.Response(200, json={"data": []})

    import httpx2

    own = {"X-Envoy-Expected-Rq-Timeout-Ms": "1"}
    client = openai.OpenAI(
        api_key="k",
        base_url="http://m.example",
        http_client=openai.DefaultHttpxClient(transport=httpx2.MockTransport(shop), verify=False),
        default_headers=own if where == "client" else {},
    )
    with virtual_time():
        protected = protect(client, deadline(5), send_deadline(NAME))
        protected.models.list(extra_headers=own if where == "call" else {})
    assert sent == [["5000"]]


def httpx2_transport(shop: Shop) -> object:
    import httpx2

    return httpx2.MockTransport(lambda request: (shop(request), httpx2.Response(200, json={"data": []}))[1])


def test_a_client_without_headers_refuses_it():
    with (
        grpc.insecure_channel("127.0.0.1:1") as channel,
        pytest.raises(TypeError, match="gRPC sends its deadline by itself"),
    ):
        protect(channel, send_deadline(NAME))


def test_it_guards_no_function():
    with pytest.raises(TypeError, match=r"is for protect\(client, ...\)"):
        send_deadline(NAME)(len)("lamp")


def test_wrong_options_fail_where_they_are_written():
    with pytest.raises(ValueError, match="format=None: give 'milliseconds'"):
        send_deadline("x-deadline")


def test_the_servers_side_takes_it_up():
    from resilience import remaining

    left: list[float | None] = []

    async def shop(scope: object, receive: object, send: object) -> None:
        left.append(remaining())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        transport = httpx.ASGITransport(DeadlineMiddleware(shop, header=NAME))
        async with protect(httpx.AsyncClient(transport=transport), deadline(7), send_deadline(NAME)) as client:
            await client.get("http://shop.example")

    with virtual_time():
        anyio.run(run)
    assert left == [7.0]
