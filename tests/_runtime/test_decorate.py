"""Decorating: functions, methods, partials, callable objects and classes, which stay what they were."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import gc
import inspect
import pickle
import sqlite3
import traceback
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from resilience import Pipeline, circuit_breaker, describe, fallback, retry_on_category, timeout
from tests.runners import Runner

retry = retry_on_category(base_delay=0)


def flaky(times: int = 2):
    """A list of calls, and a function's body that fails so many times first."""
    calls: list[tuple] = []

    def body(*args: object) -> tuple:
        calls.append(args)
        if len(calls) <= times:
            raise ConnectionResetError
        return args

    return body


@retry
def at_module_level(a: int, b: str = "x", *, c: bool = False) -> tuple[int, str, bool]:
    """Say what was given."""
    return a, b, c


def test_a_function_keeps_its_name_signature_docstring_and_annotations():
    assert at_module_level.__name__ == "at_module_level"
    assert at_module_level.__doc__ == "Say what was given."
    assert (
        str(inspect.signature(at_module_level))
        == "(a: 'int', b: 'str' = 'x', *, c: 'bool' = False) -> 'tuple[int, str, bool]'"
    )
    assert at_module_level.__annotations__["a"] == "int"
    assert at_module_level(1, c=True) == (1, "x", True)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        at_module_level()


def test_a_module_level_function_can_be_pickled():
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level


def test_a_coroutine_function_stays_one():
    @retry
    async def fetch() -> None: ...

    assert inspect.iscoroutinefunction(fetch)


class Plain:
    def __init__(self) -> None:
        self.body = flaky()

    @retry
    def method(self, x: int) -> tuple:
        """A method."""
        return self.body(self, x)

    @retry
    async def amethod(self, x: int) -> tuple:
        return self.body(self, x)

    body_of_static = staticmethod(flaky())
    body_of_class = staticmethod(flaky())
    body_of_other_static = staticmethod(flaky())
    body_of_other_class = staticmethod(flaky())

    @retry
    @staticmethod
    def static_below(x: int) -> tuple:
        return Plain.body_of_static(x)

    @staticmethod
    @retry
    def static_above(x: int) -> tuple:
        return Plain.body_of_other_static(x)

    @retry
    @classmethod
    def class_below(cls, x: int) -> tuple:
        return cls.body_of_class(cls, x)

    @classmethod
    @retry
    def class_above(cls, x: int) -> tuple:
        return cls.body_of_other_class(cls, x)


def test_a_method_is_bound_to_its_object():
    plain = Plain()
    assert plain.method(7) == (plain, 7)
    assert Plain.method.__doc__ == "A method."


def test_an_async_method_is_bound_to_its_object(backend: str):
    plain = Plain()
    assert anyio.run(plain.amethod, 7, backend=backend) == (plain, 7)


def test_static_and_class_methods_are_guarded_in_either_order():
    assert Plain.static_below(1) == (1,)
    assert Plain().static_above(2) == (2,)
    assert Plain.class_below(3) == (Plain, 3)
    assert Plain().class_above(4) == (Plain, 4)
    assert isinstance(vars(Plain)["static_below"], staticmethod)
    assert isinstance(vars(Plain)["class_below"], classmethod)


def test_a_partial_is_guarded_and_named_after_its_function():
    guarded = retry(functools.partial(flaky(), 1))
    assert guarded(2) == (1, 2)
    assert guarded.__name__ == "body"


def test_an_async_partial_is_awaited(backend: str):
    async def fetch(body, x: int) -> tuple:
        return body(x)

    assert anyio.run(retry(functools.partial(fetch, flaky())), 5, backend=backend) == (5,)


def test_a_callable_object_is_guarded():
    class Client:
        def __init__(self) -> None:
            self.body = flaky()

        def __call__(self, x: int) -> tuple:
            return self.body(x)

    assert retry(Client())(3) == (3,)


def test_an_async_callable_object_is_awaited(backend: str):
    class Client:
        def __init__(self) -> None:
            self.body = flaky()

        async def __call__(self, x: int) -> tuple:
            return self.body(x)

    guarded = retry(Client())
    assert inspect.iscoroutinefunction(guarded)
    assert anyio.run(guarded, 3, backend=backend) == (3,)


def test_a_bound_method_is_guarded_without_touching_its_class():
    class Client:
        def __init__(self) -> None:
            self.body = flaky()

        def fetch(self, x: int) -> tuple:
            return self.body(x)

    client = Client()
    assert retry(client.fetch)(3) == (3,)
    with pytest.raises(ConnectionResetError):
        Client().fetch(1)


def test_a_bound_method_that_is_guarded_already_keeps_its_object():
    plain = Plain()
    assert retry(plain.method)(1) == (plain, 1)


def test_a_builtin_is_guarded():
    assert retry(len)([1, 2]) == 2


@pytest.mark.parametrize("target", [3, "text", None, object()])
@pytest.mark.parametrize(
    "decorate",
    [retry, timeout(1), fallback(default=1), circuit_breaker("b")],
    ids=lambda decorator: repr(decorator)[:8],
)
def test_what_cannot_be_called_is_refused_where_it_is_written(decorate: object, target: object):
    with pytest.raises(TypeError, match="cannot guard .*: give a function, a method, a callable object or a class"):
        decorate(target)


def test_generator_functions_are_refused_by_policies_that_would_replace_their_items():
    def items():
        yield 1

    async def aitems():
        yield 1

    for function in (items, aitems, functools.partial(items)):
        with pytest.raises(
            TypeError, match=r"cannot guard the generator function .*items by fallback.*: its items come after"
        ):
            fallback(default=())(function)


# -- whole classes --------------------------------------------------------------------------------------------------


class Base:
    def inherited(self) -> None:
        raise ConnectionResetError


billing = circuit_breaker("billing", failure_threshold=3)


@billing
class Client(Base):
    limit = 3

    def __init__(self) -> None:
        self.ready = True

    def charge(self) -> None:
        raise ConnectionResetError

    async def refund(self) -> None:
        raise ConnectionResetError

    @staticmethod
    def ping() -> None:
        raise ConnectionResetError

    def _private(self) -> str:
        return "not guarded"

    @property
    def name(self) -> str:
        return "client"

    class Nested:
        pass


def test_the_public_methods_of_a_class_share_one_circuit():
    billing.close()
    client = Client()
    for call in (client.charge, lambda: asyncio.run(client.refund()), Client.ping):
        with pytest.raises(ConnectionResetError):
            call()
    assert billing.current_state == "open"
    assert client.ready
    assert client.name == "client"
    assert client._private() == "not guarded"
    assert isinstance(Client, type)
    assert Client.limit == 3
    billing.close()


def test_inherited_public_methods_are_guarded_on_the_class_and_not_on_its_base():
    assert describe(Client.inherited).policies
    assert not describe(Base.inherited).policies


def test_a_mixins_method_wins_over_an_inherited_guarded_method():
    class Store:
        def get(self) -> str:
            return "store"

        @classmethod
        def kind(cls) -> str:
            return f"store {cls.__name__}"

        @staticmethod
        def unit() -> str:
            return "kg"

        async def aget(self) -> str:
            return "store"

        def pages(self) -> Iterator[str]:
            yield "store"

        async def apages(self) -> AsyncIterator[str]:
            yield "store"

    class Cached(Store):
        def get(self) -> str:
            return f"cached {super().get()}"

        @classmethod
        def kind(cls) -> str:
            return f"cached {super().kind()}"

        async def aget(self) -> str:
            return f"cached {await super().aget()}"

        def pages(self) -> Iterator[str]:
            yield "cached"

        async def apages(self) -> AsyncIterator[str]:
            yield "cached"

    @circuit_breaker("store")
    class Guarded(Store):
        pass

    class Both(Guarded, Cached):
        pass

    async def of(store: Store) -> list[str]:
        return [
            store.get(),
            store.kind(),
            store.unit(),
            await store.aget(),
            *store.pages(),
            *[page async for page in store.apages()],
        ]

    assert asyncio.run(of(Guarded())) == ["store", "store Guarded", "kg", "store", "store", "store"]
    assert asyncio.run(of(Both())) == ["cached store", "cached store Both", "kg", "cached store", "cached", "cached"]
    for name in ("get", "kind", "unit", "aget", "pages", "apages"):
        assert describe(vars(Guarded)[name]).policies
        assert not describe(vars(Store)[name]).policies


def test_a_method_that_a_subclass_overrides_is_not_guarded_until_it_calls_the_one_above():
    breaker = circuit_breaker("base", failure_threshold=9)

    @breaker
    class Client:
        def get(self) -> None:
            raise ConnectionResetError

    class Own(Client):
        def get(self) -> None:
            raise ConnectionResetError

    class Calling(Client):
        def get(self) -> None:
            super().get()

    for client, failures in ((Own(), 0), (Calling(), 1)):
        with pytest.raises(ConnectionResetError):
            client.get()
        assert breaker.fail_counter == failures


def test_some_methods_of_a_class_can_be_left_as_they_are():
    @circuit_breaker("payments", failure_threshold=1, exclude=("close", "ping"))
    class Payments:
        def charge(self) -> None:
            raise ConnectionResetError

        def close(self) -> str:
            return "closed"

        @staticmethod
        def ping() -> str:
            return "pong"

    payments = Payments()
    with pytest.raises(ConnectionResetError):
        payments.charge()
    assert (payments.close(), payments.ping()) == ("closed", "pong")
    assert not describe(Payments.close).policies


def test_an_exclude_without_effect_is_refused():
    class Payments:
        def charge(self) -> None: ...

    with pytest.raises(ValueError, match="exclude='chrage': give one of 'charge'; did you mean 'charge'"):
        circuit_breaker("p", exclude=("chrage",))(Payments)
    assert not describe(Payments.charge).policies
    with pytest.raises(TypeError, match=r"exclude='close': give a tuple of names, such as \('close',\)"):
        circuit_breaker("p", exclude="close")
    with pytest.raises(TypeError, match=r"exclude=\('charge',\): give it where a class is decorated; .*charge is none"):
        circuit_breaker("p", exclude=("charge",))(Payments.charge)


def test_a_class_decorated_twice_is_guarded_in_that_order():
    @fallback(default="other")
    @retry_on_category(attempts=2, base_delay=0)
    class Store:
        def __init__(self) -> None:
            self.calls = 0

        def get(self) -> str:
            self.calls += 1
            raise ConnectionResetError

    store = Store()
    assert store.get() == "other"
    assert store.calls == 2
    assert [policy.partition("(")[0] for policy in describe(Store.get).policies] == ["fallback", "retry_on_category"]


def test_with_per_instance_each_object_has_a_circuit_of_its_own():
    breaker = circuit_breaker("shard", failure_threshold=1, per_instance=True)

    @breaker
    class Shard:
        __hash__ = None  # identity counts, not equality

        def get(self) -> None:
            raise ConnectionResetError

    one, two = Shard(), Shard()
    with pytest.raises(ConnectionResetError):
        one.get()
    assert breaker.of(one).current_state == "open"
    assert breaker.of(two).current_state == "closed"
    with pytest.raises(ConnectionResetError):
        two.get()


def test_static_and_class_methods_of_a_class_with_per_instance_share_a_circuit_of_the_class():
    breaker = circuit_breaker("shard", failure_threshold=1, per_instance=True)

    @breaker
    class Shard:
        @staticmethod
        def parse(number: int) -> None:
            raise ConnectionResetError

        @classmethod
        def make(cls) -> None:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Shard.parse(5)
    assert breaker.current_state == "open"
    breaker.close()
    with pytest.raises(ConnectionResetError):
        Shard.make()
    assert breaker.current_state == "open"


def test_the_circuit_of_an_object_is_collected_with_the_object():
    breaker = circuit_breaker("shard", per_instance=True)

    @breaker
    class Shard:
        def get(self) -> str:
            return "ok"

    shard = Shard()
    assert shard.get() == "ok"
    assert len(breaker._scoped._breakers) == 1
    del shard
    gc.collect()
    assert len(breaker._scoped._breakers) == 0


def test_per_instance_is_for_classes_whose_objects_can_be_referred_to():
    with pytest.raises(TypeError, match="per_instance=True: decorate a class"):
        circuit_breaker("b", per_instance=True)(lambda: None)

    class Slotted:
        __slots__ = ()

        def get(self) -> None: ...

    with pytest.raises(TypeError, match="add '__weakref__' to the __slots__ of .*Slotted"):
        circuit_breaker("b", per_instance=True)(Slotted)


def test_a_refused_class_stays_unchanged():
    class Feed:
        def fetch(self) -> None: ...

        def items(self):
            yield 1

    before = dict(vars(Feed))
    with pytest.raises(TypeError, match="of a class its other methods one by one"):
        fallback(default=())(Feed)
    assert dict(vars(Feed)) == before


# What is no plain Python function.


def test_the_methods_of_a_class_written_in_c_are_guarded_on_a_subclass():
    failures = [ConnectionResetError(), ConnectionResetError()]

    @retry_on_category(attempts=3, base_delay=0)
    class Database(sqlite3.Connection):
        def cursor(self, *args: object) -> sqlite3.Cursor:
            if failures:
                raise failures.pop()
            return super().cursor(*args)

    with contextlib.closing(Database(":memory:")) as database:
        assert database.execute("select 1").fetchone() == (1,)
        assert database.cursor().execute("select 2").fetchone() == (2,)
    assert describe(Database.execute).target == "sqlite3.Connection.execute"
    assert len(describe(Database.execute)) == len(describe(Database.commit)) == 1
    assert not describe(sqlite3.Connection.execute).policies


def test_class_methods_of_a_class_written_in_c_are_guarded_and_make_the_subclass():
    @retry
    class Moment(datetime.datetime):
        pass

    assert type(Moment.fromisoformat("2020-01-02")) is Moment
    assert describe(Moment.fromisoformat).target == "datetime.datetime.fromisoformat"


def test_a_class_written_in_cython_is_refused_and_a_subclass_guarded():
    cygrpc = pytest.importorskip("grpc._cython.cygrpc")
    with pytest.raises(
        TypeError, match=r"cannot guard the class CompletionQueue: it is not written in Python.*subclass"
    ):
        retry(cygrpc.CompletionQueue)

    @retry
    class Queue(cygrpc.CompletionQueue):
        pass

    assert describe(Queue.poll).policies


def test_a_class_compiled_by_mypyc_is_guarded():
    errors = pytest.importorskip("mypy.errors")
    if not errors.__file__.endswith((".so", ".pyd")):
        pytest.skip("this mypy is not compiled")

    @retry
    class Errors(errors.Errors):
        pass

    assert describe(Errors.report).target == "mypy.errors.Errors.report"


def test_methods_that_are_made_of_other_methods_are_guarded():
    class Base:
        def __init__(self) -> None:
            self.body = flaky()

        def _request(self, method: str, url: str) -> tuple:
            return self.body(method, url)

        get = functools.partialmethod(_request, "GET")

        @functools.singledispatchmethod
        def send(self, what: object) -> tuple:
            return self.body("object", what)

        @send.register
        def _(self, what: int) -> tuple:
            return self.body("int", what)

        @functools.lru_cache  # noqa: B019
        def cached(self, what: str) -> tuple:
            return self.body(what)

    @retry
    class Inherits(Base):
        pass

    own = retry(type("Own", (), {name: value for name, value in vars(Base).items() if name != "__dict__"}))
    for cls in (Inherits, own):
        assert cls().get("/") == ("GET", "/")
        assert cls().send(1) == ("int", 1)
        assert cls().send("a") == ("object", "a")
        assert cls().cached("a") == ("a",)
        assert describe(cls.get).target.endswith(f"{cls.__name__}.get")


def test_an_async_partial_method_is_awaited(backend: str):
    @retry
    class Client:
        def __init__(self) -> None:
            self.body = flaky()

        async def _request(self, method: str, url: str) -> tuple:
            return self.body(method, url)

        get = functools.partialmethod(_request, "GET")

    assert anyio.run(Client().get, "/", backend=backend) == ("GET", "/")


def test_a_class_with_nothing_to_guard_is_refused():
    class Stub:
        """As gRPC makes them."""

        def __init__(self) -> None:
            self.get_user = lambda request: request

    class Server:
        def __call__(self) -> None: ...

        limit = property(lambda self: 3)
        kind = int
        hello = functools.partial(print, "hello")

    for cls in (Stub, Server):
        before = dict(vars(cls))
        with pytest.raises(
            TypeError, match=f"cannot guard the class .*{cls.__name__}: it has no public methods to guard"
        ):
            retry(cls)
        assert dict(vars(cls)) == before


def test_the_description_of_a_class_shows_what_is_guarded_and_what_is_not():
    @retry_on_category("network", attempts=2, base_delay=1, jitter="none", exclude=("sign",))
    class Store:
        def get(self) -> None: ...

        async def stock(self) -> None: ...

        @staticmethod
        def ping() -> None: ...

        def sign(self) -> None: ...

        def close(self) -> None: ...

    described = describe(Store)
    name = f"{__name__}.{Store.__qualname__}"
    assert str(described) == (
        f"{name}\n"
        "  retry_on_category(network, attempts=2, base_delay=1, max_delay=60, jitter=none)\n"
        "    get, ping, stock\n"
        "  worst case: 2 calls, 1 s of waiting and what the calls take (up to 66 s per wait if the server sends"
        " Retry-After)\n"
        "  not guarded: close, sign"
    )
    assert {method: len(each) for method, each in described.methods.items()} == {
        "close": 0,
        "get": 1,
        "ping": 1,
        "sign": 0,
        "stock": 1,
    }
    assert described.methods["get"] == describe(Store.get)
    assert (described.target, described.policies) == (name, ())


def test_the_description_of_a_class_that_is_not_guarded_says_so():
    class Plain:
        def get(self) -> None: ...

    assert str(describe(Plain)).endswith("Plain\n  not guarded: get")
    assert str(describe(type("Empty", (), {}))).endswith("Empty")


@pytest.mark.parametrize("policy", [retry_on_category("network"), timeout(2), circuit_breaker("described")])
def test_the_description_of_a_policy_or_a_pipeline_is_that_of_a_function_it_will_guard(policy):
    def function() -> None: ...

    for described in (policy, Pipeline(policy)):
        assert describe(described).policies == describe(described(function)).policies
        assert describe(described).worst == describe(described(function)).worst
        assert "a function" in str(describe(described))


# -- fusing ---------------------------------------------------------------------------------------------------------


def test_four_decorators_make_one_frame():
    @fallback(default=1, on="timeout")
    @retry_on_category("timeout")
    @circuit_breaker("b")
    @retry_on_category("timeout")
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError) as caught:
        fail()
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert len(frames) == 3, frames  # this test, the wrapper, the function


def test_async_decorators_make_one_frame_too(backend: str):
    @fallback(default=1, on="timeout")
    @circuit_breaker("b")
    @retry_on_category(base_delay=0)
    async def fail() -> None:
        raise ConnectionResetError

    async def main() -> list[str]:
        try:
            await fail()
        except ConnectionResetError as error:
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        raise AssertionError

    frames = anyio.run(main, backend=backend)
    assert len(frames) == 3, frames


def test_a_foreign_decorator_in_between_is_not_skipped():
    seen = []

    def foreign(function):
        @functools.wraps(function)
        def around(*args: object) -> object:
            seen.append(args)
            return function(*args)

        return around

    @retry
    @foreign
    @retry
    def f(x: int) -> int:
        return x

    assert f(1) == 1
    assert seen == [(1,)]
    assert len(describe(f).policies) == 1


def test_the_wrapped_original_is_reachable_and_unguarded():
    def original() -> None:
        raise ConnectionResetError

    guarded = retry(retry(original))
    assert guarded.__wrapped__ is original


def test_decorating_a_guarded_function_leaves_it_as_it_was():
    calls = []

    @retry_on_category(attempts=2, base_delay=0)
    def inner() -> None:
        calls.append(1)
        raise ConnectionResetError

    outer = fallback(default="other")(inner)
    assert outer() == "other"
    with pytest.raises(ConnectionResetError):
        inner()
    assert len(calls) == 4


def test_describe_names_policies_from_the_outermost_in():
    @fallback(default=())
    @retry_on_category(attempts=4, base_delay=0.5)
    @circuit_breaker("catalogue", reset_timeout=30)
    @timeout(2.0)
    def search() -> tuple: ...

    said = describe(search)
    assert said.target.endswith("search")
    assert said.policies == (
        "fallback(default=tuple, on=infrastructure|rejected)",
        "retry_on_category(transient, attempts=4, base_delay=0.5, max_delay=60, jitter=equal)",
        "circuit_breaker('catalogue', failure_threshold=5, reset_timeout=30)",
        "timeout(2)",
    )
    assert str(said).splitlines()[-2].strip() == said.target
    assert (
        str(said).splitlines()[-1]
        == str(said.worst)
        == ("worst case: 4 calls, 11.5 s (up to 66 s per wait if the server sends Retry-After)")
    )
    assert list(said) == list(said.policies)
    assert len(said) == 4
    assert describe(len).policies == ()
    assert not describe(len)


# -- what a failing call leaves behind ------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [1, 2, 3])  # twice it recovers
@pytest.mark.parametrize("on", ["timeout", "network"])  # and once the fallback does
def test_a_failed_call_leaves_nothing_to_the_garbage_collector(runner: Runner, failures: int, on: str):
    import weakref

    refs = []

    class Tracked(Exception):
        def __init__(self) -> None:
            super().__init__()
            refs.append(weakref.ref(self))

    class Down(Tracked, ConnectionError):
        pass

    def decorate(function):
        return fallback(default=1, on=on)(retry_on_category(base_delay=0)(circuit_breaker("b")(function)))

    def dependency() -> None:
        if len(refs) < failures:
            raise Down

    if runner.is_async:

        @decorate
        async def call() -> None:
            dependency()

        async def main() -> None:
            try:
                await call()
            except Down:
                pass
            assert [ref() for ref in refs] == [None] * failures

    else:

        @decorate
        def call() -> None:
            dependency()

        def main() -> None:
            try:
                call()
            except Down:
                pass
            assert [ref() for ref in refs] == [None] * failures

    gc.disable()
    try:
        runner.run(main, main)
    finally:
        gc.enable()


def test_a_failed_fallback_leaves_nothing_to_the_garbage_collector():
    import weakref

    refs = []

    class Down(ConnectionError):
        def __init__(self) -> None:
            super().__init__()
            refs.append(weakref.ref(self))

    def replica(error: Exception) -> None:
        raise Down

    @fallback(factory=replica)
    @timeout(5)
    def fail() -> None:
        raise Down

    gc.disable()
    try:
        try:
            fail()
        except Down:
            pass
        assert [ref() for ref in refs] == [None] * 2
    finally:
        gc.enable()
