"""openai, anthropic and groq, which one generator has made, guarded by policies: real requests over loopback."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable

import anthropic
import groq
import openai
import pytest

from resilience import CircuitOpenError, circuit_breaker, deadline, retry_on_category, standard
from resilience.clients import inspect_client, protect, protection_of, request_options
from resilience.testing import virtual_time
from tests.clients.model_server import Api, Step, serving

CHAT = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a lamp"}}],
}
MESSAGE = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "a lamp"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
EVENTS = b'data: {"id": "1", "choices": []}\n\ndata: {"id": "2", "choices": []}\n\ndata: [DONE]\n\n'
SSE = {"content_type": "text/event-stream"}
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
Guard = Callable[[object], object]


def ask_chat(client: object) -> object:
    return client.chat.completions.create(**ASKED)


def ask_message(client: object) -> object:
    return client.messages.create(max_tokens=5, **ASKED)


class Library:
    """A client library: how its client is made and asked, and what it answers."""

    def __init__(self, name: str, client: object, ask: Callable[..., object], answer: object, path: str) -> None:
        self.name = name
        self.module = {"openai": openai, "anthropic": anthropic, "groq": groq}[name]
        self.client = client
        self.ask = ask
        self.answer = answer
        self.path = path

    @property
    def is_async(self) -> bool:
        return "Async" in self.client.__name__

    def make(self, url: str) -> object:
        """Return a client of the server at *url*. It shares an SSL context: certificates take long to load."""
        kind = self.module.DefaultAsyncHttpxClient if self.is_async else self.module.DefaultHttpxClient
        return self.client(api_key="k", base_url=url, http_client=kind(verify=CONTEXT, base_url=url))

    def run(self, guard: Guard, api: Api, ask: Callable[..., object] | None = None, calls: int = 1) -> list[object]:
        """Return the answer, or the error, of each of so many calls."""
        with serving(api) as url:
            if self.is_async:
                return asyncio.run(self._run_async(guard, url, ask or self.ask, calls))
            with self.make(url) as client:
                guarded = guard(client)
                return [_outcome(ask or self.ask, guarded) for _ in range(calls)]

    async def _run_async(self, guard: Guard, url: str, ask: Callable[..., object], calls: int) -> list[object]:
        async with self.make(url) as client:
            guarded = guard(client)
            answers: list[object] = []
            for _ in range(calls):
                try:
                    answers.append(await ask(guarded))
                except Exception as error:
                    answers.append(error)
            return answers


def _outcome(ask: Callable[..., object], client: object) -> object:
    try:
        return ask(client)
    except Exception as error:
        return error


LIBRARIES = [
    Library("openai", openai.OpenAI, ask_chat, CHAT, "/chat/completions"),
    Library("openai", openai.AsyncOpenAI, ask_chat, CHAT, "/chat/completions"),
    Library("anthropic", anthropic.Anthropic, ask_message, MESSAGE, "/v1/messages"),
    Library("anthropic", anthropic.AsyncAnthropic, ask_message, MESSAGE, "/v1/messages"),
    Library("groq", groq.Groq, ask_chat, CHAT, "/openai/v1/chat/completions"),
    Library("groq", groq.AsyncGroq, ask_chat, CHAT, "/openai/v1/chat/completions"),
]


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.client.__name__)
def library(request: pytest.FixtureRequest) -> Library:
    return request.param


@pytest.fixture(params=LIBRARIES[:2], ids=lambda library: library.client.__name__)
def openai_library(request: pytest.FixtureRequest) -> Library:
    return request.param


def retrying(**options: object) -> Guard:
    return lambda client: protect(client, retry_on_category(**{"attempts": 3, "base_delay": 0, **options}))


# -- the genuine client ------------------------------------------------------------------------------------------------


def test_a_copy_of_the_same_class_comes_back_and_the_client_keeps_its_retries(library: Library):
    def guard(client: object) -> object:
        protected = protect(client, deadline(60))
        assert type(protected) is type(client)
        assert protected is not client
        assert (client.max_retries, protected.max_retries) == (2, 0)
        assert "max_retries=2 of the client is switched off" in str(protection_of(protected))
        return protected

    (answer,) = library.run(guard, Api(Step(body=library.answer)))
    assert answer.id == "1"


def test_the_client_itself_is_left_unguarded(library: Library):
    circuit = circuit_breaker(f"test_openai: other {library.client.__name__}", failure_threshold=1)
    circuit.open()

    def guard(client: object) -> object:
        protect(client, circuit)
        return client

    (answer,) = library.run(guard, Api(Step(body=library.answer)))
    assert answer.id == "1"


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_transient_status_is_retried_by_the_policies_alone(library: Library, status: int):
    api = Api(Step(status, {"error": {"message": "busy"}}), Step(status), Step(body=library.answer))
    (answer,) = library.run(retrying(), api)
    assert answer.id == "1"
    assert api.paths == [f"POST {library.path}"] * 3
    assert len(set(api.bodies)) == 1
    assert api.header("x-stainless-retry-count") == ["0", "1", "2"]


def test_attempts_do_not_multiply_with_those_of_the_client(library: Library):
    api = Api(Step(503))
    (error,) = library.run(retrying(), api)
    assert isinstance(error, library.module.InternalServerError)
    assert len(api.requests) == 3  # not 9


def test_a_copy_with_other_options_is_guarded_too_and_does_not_retry_by_itself(library: Library):
    def guard(client: object) -> object:
        protected = protect(client, retry_on_category(attempts=3, base_delay=0))
        with pytest.warns(RuntimeWarning, match="max_retries=5 has no effect on a protected client"):
            other = protected.with_options(max_retries=5, timeout=30)
        assert protection_of(other) is protection_of(protected)
        return other

    api = Api(Step(503))
    library.run(guard, api)
    assert len(api.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_another_status_is_not_retried_and_is_the_clients_own_error(library: Library, status: int):
    api = Api(Step(status, {"error": {"message": "no"}}))
    (error,) = library.run(retrying(), api)
    assert isinstance(error, library.module.APIStatusError)
    assert (error.status_code, len(api.requests)) == (status, 1)


def test_a_quota_that_is_used_up_is_not_retried(openai_library: Library):
    api = Api(Step(429, {"error": {"message": "no money", "code": "insufficient_quota"}}))
    (error,) = openai_library.run(retrying(), api)
    assert (error.status_code, len(api.requests)) == (429, 1)


def test_the_server_that_says_should_retry_false_is_asked_once(library: Library):
    api = Api(Step(503, x_should_retry="false"))
    (error,) = library.run(retrying(), api)
    assert (error.status_code, len(api.requests)) == (503, 1)


def test_the_server_that_says_should_retry_true_is_asked_again(library: Library):
    api = Api(Step(409, x_should_retry="true"), Step(body=library.answer))
    (answer,) = library.run(retrying(), api)
    assert (answer.id, len(api.requests)) == ("1", 2)


def test_what_was_asked_for_in_vain_is_the_clients_own_error(library: Library):
    api = Api(Step(409, x_should_retry="true"))
    (error,) = library.run(retrying(), api)
    assert isinstance(error, library.module.ConflictError)
    assert len(api.requests) == 3


@pytest.mark.parametrize(("headers", "seconds"), [({"retry_after_ms": "1500"}, 1.5), ({"retry_after": "7"}, 7)])
def test_the_server_says_how_long_to_wait(library: Library, headers: dict[str, str], seconds: float):
    api = Api(Step(429, **headers), Step(body=library.answer))
    with virtual_time() as clock:
        (answer,) = library.run(retrying(), api)
        assert seconds <= clock.now() <= seconds * 1.1
    assert answer.id == "1"


def test_a_body_that_is_cut_is_retried(library: Library):
    api = Api(Step(body=b'{"id": ', cut=True), Step(body=library.answer))
    (answer,) = library.run(retrying(), api)
    assert (answer.id, len(api.requests)) == ("1", 2)


def test_a_client_that_does_not_repeat_posts_by_itself_is_not_made_to(library: Library):
    api = Api(Step(500))
    library.run(lambda client: protect(client.with_options(max_retries=0), retry_on_category(base_delay=0)), api)
    assert len(api.requests) == 1


def test_a_retry_that_says_that_nothing_may_happen_twice_is_obeyed(library: Library):
    api = Api(Step(500))
    library.run(retrying(idempotent=False), api)
    assert len(api.requests) == 1


def test_the_standard_stack_repeats_what_the_client_repeats(library: Library):
    stack = standard(f"test_openai: standard {library.client.__name__}", timeout=60, max_delay=0.01)
    api = Api(Step(500), Step(body=library.answer))
    (answer,) = library.run(lambda client: protect(client, stack), api)
    assert (answer.id, len(api.requests)) == ("1", 2)


def test_without_policies_a_model_has_a_minute_for_an_attempt(library: Library):
    shown: list[str] = []

    def guard(client: object) -> object:
        protected = protect(client)
        shown.append(str(protection_of(protected)))
        return protected

    library.run(guard, Api(Step(body=library.answer)))
    assert "deadline(180)" in shown[0]
    assert "(60)" in shown[0]


# -- bodies ------------------------------------------------------------------------------------------------------------


def upload(client: object, file: object) -> object:
    return client.files.create(file=file, purpose="batch")


def test_a_file_is_sent_again_from_where_it_stood(openai_library: Library):
    file = io.BytesIO(b"header,line of the file")
    file.seek(7)
    api = Api(Step(503), Step(body={"id": "1", "object": "file"}))
    (answer,) = openai_library.run(retrying(), api, lambda client: upload(client, ("a.csv", file)))
    assert answer.id == "1"
    assert [b"line of the file" in body for body in api.bodies] == [True, True]


# -- streams and raw responses -----------------------------------------------------------------------------------------


def ask_stream(client: object) -> object:
    if "Async" not in type(client).__name__:
        return [chunk.id for chunk in client.chat.completions.create(stream=True, **ASKED)]

    async def read() -> list[str]:
        return [chunk.id async for chunk in await client.chat.completions.create(stream=True, **ASKED)]

    return read()


def test_a_stream_is_the_clients_own(openai_library: Library):
    api = Api(Step(503), Step(body=EVENTS, **SSE))
    assert openai_library.run(retrying(), api, ask_stream) == [["1", "2"]]
    assert len(api.requests) == 2


def test_a_stream_that_fails_before_its_first_event_is_retried(openai_library: Library):
    failed = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": "server_error"}}\n\n'
    api = Api(Step(body=failed, **SSE), Step(body=b"", cut=True, **SSE), Step(body=EVENTS, **SSE))
    assert openai_library.run(retrying(attempts=4), api, ask_stream) == [["1", "2"]]
    assert len(api.requests) == 3


def test_a_stream_that_fails_after_its_first_event_is_not_retried(openai_library: Library):
    api = Api(Step(body=b'data: {"id": "1", "choices": []}\n\n', cut=True, **SSE))
    (error,) = openai_library.run(retrying(), api, ask_stream)
    assert isinstance(error, openai.APIConnectionError)
    assert len(api.requests) == 1


def test_a_raw_response_is_the_clients_own(openai_library: Library):
    api = Api(Step(503), Step(body=CHAT, x_request_id="r-7"))
    ask = lambda client: client.chat.completions.with_raw_response.create(**ASKED)
    (raw,) = openai_library.run(retrying(), api, ask)
    assert (raw.headers["x-request-id"], raw.parse().id, len(api.requests)) == ("r-7", "1", 2)


# -- deadlines and rejections ------------------------------------------------------------------------------------------


def test_an_open_circuit_is_an_error_of_the_client_and_of_the_toolkit(library: Library):
    circuit = circuit_breaker(f"test_openai: rejection {library.client.__name__}", failure_threshold=1)
    api = Api(Step(503))
    failed, rejected = library.run(lambda client: protect(client, circuit), api, calls=2)
    assert isinstance(failed, library.module.InternalServerError)
    assert isinstance(rejected, CircuitOpenError)
    assert isinstance(rejected, library.module.APIConnectionError)
    assert str(rejected.request.url).endswith(library.path)
    assert rejected.message == str(rejected)
    assert len(api.requests) == 1


def test_the_time_limit_of_a_request_is_what_is_left():
    api = Api(Step(body=CHAT))
    (answer,) = LIBRARIES[0].run(lambda client: protect(client, deadline(20)), api)
    assert answer.id == "1"
    assert float(api.header("x-stainless-read-timeout")[0]) <= 20


# -- other clients of this make ----------------------------------------------------------------------------------------


def test_a_subclass_in_a_module_of_its_own_is_known_by_its_structure():
    class Ours(openai.OpenAI):
        """A program's own client."""

    ours = Library("openai", Ours, ask_chat, CHAT, "/chat/completions")
    api = Api(Step(503), Step(body=CHAT))
    (answer,) = ours.run(retrying(), api)
    assert (answer.id, len(api.requests)) == ("1", 2)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.client.__name__)
def test_what_the_client_does_by_itself_is_found(library: Library):
    inspection = inspect_client(library.make("http://127.0.0.1:1"))
    assert inspection.calls == 3
    assert "max_retries=2" in str(inspection)


# -- options of calls --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"enabled": False}, {"idempotent": False}], ids=["no policies", "not repeatable"])
def test_the_options_of_a_block_are_for_the_calls_in_it(library: Library, options: dict[str, bool]):
    api = Api(Step(503))
    with request_options(**options):
        (error,) = library.run(retrying(), api)
    assert isinstance(error, library.module.InternalServerError)
    assert len(api.requests) == 1
