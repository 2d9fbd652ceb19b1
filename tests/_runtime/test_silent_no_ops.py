"""No guard that silently does nothing: callables whose work comes after the call, or that are async at some calls."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import pathlib
import threading
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio
import pytest

from resilience import CircuitOpenError, circuit_breaker, fallback, retry_on_category

retry = retry_on_category(attempts=3, base_delay=0)


class Service:
    """Down; counts the calls that reach it."""

    def __init__(self) -> None:
        self.calls = 0

    async def fetch(self, *args: object) -> str:
        self.calls += 1
        raise ConnectionResetError


# -- async at some calls --------------------------------------------------------------------------------------------


def cached(service: Service) -> Callable[[str], object]:
    def get(key: str) -> str | Awaitable[str]:
        if key == "cached":
            return "value"
        return service.fetch()

    return get


def dispatching(service: Service) -> Callable[[object], object]:
    @functools.singledispatch
    def get(key: object) -> object:
        return "value"

    @get.register
    async def _(key: int) -> str:
        return await service.fetch()

    return get


def dispatching_async(service: Service) -> Callable[[object], object]:
    @functools.singledispatch
    async def get(key: object) -> object:
        return await service.fetch()

    get.register(str, lambda key: "value")
    return get


def dispatching_method(service: Service) -> Callable[[object], object]:
    class Client:
        @functools.singledispatchmethod
        def get(self, key: object) -> object:
            return "value"

        @get.register
        async def _(self, key: int) -> str:
            return await service.fetch()

    return Client().get


KINDS = {
    "a union": (cached, "cached", "missing"),
    "singledispatch": (dispatching, "text", 1),
    "singledispatch, async by default": (dispatching_async, "text", 1),
    "singledispatchmethod": (dispatching_method, "text", 1),
    "a partial of one": (lambda service: functools.partial(dispatching(service)), "text", 1),
}


@pytest.mark.parametrize("order", ["sync first", "async first"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_function_that_is_async_at_some_calls_is_guarded_at_each_as_what_it_is(kind: str, order: str, backend: str):
    make, sync, asynchronous = KINDS[kind]
    service = Service()
    guarded = retry(make(service))

    async def check_async() -> None:
        service.calls = 0
        returned = guarded(asynchronous)
        assert inspect.iscoroutine(returned)
        with pytest.raises(ConnectionResetError):
            await returned
        assert service.calls == 3

    async def main() -> None:
        if order == "async first":
            await check_async()
        for _ in range(2):
            assert guarded(sync) == "value"
            await check_async()

    anyio.run(main, backend=backend)


def test_an_implementation_that_is_registered_after_the_decorator_is_guarded():
    service = Service()

    @retry
    @functools.singledispatch
    def get(key: object) -> object:
        return "value"

    assert get("text") == "value"
    get.register(int, service.fetch)
    with pytest.raises(ConnectionResetError):
        asyncio.run(get(1))
    assert service.calls == 3


def test_a_dispatching_method_of_a_guarded_class_is_guarded_at_each_call_as_what_it_is(backend: str):
    service = Service()

    @retry
    class Client:
        @functools.singledispatchmethod
        def get(self, key: object) -> object:
            return "value"

        @get.register
        async def _(self, key: int) -> str:
            return await service.fetch()

    async def main() -> None:
        assert Client().get("text") == "value"
        with pytest.raises(ConnectionResetError):
            await Client().get(1)
        assert Client().get("text") == "value"

    anyio.run(main, backend=backend)
    assert service.calls == 3


def test_a_sync_function_that_may_be_async_raises_inside_an_event_loop():
    """And does not hand out an unawaited coroutine with the error in it."""

    @retry
    def get(key: str) -> str | Awaitable[str]:
        raise ConnectionResetError(key)

    async def main() -> None:
        with pytest.raises(ConnectionResetError):
            get("a")

    asyncio.run(main())


def test_what_an_open_circuit_rejects_has_the_form_of_the_call_before():
    breaker = circuit_breaker("forms", failure_threshold=9)
    guarded = breaker(cached(Service()))

    async def main() -> None:
        assert guarded("cached") == "value"
        breaker.open()
        with pytest.raises(CircuitOpenError):
            guarded("cached")
        breaker.close()
        with pytest.raises(ConnectionResetError):
            await guarded("missing")
        breaker.open()
        with pytest.raises(CircuitOpenError):
            await guarded("missing")

    asyncio.run(main())


# -- refused where it is decorated ----------------------------------------------------------------------------------


async def fetch() -> str:
    return "ok"


def listed() -> Iterator[int]:
    yield 1


async def stream() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("cache", [functools.cache, functools.lru_cache(maxsize=8)])
@pytest.mark.parametrize("function", [fetch, listed, stream])
def test_a_cache_of_coroutines_or_generators_is_refused(cache: Callable, function: Callable):
    with pytest.raises(TypeError, match=r"its cache keeps .* one that has run cannot run again; cache the results"):
        retry(cache(function))


def test_a_cache_of_results_is_guarded():
    failures = [TimeoutError(), ConnectionResetError()]

    @retry
    @functools.cache
    def load(key: str) -> str:
        if failures:
            raise failures.pop()
        return key

    assert [load("a"), load("a")] == ["a", "a"]


# -- one warning at the first call ----------------------------------------------------------------------------------


class Entered:
    """A context manager written by hand: it connects where it is entered."""

    def __enter__(self) -> None:
        raise ConnectionResetError

    def __exit__(self, *raised: object) -> None: ...


class EnteredAsync:
    async def __aenter__(self) -> None:
        raise ConnectionResetError

    async def __aexit__(self, *raised: object) -> None: ...


class Cursor:
    """The cursor of an async database: its query is sent when it is iterated."""

    def limit(self, number: int) -> Cursor:
        return self

    def __aiter__(self) -> Cursor:
        return self

    async def __anext__(self) -> object:
        raise ConnectionResetError


def submitted() -> concurrent.futures.Future[None]:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(print)


WARNED = {
    "a context manager written by hand": (lambda: Entered(), "returned a context manager.*`with`"),
    "an async one": (lambda: EnteredAsync(), "returned a context manager.*`with`"),
    "nullcontext": (lambda: contextlib.nullcontext(Cursor()), "returned a context manager"),
    "aclosing": (lambda: contextlib.aclosing(stream()), "returned an async generator"),
    "an async cursor": (lambda: Cursor(), r"returned an async iterator, \S+\.Cursor.*`async for`"),
    "a future": (submitted, r"returned a future, \S+Future.*result\(\)"),
}


@pytest.mark.parametrize("decorate", [retry, circuit_breaker("deferred", failure_threshold=9), fallback(default=None)])
@pytest.mark.parametrize("kind", WARNED)
def test_a_call_that_returns_what_does_its_work_later_warns_once(kind: str, decorate: Callable):
    function, message = WARNED[kind]
    guarded = decorate(lambda: function())
    with pytest.warns(RuntimeWarning, match=message) as caught:
        guarded()
    assert len(caught) == 1
    guarded()  # warnings are errors here


class Connection:
    """A result, of use without being entered."""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *raised: object) -> None: ...

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *raised: object) -> None: ...

    def execute(self) -> None: ...


class Rows:
    """A result of a query that was made: it can be iterated with ``for`` as well."""

    def __iter__(self) -> Iterator[int]:
        return iter([])

    def __aiter__(self) -> typing.Any: ...


@pytest.mark.parametrize("make", [Connection, Rows, threading.Lock, pathlib.Path(__file__).open, lambda: iter([1])])
def test_an_object_that_can_be_entered_or_iterated_and_is_a_result_does_not_warn(make: Callable):
    value = retry(lambda: make())()
    if hasattr(value, "close"):
        value.close()


def test_an_async_function_that_returns_a_cursor_has_sent_its_query():
    @retry
    async def find() -> Cursor:
        return Cursor()

    assert isinstance(asyncio.run(find()), Cursor)


def test_a_function_whose_attributes_go_in_a_circle_may_return_a_generator(recwarn: pytest.WarningsRecorder):
    def items() -> object:
        return (number for number in range(3))

    guarded = fallback(default=())(items)
    items.__wrapped__ = items  # type: ignore[attr-defined]
    assert list(guarded()) == [0, 1, 2]  # type: ignore[call-overload]
    assert not recwarn.list
