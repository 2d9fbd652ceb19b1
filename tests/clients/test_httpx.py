"""httpx clients under `protect`: what the caller sees of a call, and what stands below the policies."""

from __future__ import annotations

import gc
import io
import weakref

import anyio
import httpx
import httpx2
import pytest
import respx
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from resilience import CircuitOpenError, deadline, fallback, hedge, report_of, retry_on_category, timeout
from resilience.clients import current_attempt, protect, send_deadline
from resilience.clients.bodies import FileBody, OneTimeBody, body_of
from resilience.integrations.opentelemetry import resend_counts
from resilience.testing import no_waits, virtual_time
from tests.clients.server import Server, answer, hang

RETRY = retry_on_category(attempts=3, base_delay=0)


def answering(*statuses: int) -> httpx.MockTransport:
    left = list(statuses)
    return httpx.MockTransport(lambda _: httpx.Response(left.pop(0)))


def test_a_failed_response_carries_the_report_of_its_call() -> None:
    response = protect(httpx.Client(transport=answering(503, 503, 503)), RETRY).get("http://shelf.example/")
    report = report_of(response)  # type: ignore[arg-type]
    assert report is not None and (report.made, report.reason.value) == (3, "attempts")


def test_a_hook_that_raises_for_a_status_raises_to_the_caller() -> None:
    def judge(response: httpx.Response) -> None:
        response.raise_for_status()

    client = protect(httpx.Client(transport=answering(503, 404), event_hooks={"response": [judge]}), RETRY)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        client.get("http://shelf.example/")
    assert caught.value.response.status_code == 404


def test_code_below_the_policies_knows_the_attempt() -> None:
    seen: list[int] = []

    def note(_: httpx.Request) -> httpx.Response:
        seen.append(current_attempt())
        return httpx.Response(503)

    protect(httpx.Client(transport=httpx.MockTransport(note)), RETRY).get("http://shelf.example/")
    assert (seen, current_attempt()) == ([1, 2, 3], 0)


def test_spans_of_further_attempts_are_numbered() -> None:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(resend_counts())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")

    def send(_: httpx.Request) -> httpx.Response:  # as an instrumented transport does
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT):
            return httpx.Response(503)

    protect(httpx.Client(transport=httpx.MockTransport(send)), RETRY).get("http://shelf.example/")
    counts = [span.attributes.get("http.request.resend_count") for span in exporter.get_finished_spans()]
    assert counts == [None, 1, 2]


@respx.mock
def test_respx_answers_protected_clients() -> None:
    route = respx.get("http://shelf.example/").mock(side_effect=[httpx.Response(503), httpx.Response(200)])
    assert protect(httpx.Client(), RETRY).get("http://shelf.example/").status_code == 200
    assert route.call_count == 2


def test_a_fallback_answers_in_place_of_the_response() -> None:
    instead = httpx.Response(200, text="from the cache")
    client = protect(httpx.Client(transport=answering(503)), fallback(factory=lambda _: instead))
    assert client.get("http://shelf.example/") is instead


def test_auth_and_cookies_are_those_of_the_client() -> None:
    def send(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("Basic ")
        return httpx.Response(200, headers={"set-cookie": "seen=yes"})

    client = protect(httpx.Client(transport=httpx.MockTransport(send), auth=("ada", "lamp")), RETRY)
    client.get("http://shelf.example/")
    assert client.cookies["seen"] == "yes"


def test_the_options_of_a_call_are_checked() -> None:
    client = protect(httpx.Client(transport=answering(200)), RETRY)
    with pytest.raises(TypeError, match="did you mean 'deadline'"):
        client.get("http://shelf.example/", extensions={"resilience": {"deadlin": 2}})


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_works_on_asyncio_and_trio(library: object, backend: str) -> None:
    async def call() -> None:
        async with protect(library.AsyncClient()) as client:  # type: ignore[attr-defined]
            with no_waits():
                assert (await client.get(server.url)).text == "lamp"

    with Server({"/": [answer(503), answer(200, b"lamp")]}) as server:
        anyio.run(call, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_limit_ends_an_async_call_within_the_tree_of_the_client(backend: str) -> None:
    async def call() -> None:
        async with protect(httpx.AsyncClient(), timeout(0.1)) as client:
            with pytest.raises(httpx.TimeoutException):
                await client.get(server.url)

    with Server({"/": [hang]}) as server:
        anyio.run(call, backend=backend)


def test_a_hedge_sends_bytes_twice_and_a_file_once() -> None:
    bodies: list[bytes] = []

    async def send(request: httpx.Request) -> httpx.Response:
        bodies.append(await request.aread())
        await anyio.sleep(0.2 if len(bodies) == 1 else 0)
        return httpx.Response(200)

    async def call() -> None:
        async with protect(httpx.AsyncClient(transport=httpx.MockTransport(send)), hedge(0.01)) as client:
            await client.put("http://shelf.example/", content=b"lamp")
            assert bodies == [b"lamp", b"lamp"]
            bodies.clear()
            await client.put("http://shelf.example/", files={"picture": io.BytesIO(b"lamp")})
            assert len(bodies) == 1

    anyio.run(call)


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    with Server({"/": [answer(200)]}) as server, protect(httpx.Client(), RETRY) as client:
        with pytest.raises(httpx.TimeoutException), deadline(1e-9):
            client.get(server.url)
        assert server.requests == []


def test_a_client_that_is_forgotten_is_collected() -> None:
    client = protect(httpx.Client(transport=answering(200)), RETRY)
    client.get("http://shelf.example/")
    seen = weakref.ref(client)
    del client
    gc.collect()
    assert seen() is None


def test_a_rejection_keeps_no_frame_of_the_call_alive() -> None:
    from resilience import circuit_breaker

    circuit = circuit_breaker("test_httpx: frames", failure_threshold=1)
    circuit.open()
    client = protect(httpx.Client(transport=answering()), circuit)
    gc.collect()
    gc.disable()
    try:
        try:
            client.get("http://shelf.example/")
        except CircuitOpenError as error:
            seen = weakref.ref(error)
        assert seen() is None, "a reference cycle leads through the traceback"
    finally:
        gc.enable()


@pytest.mark.parametrize("content", [None, b"lamp", "lamp", [b"lamp"], (b"lamp",)])
def test_bodies_in_memory_can_be_sent_again(content: object) -> None:
    body = body_of(content)
    assert body.may_repeat() and body.shareable


def test_a_file_is_sent_again_from_where_it_stood() -> None:
    file = io.BytesIO(b"a brass lamp")
    file.read(2)
    body = body_of(file)
    assert isinstance(body, FileBody) and file.read() == b"brass lamp"
    body.rewind()
    assert file.read() == b"brass lamp"
    file.close()
    assert not body.may_repeat()


def test_a_generator_is_sent_once() -> None:
    parts = (part for part in (b"brass", b"lamp"))
    body = body_of(parts)
    assert isinstance(body, OneTimeBody) and body.may_repeat(), "nothing of it has been sent"
    next(parts)
    assert not body.may_repeat()


@pytest.mark.parametrize("streams", [False, True])
def test_the_callers_own_request_stays_as_it_is(streams: bool) -> None:
    sent: list[httpx.Request] = []

    def shop(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"lamp"))

    transport = httpx.MockTransport(shop)
    client = protect(httpx.Client(transport=transport), deadline(5), send_deadline("x-time-left-ms"))
    request = client.build_request("GET", "http://shop.example")
    before = dict(request.headers), request.extensions, dict(request.extensions)
    client.send(request, stream=streams).close()
    assert (dict(request.headers), request.extensions, dict(request.extensions)) == before
    assert "x-time-left-ms" in sent[0].headers
    assert httpx.Client(transport=transport).send(request).text == "lamp"
    assert sent[1] is request


def test_a_response_leads_to_the_request_that_was_sent() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    client = protect(httpx.Client(transport=transport), deadline(5))
    request = client.build_request("GET", "http://shop.example")
    assert client.send(request).request is request


def test_a_transport_gets_the_time_that_is_left_at_each_phase() -> None:
    seen: list[float] = []
    with virtual_time() as clock:

        def shop(request: httpx.Request) -> httpx.Response:
            limits = request.extensions["timeout"]
            for phase in ("connect", "write", "read"):
                seen.append(limits[phase])
                clock.advance(1)
            return httpx.Response(200)

        protect(httpx.Client(transport=httpx.MockTransport(shop), timeout=4), deadline(5)).get("http://shop.example")
    assert seen == [4, 4, 3]


def test_the_callers_request_stays_as_it_is_where_two_attempts_run_at_once() -> None:
    async def main() -> None:
        both = anyio.Event()
        begun: list[httpx.Request] = []

        async def shop(request: httpx.Request) -> httpx.Response:
            begun.append(request)
            if len(begun) == 1:
                await both.wait()
            both.set()
            return httpx.Response(200)

        async with protect(httpx.AsyncClient(transport=httpx.MockTransport(shop)), hedge(0.01)) as client:
            request = client.build_request("GET", "http://shop.example")
            before = request.extensions
            async with deadline(60):
                await client.send(request)
            assert len(begun) == 2
            assert request.extensions is before

    anyio.run(main)
