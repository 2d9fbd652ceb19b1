"""`send_deadline`: each attempt sends the time that is left, in a header of the user's choice."""

from __future__ import annotations

import anyio
import grpc
import httpx
import openai
import pytest

from resilience import deadline, retry_on_category, timeout
from resilience.clients import protect, protection_of, send_deadline
from resilience.integrations.deadlines import DeadlineHeader, DeadlineMiddleware
from resilience.testing import virtual_time

NAME = "x-envoy-expected-rq-timeout-ms"


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
