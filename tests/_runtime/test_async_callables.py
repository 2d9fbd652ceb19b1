"""Async callables that are no `async def`: guarded as async where that can be known, else a warning says so once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
import logging
import pathlib
import socket
import subprocess
import sys
import types
import typing
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator

import aiohttp
import anthropic
import anyio
import asgiref.sync
import openai
import pytest
import redis.asyncio

from resilience import (
    CallTimeoutError,
    CircuitOpenError,
    Pipeline,
    circuit_breaker,
    fallback,
    retry_on_category,
    subscribe,
    timeout,
    translating,
)
from resilience._runtime import first_call
from resilience._runtime.fast_path_template import is_wrapper
from resilience.events import AttemptFailed, Event
from resilience.metrics import track_errors
from resilience.metrics._call_stats import CALL_STATS
from resilience.testing import virtual_time
from tests.redis_server import Server
from tests.runners import Runner

retry = retry_on_category(attempts=3, base_delay=0)


class Flaky:
    """Fails so many times."""

    def __init__(self, failures: int = 2) -> None:
        self.failures = failures
        self.calls = 0

    def call(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionResetError
        return "ok"


def traced(function: Callable) -> Callable:
    """Decorate as tracing libraries do that know of sync functions only."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return call


def running(function: Callable) -> Callable:
    """Decorate an async command line's `main`: what comes out is sync."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        return asyncio.run(function(*args, **kwargs))

    return call


def spawning(function: Callable) -> Callable:
    """Decorate what runs in the background."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        return asyncio.get_running_loop().create_task(function(*args, **kwargs))

    return call


def awaiting(call: Callable[[], Awaitable]) -> Callable:
    async def main() -> object:
        return await call()

    return main


# -- guarded as async -----------------------------------------------------------------------------------------------


def made(flaky: Flaky) -> dict[str, Callable[[], object]]:
    async def fetch(*args: object) -> str:
        await anyio.sleep(0)
        return flaky.call()

    def annotated(*args: object) -> Awaitable[str]:
        return fetch()

    def in_text(*args: object) -> object:
        return fetch()

    in_text.__annotations__["return"] = "typing.Coroutine[Any, Any, dict[str, int]]"

    def union(*args: object) -> str | Awaitable[str]:
        return fetch()

    class Client:
        @traced
        async def fetch(self) -> str:
            return flaky.call()

        async def __call__(self) -> str:
            return flaky.call()

    class Server:
        __call__ = traced(Client.__call__)

    class Future:
        def __await__(self) -> Generator[object, object, str]:
            return fetch().__await__()

    def future() -> Awaitable[str]:
        return Future()

    return {
        "wraps": traced(fetch),
        "wraps twice": traced(traced(fetch)),
        "wraps what is guarded": traced(circuit_breaker("inside", failure_threshold=99)(fetch)),
        "partial of it": functools.partial(traced(fetch), 1),
        "method": Client().fetch,
        "object": Server(),
        "annotated": annotated,
        "annotated in text": in_text,
        "annotated as a union": union,
        "an awaitable of its own kind": future,
        "partial of an annotated one": functools.partial(annotated, 1),
        "cached": functools.lru_cache(maxsize=0)(fetch),
    }


KINDS = list(made(Flaky()))


@pytest.mark.parametrize("kind", KINDS)
def test_an_async_callable_is_awaited_inside_its_policies(kind: str, backend: str):
    flaky = Flaky()
    guarded = retry(made(flaky)[kind])
    for _ in range(3):  # the first call decides for those after it
        flaky.calls = 0
        assert anyio.run(awaiting(guarded), backend=backend) == "ok"
        assert flaky.calls == 3


@pytest.mark.parametrize("kind", KINDS)
def test_an_async_callable_may_be_called_before_the_event_loop_runs(kind: str):
    flaky = Flaky()
    guarded = retry(made(flaky)[kind])
    for _ in range(2):
        flaky.calls = 0
        coroutine = guarded()
        assert inspect.iscoroutine(coroutine)
        assert flaky.calls == 0
        assert asyncio.run(coroutine) == "ok"
        assert flaky.calls == 3


@pytest.mark.parametrize("decorate", [traced, lambda function: function], ids=["wraps", "async def"])
def test_a_time_limit_cancels_an_async_callable(decorate: Callable, backend: str):
    ended: list[str] = []

    async def hang() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    guarded = timeout(60)(decorate(hang))
    for calls in (1, 2):
        with virtual_time(patience=0.02), pytest.raises(CallTimeoutError):
            anyio.run(awaiting(guarded), backend=backend)
        assert ended == ["cancelled"] * calls


def test_failures_of_an_async_callable_open_a_circuit_and_a_fallback_covers_its_rejections(backend: str):
    flaky = Flaky(99)
    breaker = circuit_breaker("wrapped", failure_threshold=2)

    @fallback(default="other", on="rejected")
    @breaker
    @traced
    async def fetch() -> str:
        return flaky.call()

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                await fetch()
        assert breaker.current_state == "open"
        assert await fetch() == "other"

    anyio.run(main, backend=backend)
    assert flaky.calls == 2


def test_a_call_that_is_rejected_before_the_first_one_can_be_awaited_all_the_same(backend: str):
    flaky = Flaky(0)
    breaker = circuit_breaker("open", failure_threshold=2)
    breaker.open()

    async def fetch() -> str:
        return flaky.call()

    async def main() -> None:
        assert await fallback(default="other")(breaker(traced(fetch)))() == "other"
        with pytest.raises(CircuitOpenError):
            await breaker(traced(fetch))()

    anyio.run(main, backend=backend)
    assert flaky.calls == 0


def test_a_call_of_an_async_callable_is_counted_once(backend: str):
    @track_errors(component=f"tests on {backend}")
    @traced
    async def counted() -> None: ...

    async def main() -> None:
        await counted()
        await counted()

    anyio.run(main, backend=backend)
    totals = CALL_STATS.for_target(f"{__name__}.{counted.__wrapped__.__qualname__}", f"tests on {backend}").totals()
    assert (totals.success.calls, totals.cancelled, totals.errors) == (2, 0, {})


def test_the_method_of_a_guarded_class_is_awaited(backend: str):
    flaky = Flaky()

    class Base:
        @traced
        async def inherited(self) -> str:
            return flaky.call()

    @retry
    class Client(Base):
        @traced
        async def fetch(self) -> str:
            return flaky.call()

    for method in (Client().fetch, Client().inherited):
        flaky.calls = 0
        assert anyio.run(awaiting(method), backend=backend) == "ok"
        assert flaky.calls == 3


def test_hooks_of_an_async_call_may_be_async(backend: str):
    heard: list[Event] = []

    async def tell(event: Event) -> None:
        heard.append(event)

    @retry_on_category(attempts=3, base_delay=0, on_retry=tell)
    @traced
    async def fetch(flaky: Flaky) -> str:
        return flaky.call()

    assert anyio.run(fetch, Flaky(), backend=backend) == "ok"
    assert len(heard) == 2


def test_a_first_coroutine_that_nothing_awaits_leaves_the_second_call_as_it_is():
    @retry
    @traced
    async def fetch(flaky: Flaky) -> str:
        return flaky.call()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fetch(Flaky()).close()
    assert asyncio.run(fetch(Flaky())) == "ok"


def test_errors_are_translated_when_it_is_awaited(backend: str):
    @translating({ConnectionResetError: LookupError})
    @traced
    async def fetch(flaky: Flaky) -> str:
        return flaky.call()

    with pytest.raises(LookupError):
        anyio.run(fetch, Flaky(), backend=backend)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="inspect.markcoroutinefunction is new in 3.12")
def test_a_function_that_is_marked_as_async_is_awaited(backend: str):
    flaky = Flaky()

    async def fetch() -> str:
        return flaky.call()

    marked = inspect.markcoroutinefunction(lambda: fetch())
    assert anyio.run(awaiting(retry(marked)), backend=backend) == "ok"


def test_a_function_that_asgiref_has_marked_as_async_is_awaited(backend: str):
    flaky = Flaky()

    async def fetch() -> str:
        return flaky.call()

    marked = asgiref.sync.markcoroutinefunction(lambda: fetch())
    assert anyio.run(awaiting(retry(marked)), backend=backend) == "ok"


# -- what stays sync ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorate", [running, asgiref.sync.async_to_sync], ids=["asyncio.run", "async_to_sync"])
def test_a_sync_function_around_an_async_one_stays_sync(decorate: Callable):
    async def fetch(flaky: Flaky) -> str:
        return flaky.call()

    guarded = retry(decorate(fetch))
    for _ in range(3):
        flaky = Flaky()
        assert guarded(flaky) == "ok"
        assert flaky.calls == 3


def test_a_sync_function_around_an_async_one_is_limited_from_its_first_call_on():
    @timeout(0.05)
    @running
    async def hang() -> None:
        await asyncio.sleep(0.3)

    for _ in range(2):
        with pytest.raises(CallTimeoutError):
            hang()


def test_a_function_that_is_async_in_an_event_loop_only_is_guarded_as_both():
    async def fetch(flaky: Flaky) -> str:
        return flaky.call()

    @functools.wraps(fetch)
    def either(flaky: Flaky) -> object:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(fetch(flaky))
        return fetch(flaky)

    guarded = retry(either)

    async def main() -> object:
        return await guarded(Flaky())

    for _ in range(2):
        assert guarded(Flaky()) == "ok"
        assert asyncio.run(main()) == "ok"


# -- a warning ------------------------------------------------------------------------------------------------------


async def fetch() -> str:
    return "ok"


async def stream() -> AsyncIterator[int]:
    yield 1


def listed() -> Iterator[int]:
    yield 1


@contextlib.contextmanager
def opened() -> Iterator[int]:
    yield 1


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[int]:
    yield 1


def closed(value: object) -> None:
    for name in ("close", "cancel"):
        if hasattr(value, name):
            getattr(value, name)()


RETURNED = {
    "a coroutine": (lambda: fetch(), "async def"),
    "an async generator": (lambda: stream(), "async generator function"),
    "a context manager": (lambda: opened(), "with"),
    "a context manager, async": (lambda: connected(), "with"),
    "an awaitable, _asyncio": (lambda: asyncio.get_running_loop().create_future(), "async def"),
    "a generator": (traced(listed), "generator function"),
}
POLICIES = {
    "retry": retry,
    "circuit": circuit_breaker("warned", failure_threshold=99),
    "two circuits": lambda function: circuit_breaker("a", failure_threshold=99)(circuit_breaker("b")(function)),
    "fallback": fallback(default=None),
    "limit": timeout(5),
    "signal": timeout(5, mode="signal"),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("returned", RETURNED)
def test_a_plain_function_that_returns_unfinished_work_warns_once_and_says_what_to_write(returned: str, policy: str):
    function, instead = RETURNED[returned]
    what = returned.removesuffix(", async")
    limited = policy in ("limit", "signal")

    async def main() -> None:
        called = function
        if what.startswith("an awaitable") and limited:  # a worker thread has no loop
            called = functools.partial(identity, function())
        guarded = POLICIES[policy](called)
        with pytest.warns(RuntimeWarning) as caught:
            closed(guarded())
        message = str(caught[0].message)
        assert len(caught) == 1
        assert what in message
        assert instead in message
        assert pathlib.Path(caught[0].filename).name == pathlib.Path(__file__).name or limited
        closed(guarded())  # warnings are errors here

    asyncio.run(main())


def identity(value: object) -> object:
    return value


def test_the_warning_names_the_function_and_each_function_has_its_own():
    def first() -> object:
        return fetch()

    def second() -> object:
        return fetch()

    for function in (first, second):
        with pytest.warns(RuntimeWarning, match=rf"<locals>\.{function.__name__} returned a coroutine"):
            closed(retry(function)())


@pytest.mark.parametrize("returned", [fetch, stream, opened, connected], ids=lambda function: function.__name__)
def test_an_async_function_that_returns_unfinished_work_warns_once(returned: Callable, backend: str):
    async def outer() -> object:
        return returned()

    guarded = retry(outer)

    async def main() -> None:
        with pytest.warns(RuntimeWarning, match="outer returned a"):
            closed(await guarded())
        closed(await guarded())

    anyio.run(main, backend=backend)


def test_an_async_function_that_returns_a_task_does_not_warn():
    @retry
    async def start() -> asyncio.Task:
        return asyncio.create_task(fetch())

    async def main() -> str:
        return await (await start())

    assert asyncio.run(main()) == "ok"


def test_a_wrapper_that_starts_a_task_still_does():
    guarded = retry(spawning(fetch))

    async def main() -> None:
        with pytest.warns(RuntimeWarning, match=r"fetch returned an awaitable, _asyncio\.Task"):
            assert isinstance(first := guarded(), asyncio.Task)
        assert isinstance(second := guarded(), asyncio.Task)
        assert await asyncio.gather(first, second) == ["ok", "ok"]

    asyncio.run(main())


def test_with_warnings_as_errors_each_call_fails_and_leaves_no_coroutine_behind():
    guarded = retry(lambda: fetch())
    for _ in range(2):
        with pytest.raises(RuntimeWarning, match="returned a coroutine"):
            guarded()


@pytest.mark.parametrize(
    "value", [None, 1, "text", [1], {}, types.SimpleNamespace(), iter([1]), (each for each in "a")]
)
def test_a_result_does_not_warn(value: object):
    guarded = retry(lambda: identity(value))
    assert guarded() is value
    assert guarded() is value


def test_a_log_handler_that_raises_for_the_warning_changes_nothing():
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    handler = Raising()
    logging.getLogger("py.warnings").addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            returned = retry(lambda: fetch())()
    finally:
        logging.captureWarnings(capture=False)
        logging.getLogger("py.warnings").removeHandler(handler)
    assert asyncio.run(returned) == "ok"


def test_a_result_with_a_hostile_class_is_a_result():
    class Hostile(type):
        def __getattr__(cls, name: str) -> object:
            raise RuntimeError(name)

    class Value(metaclass=Hostile): ...

    value = Value()
    assert retry(lambda: identity(value))() is value


def test_after_a_failed_first_call_the_next_result_is_inspected():
    failures = itertools.chain([ValueError], itertools.repeat(None))

    def call() -> object:
        if (failure := next(failures)) is not None:
            raise failure
        return fetch()

    guarded = retry(call)
    with pytest.raises(ValueError):
        guarded()
    with pytest.warns(RuntimeWarning):
        closed(guarded())


def test_a_call_by_a_policy_warns_too():
    for policy in (retry, Pipeline(retry)):
        with pytest.warns(RuntimeWarning, match="<lambda> returned a coroutine"):
            closed(policy.call(lambda: fetch()))


def test_after_the_first_call_the_function_is_called_directly(runner: Runner):
    wrappers: list[int] = []

    def note() -> None:
        frame = sys._getframe(2)
        wrappers.append(0)
        while frame is not None and (is_wrapper(frame.f_code) or frame.f_code.co_filename == first_call.__file__):
            wrappers[-1] += 1
            frame = frame.f_back

    def call() -> None:
        note()

    async def call_async() -> None:
        note()

    guarded = retry(call_async if runner.is_async else call)
    for _ in range(3):
        runner.run(guarded, guarded)
    assert wrappers == [2, 1, 1]
    names = guarded.__code__.co_freevars
    assert guarded.__closure__[names.index(".function")].cell_contents is guarded.__wrapped__


# -- context managers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [opened, connected, functools.partial(opened), staticmethod(opened)])
@pytest.mark.parametrize(
    "decorate",
    [retry, timeout(1), circuit_breaker("cm"), fallback(default=1), track_errors, translating({OSError: KeyError})],
)
def test_a_function_that_makes_a_context_manager_is_refused(decorate: Callable, function: Callable):
    with pytest.raises(TypeError, match="returns a context manager.*`with"):
        decorate(function)


def test_a_method_of_a_class_that_makes_a_context_manager_stays_as_it_is():
    class Store:
        def get(self) -> None: ...

        @contextlib.contextmanager
        def transaction(self) -> Iterator[int]:
            yield 1

    before = vars(Store)["transaction"]
    retry(Store)
    assert vars(Store)["transaction"] is before
    with Store().transaction() as number:
        assert number == 1
    with pytest.raises(TypeError, match="no public methods to guard"):

        @retry
        class Transactions:
            @contextlib.contextmanager
            def transaction(self) -> Iterator[int]:
                yield 1


# -- real clients ---------------------------------------------------------------------------------------------------


@pytest.fixture
def port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]  # nothing listens there any more


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_the_create_method_of_an_llm_sdk_is_retried(client: str, port: int):
    failed: list[Event] = []

    async def main() -> None:
        url = f"http://127.0.0.1:{port}"
        if client == "openai":
            async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as sdk:
                await retry(sdk.chat.completions.create)(model="m", messages=[{"role": "user", "content": "?"}])
        else:
            async with anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0) as sdk:
                message = {"role": "user", "content": "?"}
                await retry(sdk.messages.create)(model="m", max_tokens=1, messages=[message])

    with subscribe(failed.append), pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)):
        asyncio.run(main())
    assert [event.attempt for event in failed if isinstance(event, AttemptFailed)] == [1, 2, 3]


def test_a_command_of_redis_is_retried_where_it_is_async_and_stays_sync_where_it_is_not(port: int):
    failed: list[Event] = []

    async def down() -> None:
        client = redis.asyncio.Redis(port=port, retry=None)
        try:
            await retry(client.get)("lamp")
        finally:
            await client.aclose()

    with subscribe(failed.append), pytest.raises(redis.ConnectionError):
        asyncio.run(down())
    assert [event.attempt for event in failed if isinstance(event, AttemptFailed)] == [1, 2, 3]

    async def up() -> object:
        client = redis.asyncio.Redis(port=server.port)
        try:
            return await retry(client.get)("lamp")
        finally:
            await client.aclose()

    with contextlib.closing(Server()) as server:
        client = server.client()
        put, get = retry(client.set), retry(client.get)
        assert [put("lamp", 1), put("lamp", 2)] == [True, True]
        assert [get("lamp"), get("lamp")] == [b"2", b"2"]
        assert asyncio.run(up()) == b"2"


def test_a_request_of_aiohttp_says_that_it_is_not_guarded(port: int):
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.warns(
                RuntimeWarning, match=r"ClientSession\.get returned an awaitable, aiohttp.*`async def get"
            ):
                request = retry(session.get)(f"http://127.0.0.1:{port}")
            with pytest.raises(aiohttp.ClientConnectionError):
                await request

    asyncio.run(main())


# In a process of its own: gRPC's threads stay in a process, and are at odds with event loops that come and go.
CALL_OF_GRPC = """
import asyncio, sys, warnings
import grpc.aio
from resilience import retry_on_category

async def main():
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call = retry_on_category()(channel.unary_unary("/shop.Shop/Get"))(b"")
        print(caught[0].category.__name__, caught[0].message)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            print(error.code().name)

asyncio.run(main())
"""


def test_a_call_of_grpc_says_that_it_is_not_guarded(port: int):
    done = subprocess.run(
        [sys.executable, "-c", CALL_OF_GRPC, str(port)], capture_output=True, text=True, check=True, timeout=60
    )
    warned, code = done.stdout.splitlines()
    assert warned.startswith("RuntimeWarning ")
    assert "returned an awaitable, grpc.aio" in warned
    assert code == "UNAVAILABLE"


def test_annotations_are_read_and_not_evaluated():
    def function() -> object: ...

    for annotation, awaited in [
        ("Awaitable[int]", True),
        ("t.Coroutine[None, None, dict[str, list[int]]]", True),
        (Coroutine[None, None, int], True),
        (Awaitable, True),
        (typing.Awaitable[int], True),
        ("Awaitable[int] | list[int]", False),
        ("Callable[..., Awaitable[int]]", False),
        ("list[Awaitable[int]]", False),
        ("NotAwaitable[int]", False),
        ("undefined.Name", False),
        (None, False),
    ]:
        function.__annotations__["return"] = annotation
        assert bool(retry(function).__code__.co_flags & inspect.CO_COROUTINE) is awaited, annotation
